"""Tiles: where each value of a layer stands in a picture, worked out once for a movie."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from atari_zoo.viz.images import FAINT, LINE, PAPER, text
from atari_zoo.viz.movies.boards import SMALL

GAP, APART = 1, 6  # pixels between two tiles, and between large ones
NAMED = 26  # pixels: from this width on a tile's number is written above it


class Tiles:
    """A layer's channels in reading order, each value a square of pixels.

    shape: of the layer: (channels, height, width), or (units,), or (actions, atoms), which is one
        tile. width: that all tiles together may have, in pixels.
    height: the same, if they are to be as large as that allows; wide ones then have their numbers
        above them. If not given they are small, and as many rows as are needed.
    """

    def __init__(self, shape: Sequence[int], width: int, height: int | None = None) -> None:
        self.channels, rows, columns = tile_shape(shape)
        across, self.factor = (
            _small(self.channels, columns, width)
            if height is None
            else _largest((self.channels, rows, columns), width, height)
        )
        self.head = SMALL + 3 if height is not None and columns * self.factor >= NAMED else 0
        down = -(-self.channels // across)
        high, wide = rows * self.factor, columns * self.factor
        gap = GAP if height is None else APART
        step = high + self.head + gap, wide + gap
        self.corners = [
            (channel // across * step[0] + self.head, channel % across * step[1])
            for channel in range(self.channels)
        ]
        self.height = down * step[0] - gap
        self.width = min(across, self.channels) * step[1] - gap
        # the number of the value that each pixel shows, or -1
        self.index = np.full((self.height, self.width), -1, np.intp)
        cells = np.arange(rows * columns).reshape(rows, columns)
        cells = cells.repeat(self.factor, 0).repeat(self.factor, 1)
        for channel, (top, left) in enumerate(self.corners):
            shown = channel * rows * columns + cells
            self.index[top : top + high, left : left + wide] = shown
        self._apart = self.index < 0
        self._between = self._numbers()[self._apart]

    def picture(
        self, colours: UInt8[np.ndarray, "channels values 3"]
    ) -> UInt8[np.ndarray, "height width 3"]:
        """The tiles in these colours, an entry for each of the layer's values."""
        flat = colours.reshape(-1, 3)
        shown = flat[self.index]
        shown[self._apart] = self._between
        return shown

    def _numbers(self) -> UInt8[np.ndarray, "height width 3"]:
        """What is between the tiles, with their numbers."""
        image = Image.new("RGB", (self.width, self.height), PAPER if self.head else LINE)
        draw = ImageDraw.Draw(image)
        for channel, (top, left) in enumerate(self.corners if self.head else ()):
            text(draw, (left, top - self.head), str(channel), FAINT, SMALL)
        return np.asarray(image)


def tile_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """A layer's channels, and rows and columns of each.

    Raises ValueError for a layer of more axes than a movie can show.
    """
    if len(shape) == 1:
        return shape[0], 1, 1
    if len(shape) == 2:
        return 1, shape[0], shape[1]
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    raise ValueError(f"a layer of {' x '.join(map(str, shape))} values has no picture")


def _small(channels: int, columns: int, width: int) -> tuple[int, int]:
    """Tiles across, and pixels for each value."""
    across = 64 if columns == 1 else 16 if channels <= 64 else 32
    across = max(1, min(across, (width + GAP) // (columns + GAP)))
    return across, max(1, ((width + GAP) // across - GAP) // columns)


def _largest(shape: tuple[int, int, int], width: int, height: int) -> tuple[int, int]:
    """The same, so that each value is as large as fits; a tenth of the room at the most."""
    channels, rows, columns = shape
    best = (1, 0)
    for across in range(1, channels + 1):
        down = -(-channels // across)
        factor = min(
            ((width + APART) // across - APART) // columns,
            ((height + APART) // down - APART - SMALL - 3) // rows,
            min(width, height) // 10,
        )
        best = max(best, (across, factor), key=lambda found: (found[1], -found[0]))
    return best if best[1] else (max(1, (width + APART) // (columns + APART)), 1)
