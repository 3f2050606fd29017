"""Grey frames to 84x84, number for number as the libraries of the published preprocessings do it.

All take float32 in 0..255 and give float32.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from jaxtyping import Float32, Int64

from atari_zoo.preprocessing.area import resize_area


def resize_bilinear(
    frame: Float32[np.ndarray, "height width"], size: int = 84
) -> Float32[np.ndarray, "size size"]:
    """Between the four nearest pixels, corners on corners, as TensorFlow's `resize_bilinear` has
    it with align_corners=True (core/kernels/image/resize_bilinear_op.cc)."""
    height, width = frame.shape
    rows, down = _neighbours(height, size)
    columns, along = _neighbours(width, size)
    lines = frame.take(rows.reshape(-1), axis=0)
    left, right = (lines.take(column, axis=1) for column in columns)
    upper, lower = (left + (right - left) * along).reshape(2, size, size)
    return upper + (lower - upper) * down[:, None]


def resize_triangle(
    frame: Float32[np.ndarray, "height width"], size: int = 84
) -> Float32[np.ndarray, "size size"]:
    """Weighted by a triangle two target pixels wide: Pillow's BILINEAR for mode "F".

    First along the rows, as every Pillow before 13 does; that begins with the columns of screens
    of 250 lines, and comes 1e-5 apart."""
    from PIL import Image  # here, as few agents see through it, and loading one need not wait

    lines = Image.fromarray(frame).resize((size, len(frame)), Image.Resampling.BILINEAR)
    return np.asarray(lines.resize((size, size), Image.Resampling.BILINEAR))


RESIZES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "area": resize_area,
    "bilinear": resize_bilinear,
    "triangle": resize_triangle,
}


@cache
def _neighbours(
    source: int, target: int
) -> tuple[Int64[np.ndarray, "2 target"], Float32[np.ndarray, "target"]]:
    """The pixels before and after each target pixel, and how far it is from the first."""
    places = np.arange(target, dtype=np.float32) * np.float32((source - 1) / (target - 1))
    before = np.floor(places)
    pixels = np.stack([before, np.minimum(before + 1, source - 1)]).astype(np.int64)
    return pixels, places - before
