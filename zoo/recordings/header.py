"""What a recording on disk tells of itself: the attributes of its Zarr group."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from atari_zoo.converters.cards import ModelCard, Preprocessing
from atari_zoo.converters.errors import ConversionError
from atari_zoo.recordings.layout import CHUNK, layout

FORMAT = "atari-zoo recording"
VERSION = 1  # later ones are refused


@dataclass
class Head:
    """The attributes of the group.

    steps: that are whole in every array. arrays: their names and types, "" before the first step.
    palette: RGB of the 256 colours that `frames` point to; greys: the emulator's own of the same.
    counted: how many of each environment's first episodes count; all that ended if None.
    returns, lengths: of the episodes that counted, where steps alone do not tell them.
    played: how: the rule that chose actions, and what was unusual, as `plans.told` has it.
    seconds: that playing took; 0 where unknown.
    """

    card: ModelCard
    game: str
    preprocessing: Preprocessing
    seed: int
    envs: int
    chunk: int = CHUNK
    steps: int = 0
    arrays: dict[str, str] = field(default_factory=dict)
    palette: np.ndarray | None = None
    greys: np.ndarray | None = None
    counted: list[int] | None = None
    returns: list[float] | None = None
    lengths: list[int] | None = None
    seconds: float = 0.0
    played: dict[str, Any] = field(default_factory=dict)

    def attributes(self) -> dict[str, Any]:
        """As JSON has them: `episodes` holds what is known of these, bytes are hexadecimal."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return plain | {
            "format": FORMAT,
            "version": VERSION,
            "card": json.loads(self.card.to_json()),
            "preprocessing": asdict(self.preprocessing),
            "seconds": self.seconds if math.isfinite(self.seconds) else 0.0,
            "palette": None if self.palette is None else self.palette.tobytes().hex(),
            "greys": None if self.greys is None else self.greys.tobytes().hex(),
        }


def head(attributes: Mapping[str, Any], where: str) -> Head:
    """Reads what `Head.attributes` wrote.

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
        return _head(attributes)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ConversionError(f"{where}: its attributes are damaged ({error!r})") from error


def _head(attributes: Mapping[str, Any]) -> Head:
    told = {"played": {}} | {
        f.name: attributes[f.name] for f in fields(Head) if f.name in attributes
    }
    # preprocessing through a card, which passes over fields that a newer version added
    card, seen = (
        ModelCard.from_json(json.dumps(of))
        for of in (told["card"], {"preprocessing": told["preprocessing"]})
    )
    for name in told["arrays"]:
        layout(name)
    if (again := told["played"].get("recompute")) is not None and not (
        isinstance(again["weights"], str) and all(isinstance(n, str) for n in again["layers"])
    ):
        raise ValueError(f"recompute is {again}")
    counts = [told[name] for name in ("envs", "chunk", "steps")]
    if not all(type(count) is int and count >= 0 for count in counts) or 0 in counts[:2]:
        raise ValueError(f"envs, chunk and steps are {counts}")
    return Head(
        **told
        | {
            "card": card,
            "preprocessing": seen.preprocessing,
            "palette": _bytes(told["palette"], (256, 3)),
            "greys": _bytes(told["greys"], (256,)),
        }
    )


def _bytes(text: str | None, shape: tuple[int, ...]) -> np.ndarray | None:
    if text is None:
        return None
    return np.frombuffer(bytes.fromhex(text), np.uint8).reshape(shape)
