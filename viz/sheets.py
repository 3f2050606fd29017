"""Sheets: many small pictures of one size in a few PNG files, for pages to cut them out of."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from jaxtyping import UInt8
from PIL import Image

SIDE = 2048  # pixels of a sheet, at most: phones refuse to draw much larger pictures


@dataclass(frozen=True)
class Sheets:
    """Picture `i` is on file i // each, there at the place i % each in reading order.

    height, width: of one picture. files: PNG.
    """

    height: int
    width: int
    columns: int
    each: int
    files: tuple[bytes, ...]


def packed(
    pictures: Iterable[UInt8[np.ndarray, "height width *channels"]],
    height: int,
    width: int,
    side: int = SIDE,
) -> Sheets:
    """Puts pictures, grey (height, width) or RGB (height, width, 3), on sheets.

    They are taken one after another, and no more are held than one sheet has room for.
    side: of a sheet, in pixels, at most, unless a picture is larger.
    """
    columns, rows = (max(1, side // size) for size in (width, height))
    files = tuple(png_file(sheet) for sheet in _assembled(iter(pictures), columns, rows))
    return Sheets(height, width, columns, columns * rows, files)


def png_file(picture: UInt8[np.ndarray, "height width *channels"]) -> bytes:
    """The picture as a PNG file; with a palette if there are no more than 256 colours."""
    stream = io.BytesIO()
    (_indexed(picture) or Image.fromarray(picture)).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _assembled(
    pictures: Iterator[np.ndarray], columns: int, rows: int
) -> Iterator[UInt8[np.ndarray, "height width *channels"]]:
    while some := list(islice(pictures, columns * rows)):
        height, width, *channels = some[0].shape
        lines = -(-len(some) // columns)
        sheet = np.zeros((lines * height, columns * width, *channels), np.uint8)
        for index, picture in enumerate(some):
            top, left = index // columns * height, index % columns * width
            sheet[top : top + height, left : left + width] = picture
        yield sheet


def _indexed(picture: np.ndarray) -> Image.Image | None:
    """A picture with a palette; None where that loses colours, or has nothing to win."""
    if picture.ndim == 2:
        return None
    packed = picture.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    colours, index = np.unique(packed, return_inverse=True)
    if len(colours) > 256:
        return None
    image = Image.fromarray(index.astype(np.uint8).reshape(packed.shape))
    rgb = colours[:, None] >> np.array([16, 8, 0], np.uint32) & 255
    image.putpalette(rgb.astype(np.uint8).tobytes())
    return image
