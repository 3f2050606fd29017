"""Grey frames to 84x84, number for number as the libraries of the published preprocessings do it.

All take float32 in 0..255 and give float32.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, reduce
from operator import add

import numpy as np
from jaxtyping import Float32, Float64, Int64

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
    """Weighted by a triangle two target pixels wide, as Pillow's BILINEAR has it for mode "F"
    (src/libImaging/Resample.c): in float64, and to float32 after each direction, first along the
    rows. Pillow 13 begins with the columns of screens of 250 lines: 1e-5 apart."""
    height, width = frame.shape
    lines = _weighted(frame.T, *_triangle(width, size))
    return _weighted(lines.T, *_triangle(height, size))


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


@cache
def _triangle(
    source: int, target: int
) -> tuple[Int64[np.ndarray, "terms target"], Float64[np.ndarray, "terms target"]]:
    """The pixels that make up each target pixel, in order, and their weights."""
    scale = source / target
    reach = max(scale, 1.0)
    starts, weights = [], []
    for out in range(target):
        centre = (out + 0.5) * scale
        first, last = max(int(centre - reach + 0.5), 0), min(int(centre + reach + 0.5), source)
        near = [max(1 - abs((i - centre + 0.5) * (1 / reach)), 0.0) for i in range(first, last)]
        starts.append(first)
        total = reduce(add, near)  # not `sum`, which Python 3.12 rounds better
        weights.append([weight / total for weight in near])
    terms = max(map(len, weights))
    index = np.array(starts) + np.arange(terms)[:, None]
    padded = np.array([some + [0.0] * (terms - len(some)) for some in weights]).T
    return np.minimum(index, source - 1), np.ascontiguousarray(padded)


def _weighted(
    frame: Float32[np.ndarray, "source other"],
    index: Int64[np.ndarray, "terms target"],
    weights: Float64[np.ndarray, "terms target"],
) -> Float32[np.ndarray, "target other"]:
    """Lines times their weights, added one after another."""
    lines = np.ascontiguousarray(frame, np.float64)
    total = np.zeros((weights.shape[1], lines.shape[1]))
    product = np.empty_like(total)  # one memory for all: fresh memory of this size is slow
    for pixels, weight in zip(index, weights, strict=True):
        lines.take(pixels, axis=0, out=product, mode="clip")
        product *= weight[:, None]
        total += product
    return total.astype(np.float32)
