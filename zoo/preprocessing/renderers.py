"""From the last two screens to what the agent sees, as each published preprocessing has it.

A pixel that had one colour and then another gives one grey: a table of 256 x 256 holds grey and
maximum in one. The frame is then resized and rounded. It is numpy's, frame by frame: what one
frame takes stays in a core's cache, and the emulators' processes render beside each other.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Integer, Shaped, UInt8

from atari_zoo.converters.cards import Preprocessing
from atari_zoo.preprocessing.greys import PairGreys
from atari_zoo.preprocessing.resizes import RESIZES


class Renderer:
    """Renders screens of one size again and again, with a palette that may grow.

    Raises ValueError where the preprocessing names a grey, maximum, resize or rounding unknown.
    """

    def __init__(self, preprocessing: Preprocessing, height: int, width: int) -> None:
        for name, known in (("resize", RESIZES), ("rounding", ROUNDINGS)):
            wanted = getattr(preprocessing, name)
            if wanted not in known:
                raise ValueError(f"no {name} '{wanted}'; there are {', '.join(known)}")
        self.greys = PairGreys(preprocessing.grey, preprocessing.max_pool)
        self.resize = RESIZES[preprocessing.resize]
        self.round = ROUNDINGS[preprocessing.rounding]
        self._pairs = np.zeros((height, width), np.uint16)
        self._frame = np.zeros((height, width), np.float32)

    def learn(
        self,
        indices: Integer[np.ndarray, "new"],
        colours: UInt8[np.ndarray, "256 3"],
        greys: UInt8[np.ndarray, "256"],
    ) -> None:
        """Takes up a palette's colours, and the emulator's own greys, that are newly known."""
        self.greys.learn(indices, colours, greys)

    def __call__(self, screens: UInt8[np.ndarray, "2 height width"]) -> Shaped[np.ndarray, "84 84"]:
        """The newest frame of the observation: bytes, or float32 in 0..1 if it is not rounded."""
        np.left_shift(screens[0], 8, out=self._pairs, dtype=np.uint16)
        np.bitwise_or(self._pairs, screens[1], out=self._pairs)
        # no index is out of range: "clip" only spares numpy a copy
        self.greys.table.take(self._pairs, out=self._frame, mode="clip")
        return self.round(self.resize(self._frame))


def _nearest(frame: np.ndarray) -> np.ndarray:
    return np.rint(frame).astype(np.uint8)


def _truncate(frame: np.ndarray) -> np.ndarray:
    return frame.astype(np.uint8)


def _scaled(frame: np.ndarray) -> np.ndarray:
    return frame * np.float32(1 / 255)


ROUNDINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "nearest": _nearest,
    "truncate": _truncate,
    "none": _scaled,
}
