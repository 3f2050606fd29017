"""Variables of games in the console's memory: which byte holds what, and how it is read.

The table is `data/ram_variables.json`: addresses from AtariARI (Anand et al., 2019,
https://arxiv.org/abs/1906.08226), OCAtari (Delfosse et al., 2023,
https://arxiv.org/abs/2306.08649), ALE's own scores and lives, and measurements; each row was
checked against the emulator, and says how.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from atari_zoo.converters.arguments import checked
from atari_zoo.games import game as find_game

BYTES = 128  # of the console's memory
BLANK = 10  # a decimal digit from here on shows nothing, and counts as 0
# how a row of the table was checked, from the strongest on
VERIFIED = {
    "lives": "equals the emulator's lives",
    "reward": "rises with the rewards",
    "screen": "setting it changes the screen where it should",
    "changes": "changes during play; what it shows on the screen was not found",
    "constant": "never changed during the play that it was checked on",
    "doubtful": "another source says otherwise, or it did not hold",
}


@dataclass(frozen=True)
class Variable:
    """A named byte of the memory, or a part of it.

    address: 0 to 127. kind: agent, small_object, other_object, score, lives, clock, display, misc.
    encoding: byte, bits (of a bitmap), bcd (two decimal digits), digit (the lower one alone),
        digit8 (one, times 8), signed (two's complement).
    shift, mask, offset, scale: the value is (encoded(byte >> shift & mask) + offset) * scale.
    sign: of a score, -1 where it falls as the reward rises.
    exceptions: values of bytes that this does not hold for.
    absent: spans of bytes, both ends among them, at which what it tells of is not there;
        absent_bits: those that say so when they are set.
    pixel: slope and offset from the byte to the screen's column (of an x) or row (of a y).
    sources: who lists it. verified: a key of `VERIFIED`. note: what else is known.
    """

    name: str
    address: int
    kind: str
    encoding: str
    sources: tuple[str, ...]
    verified: str
    shift: int = 0
    mask: int = 255
    offset: float = 0
    scale: float = 1
    sign: int = 1
    exceptions: tuple[tuple[int, float], ...] = ()
    absent: tuple[tuple[int, int], ...] = ()
    absent_bits: int = 0
    pixel: tuple[float, float] | None = None
    note: str = ""

    def values(self, ram: UInt8[np.ndarray, "*steps bytes"]) -> Float[np.ndarray, "*steps"]:
        """Its value in each memory; NaN where what it tells of is absent."""
        return np.asarray(self._table[ram[..., self.address]])

    def byte(self, value: float, before: int = 0) -> int:
        """The byte that holds a value, as near as can be to the one before.

        Raises ValueError if none does.
        """
        fitting = np.flatnonzero(self._table == value)
        if not len(fitting):
            known = self._table[np.isfinite(self._table)]
            raise ValueError(
                f"{self.name} cannot be {value:g}; it is from {known.min():g} to {known.max():g}"
            )
        changed = np.bitwise_count(fitting.astype(np.uint8) ^ np.uint8(before))
        return int(fitting[changed.argmin()])

    def places(self, values: Float[np.ndarray, "*steps"]) -> Float[np.ndarray, "*steps"]:
        """The screen's column or row, in pixels, of such values; NaN where that is not known."""
        slope, offset = self.pixel or (np.nan, np.nan)
        return np.asarray(values * slope + offset)

    @cached_property
    def _table(self) -> Float[np.ndarray, "256"]:
        byte = np.arange(256)
        part = byte >> self.shift & self.mask
        value = DECODERS[self.encoding](part).astype(float)
        value = (value + self.offset) * self.scale
        for held, meant in self.exceptions:
            value[held] = meant
        for first, last in self.absent:
            value[first : last + 1] = np.nan
        value[byte & self.absent_bits != 0] = np.nan
        return value


def _digits(part: np.ndarray) -> np.ndarray:
    high, low = part >> 4, part & 15
    return np.where(high < BLANK, high, 0) * 10 + np.where(low < BLANK, low, 0)


DECODERS = {
    "byte": lambda part: part,
    "bits": lambda part: part,
    "bcd": _digits,
    "digit": lambda part: np.where(part % 16 < BLANK, part % 16, 0),
    "digit8": lambda part: np.where(part // 8 < BLANK, part // 8, 0),
    "signed": lambda part: part.astype(np.uint8).astype(np.int8),
}


@checked
def variables(game: str) -> list[Variable]:
    """The named variables of a game, in any spelling of it; none where none are known.

    Raises UnknownGame if there is no such game.

    >>> [variable.name for variable in zoo.variables("Seaquest")][:3]
    ['player_x', 'player_y', 'player_missile_x']
    """
    return list(_table().get(find_game(game).name, ()))


def decoded(
    known: Sequence[Variable], ram: UInt8[np.ndarray, "*steps bytes"]
) -> dict[str, Float[np.ndarray, "*steps"]]:
    """Each variable's values by its name."""
    return {variable.name: variable.values(ram) for variable in known}


@cache
def _table() -> Mapping[str, tuple[Variable, ...]]:
    text = resources.files("atari_zoo").joinpath("data/ram_variables.json").read_text("utf-8")
    return {game: tuple(map(_variable, rows)) for game, rows in json.loads(text).items()}


def _variable(row: dict[str, Any]) -> Variable:
    spans = tuple((first, last) for first, last in row.get("absent", ()))
    pixel = tuple(map(float, row["pixel"])) if "pixel" in row else None
    held = tuple((int(byte), value) for byte, value in row.get("exceptions", {}).items())
    facts: dict[str, Any] = {"absent": spans, "pixel": pixel, "exceptions": held}
    facts["sources"] = tuple(row["sources"])
    return Variable(**row | facts)
