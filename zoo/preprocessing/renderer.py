"""Renderers of the last two screens as the agent sees them, by each published preprocessing.

A pixel that had one colour and then another gives one grey: a table of 256 x 256 holds grey and
maximum in one. The frame is then resized and rounded. Where colours are resized, each of the three
has its table. It is numpy's, frame by frame: what one
frame takes stays in a core's cache, and the emulators' processes render beside each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, Integer, Shaped, UInt8

from atari_zoo.converters.cards import Preprocessing
from atari_zoo.preprocessing.greys import GREYS, PairColours, PairGreys, grey
from atari_zoo.preprocessing.resizes import RESIZES

if TYPE_CHECKING:
    from torch import Tensor

# grey, max_pool and rounding where colours are resized: red, green and blue are bytes
COLOURED = (("luma", "rgb", "nearest"), ("gymnasium", "rgb", "nearest"))


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
        self.colours = PairColours() if preprocessing.resize_colour else None
        kind = preprocessing.grey, preprocessing.max_pool, preprocessing.rounding
        if self.colours and kind not in COLOURED:
            raise ValueError(f"resize_colour with {kind}; it is for {COLOURED} alone")
        self.grey = GREYS[preprocessing.grey]
        self.apart = preprocessing.max_pool == "resized"
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
        (self.colours or self.greys).learn(indices, colours, greys)

    def __call__(self, screens: UInt8[np.ndarray, "2 height width"]) -> Shaped[np.ndarray, "84 84"]:
        """The newest frame of the observation: bytes, or float32 in 0..1 if it is not rounded."""
        if self.apart:
            return np.maximum(*(self._seen(frame, frame, self.greys.table) for frame in screens))
        if self.colours is None:
            return self._seen(screens[0], screens[1], self.greys.table)
        planes = [self._seen(screens[0], screens[1], table) for table in self.colours.tables]
        return self.grey(np.stack(planes, -1))

    def _seen(
        self,
        older: UInt8[np.ndarray, "height width"],
        newer: UInt8[np.ndarray, "height width"],
        table: Float32[np.ndarray, "65536"],
    ) -> Shaped[np.ndarray, "84 84"]:
        """What a table makes of the two, resized and rounded."""
        np.left_shift(older, 8, out=self._pairs, dtype=np.uint16)
        np.bitwise_or(self._pairs, newer, out=self._pairs)
        # no index is out of range: "clip" only spares numpy a copy
        table.take(self._pairs, out=self._frame, mode="clip")
        return self.round(self.resize(self._frame))


def rendered_screens(
    screens: UInt8[np.ndarray, "*batch 2 height width"] | UInt8[Tensor, "*batch 2 height width"],
    palette: UInt8[np.ndarray, "256 3"],
    preprocessing: Preprocessing,
    greys: UInt8[np.ndarray, "256"] | None = None,
) -> Shaped[Tensor, "*batch 84 84"]:
    """The newest frames of the observations, from the last two screens (palette indices).

    greys: the emulator's own, which "luma" takes where the maximum is taken in grey; OpenCV's if
        not given. They differ in some colours of games for PAL televisions.
    Returns bytes, or float32 in 0..1 where the preprocessing does not round, on screens' device.
    Raises ValueError where the preprocessing names a grey, maximum, resize or rounding unknown.

    >>> raw = environments.raw().screens
    >>> rendered_screens(raw, environments.palette, PREPROCESSINGS["tf"]).shape
    torch.Size([8, 84, 84])
    """
    import torch  # here, as the emulators' processes render without it and start faster

    device = screens.device if isinstance(screens, torch.Tensor) else "cpu"
    pairs = screens.cpu().numpy() if isinstance(screens, torch.Tensor) else screens
    renderer = Renderer(preprocessing, *pairs.shape[-2:])
    renderer.learn(np.arange(256), palette, grey(palette) if greys is None else greys)
    frames = np.stack([renderer(pair) for pair in pairs.reshape(-1, *pairs.shape[-3:])])
    return torch.from_numpy(frames).view(*pairs.shape[:-3], 84, 84).to(device)


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
