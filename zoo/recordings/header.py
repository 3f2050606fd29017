"""The header of a recording: what it tells of itself, the attributes of its Zarr group on disk."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from atari_zoo.converters.cards import ModelCard, Preprocessing
from atari_zoo.converters.errors import ConversionError
from atari_zoo.recordings.arrays import layout

FORMAT = "atari-zoo recording"
VERSION = 1  # later ones are refused
CHUNK = 64  # steps that are written together
OPTIONS = "played"  # what the group calls `options`


@dataclass
class Header:
    """What a recording tells of itself.

    card: of the model that played. game: its name in the zoo. seed: of the first environment.
    steps: that are whole in every array. arrays: their names and types, "" before the first step.
    palette: RGB of the 256 colours that `frames` point to; greys: the emulator's own of the same.
    counted: how many of each environment's first episodes count; all that ended if None.
    returns, lengths: of the episodes that counted, where steps alone do not tell them.
    options: of the rollout: the rule that chose actions, and what was not as usual.
    seconds: that playing took; 0 or NaN where unknown.
    """

    card: ModelCard
    game: str
    preprocessing: Preprocessing
    seed: int = 0
    envs: int = 1
    chunk: int = CHUNK
    steps: int = 0
    arrays: dict[str, str] = field(default_factory=dict)
    palette: np.ndarray | None = None
    greys: np.ndarray | None = None
    counted: list[int] | None = None
    returns: list[float] | None = None
    lengths: list[int] | None = None
    seconds: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)

    def attributes(self) -> dict[str, Any]:
        """As JSON has them; bytes are hexadecimal."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return plain | {
            "format": FORMAT,
            "version": VERSION,
            "card": json.loads(self.card.to_json()),
            "preprocessing": asdict(self.preprocessing),
            "seconds": self.seconds if math.isfinite(self.seconds) else 0.0,
            "palette": None if self.palette is None else self.palette.tobytes().hex(),
            "greys": None if self.greys is None else self.greys.tobytes().hex(),
            OPTIONS: plain.pop("options"),
        }


def read_header(attributes: Mapping[str, Any], where: str) -> Header:
    """Reads what `Header.attributes` wrote.

    Raises ConversionError, naming `where`, if that is no recording or a later version's.
    """
    if attributes.get("format") != FORMAT:
        raise ConversionError(f"{where}: no recording of atari-zoo")
    version = attributes.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise ConversionError(
            f"{where}: a recording of version {version}; this atari-zoo reads up to {VERSION}: "
            "update atari-zoo"
        )
    try:
        return _header(attributes)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ConversionError(f"{where}: its attributes are damaged ({error!r})") from error


def _header(attributes: Mapping[str, Any]) -> Header:
    found = {f.name: attributes[f.name] for f in fields(Header) if f.name in attributes}
    found["options"] = attributes.get(OPTIONS, {})
    # preprocessing through a card, which passes over fields that a newer version added
    card, seen = (
        ModelCard.from_json(json.dumps(plain))
        for plain in (found["card"], {"preprocessing": found["preprocessing"]})
    )
    for name in found["arrays"]:
        layout(name)
    if (again := found["options"].get("recompute")) is not None and not (
        isinstance(again["weights"], str) and all(isinstance(n, str) for n in again["layers"])
    ):
        raise ValueError(f"recompute is {again}")
    counts = [found[name] for name in ("envs", "chunk", "steps")]
    if not all(type(count) is int and count >= 0 for count in counts) or 0 in counts[:2]:
        raise ValueError(f"envs, chunk and steps are {counts}")
    return Header(
        **found
        | {
            "card": card,
            "preprocessing": seen.preprocessing,
            "palette": _bytes(found["palette"], (256, 3)),
            "greys": _bytes(found["greys"], (256,)),
        }
    )


def _bytes(text: str | None, shape: tuple[int, ...]) -> np.ndarray | None:
    if text is None:
        return None
    return np.frombuffer(bytes.fromhex(text), np.uint8).reshape(shape)
