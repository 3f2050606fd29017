"""Renderers of the last two screens as the agent sees them, by each published preprocessing.

A pixel that had one colour and then another gives one grey: a table of 256 x 256 holds grey and
maximum in one. The frame is then resized and rounded. Where colours are resized, each of the three
has its table. It is numpy's, frame by frame: what one
frame takes stays in a core's cache, and the emulators' processes render beside each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Integer, Shaped, UInt8

from atari_zoo.converters.cards import Preprocessing
from atari_zoo.preprocessing.greys import COLOUR, GREYS, WHOLE, PairColours, PairGreys, grey
from atari_zoo.preprocessing.renderable import ROUNDINGS, check_renderable
from atari_zoo.preprocessing.resizes import OF_BYTES, RESIZES

if TYPE_CHECKING:
    from torch import Tensor


class Renderer:
    """Renders screens of one size again and again, with a palette that may grow.

    Raises ValueError where the preprocessing names a grey, maximum, resize or rounding unknown, or
    some that do not go together, or a part of a screen that is larger than the screen.
    """

    def __init__(self, preprocessing: Preprocessing, height: int, width: int) -> None:
        check_renderable(preprocessing, height, width)
        top, bottom, left, right = preprocessing.crop or (0, height, 0, width)
        self.seen = slice(top, bottom), slice(left, right)
        self.size = preprocessing.size[0], preprocessing.size[1]
        first, last, begin, end = preprocessing.window or (0, self.size[0], 0, self.size[1])
        self.kept = slice(first, last), slice(begin, end)
        in_colour = preprocessing.grey == COLOUR
        self.coloured = in_colour or preprocessing.resize_colour
        kind, pool = preprocessing.grey, preprocessing.max_pool
        self.greys = PairGreys("luma" if in_colour else kind, pool)
        self.colours = PairColours(pool == "none") if self.coloured else None
        self.grey = None if in_colour else GREYS[kind]
        self.apart = pool == "resized"
        whole = self.coloured or preprocessing.stretch or kind in WHOLE
        self.resize = (OF_BYTES if whole else {}).get(
            preprocessing.resize, RESIZES[preprocessing.resize]
        )
        self.stretch = preprocessing.stretch
        self.round = ROUNDINGS[preprocessing.rounding]
        shape = bottom - top, right - left
        self._pairs = np.zeros(shape, np.uint16)
        self._frame = np.zeros(shape, self.greys.table.dtype)

    def learn(
        self,
        indices: Integer[np.ndarray, "new"],
        colours: UInt8[np.ndarray, "256 3"],
        greys: UInt8[np.ndarray, "256"],
    ) -> None:
        """Takes up a palette's colours, and the emulator's own greys, that are newly known."""
        (self.colours or self.greys).learn(indices, colours, greys)

    def __call__(self, screens: UInt8[np.ndarray, "2 height width"]) -> Shaped[np.ndarray, "..."]:
        """The newest frame of the observation, `preprocessing.frame`: bytes, or float32 in 0..1 if
        it is not rounded."""
        older, newer = (frame[self.seen] for frame in screens)
        if self.apart:
            frame = np.maximum(self._grey(older, older), self._grey(newer, newer))
        else:
            frame = self._grey(older, newer)
        return frame[..., *self.kept]

    def _grey(
        self, older: UInt8[np.ndarray, "height width"], newer: UInt8[np.ndarray, "height width"]
    ) -> Shaped[np.ndarray, "..."]:
        """Of the two, as grey, or in colour."""
        if self.colours is None:
            return self._seen(older, newer, self.greys.table)
        planes = [self._seen(older, newer, table) for table in self.colours.tables]
        return np.stack(planes) if self.grey is None else self.grey(np.stack(planes, -1))

    def _seen(
        self,
        older: UInt8[np.ndarray, "height width"],
        newer: UInt8[np.ndarray, "height width"],
        table: Float[np.ndarray, "65536"],
    ) -> Shaped[np.ndarray, "rows columns"]:
        """What a table makes of the two, resized and rounded."""
        np.left_shift(older, 8, out=self._pairs, dtype=np.uint16)
        np.bitwise_or(self._pairs, newer, out=self._pairs)
        # no index is out of range: "clip" only spares numpy a copy
        table.take(self._pairs, out=self._frame, mode="clip")
        frame = _stretched(self._frame) if self.stretch else self._frame
        return self.round(self.resize(frame, self.size))


def rendered_screens(
    screens: UInt8[np.ndarray, "*batch 2 height width"] | UInt8[Tensor, "*batch 2 height width"],
    palette: UInt8[np.ndarray, "256 3"],
    preprocessing: Preprocessing,
    greys: UInt8[np.ndarray, "256"] | None = None,
) -> Shaped[Tensor, "*batch ..."]:
    """The newest frames of the observations, from the last two screens (palette indices).

    greys: the emulator's own, which "luma" takes where the maximum is taken in grey; OpenCV's if
        not given. They differ in some colours of games for PAL televisions.
    Returns bytes, or float32 in 0..1 where the preprocessing does not round, on screens' device;
    each of `preprocessing.frame`.
    Raises ValueError as `Renderer` does.

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
    return torch.from_numpy(frames).view(*pairs.shape[:-3], *preprocessing.frame).to(device)


def _stretched(frame: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    """Bytes, the darkest 0 and the brightest 255, as scipy.misc's bytescale (until 1.3) made them
    of what was no bytes; of one grey alone, 0."""
    least, most = frame.min(), frame.max()
    scaled = (frame - least) * (255.0 / ((most - least) or 255.0))
    return (scaled.clip(0, 255) + 0.5).astype(np.uint8).astype(frame.dtype)
