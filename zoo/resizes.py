"""Grey frames to 84x84, number for number as the libraries of the published preprocessings do it.

All take float32 in 0..255 and give float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import ceil, floor
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64


def resize_area(
    frame: Float32[np.ndarray, "height width"], size: int = 84
) -> Float32[np.ndarray, "size size"]:
    """The mean over the area of a pixel, as OpenCV's INTER_AREA has it (modules/imgproc: resize).

    Of bytes: the exact mean, but where that is half-way between two bytes it is OpenCV's sum in
    float32, which its rounding errors put above or below.
    """
    height, width = frame.shape
    rows, columns = _cover(height, size), _cover(width, size)
    # of bytes, all these sums are integers below 2^24, which float32 holds exactly
    lines = rows.block @ frame.reshape(-1, rows.whole, width)
    sums = lines.reshape(-1, columns.whole) @ columns.block.T
    means = sums.reshape(size, size) / np.float32(rows.whole * columns.whole)
    halves = means - np.floor(means) == 0.5
    if halves.any():
        means[halves] = _as_opencv_adds(frame, halves, rows, columns)
    return means


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


@dataclass(frozen=True)
class _Cover:
    """Which of `source` pixels each of `target` pixels covers, along one axis.

    index, weights: (terms, target), as OpenCV's table of pixels and float32 weights.
    block: (outputs, `whole`), how much the first outputs cover of the first `whole` pixels, in
        parts of which `whole` make one output; after them all repeats.
    """

    index: Int64[np.ndarray, "terms target"]
    weights: Float32[np.ndarray, "terms target"]
    block: Float32[np.ndarray, "outputs whole"]
    whole: int


@cache
def _cover(source: int, target: int) -> _Cover:
    scale = Fraction(source, target)
    whole, outputs = scale.numerator, scale.denominator
    cells: list[list[tuple[int, Fraction]]] = []
    for start, end in ((out * scale, (out + 1) * scale) for out in range(target)):
        covered = range(floor(start), ceil(end))
        cells.append([(i, min(end, Fraction(i + 1)) - max(start, Fraction(i))) for i in covered])
    terms = max(map(len, cells))
    padded = [cell + [(0, Fraction(0))] * (terms - len(cell)) for cell in cells]
    index = np.array([[i for i, _ in cell] for cell in padded], np.int64).T
    weights = np.array([[float(part / scale) for _, part in cell] for cell in padded]).T
    block = np.zeros((outputs, whole), np.float32)
    for out in range(outputs):
        for i, part in cells[out]:
            block[out, i] = part * outputs
    return _Cover(index, weights.astype(np.float32), block, whole)


def _as_opencv_adds(
    frame: Float32[np.ndarray, "height width"],
    where: Bool[np.ndarray, "size size"],
    rows: _Cover,
    columns: _Cover,
) -> Float32[np.ndarray, "places"]:
    """The values at some places, summed term by term in float32: along a row, then down."""
    row, column = np.divmod(np.flatnonzero(where), where.shape[1])  # faster than `nonzero`
    down, along = rows.index[:, None, row], columns.index[None, :, column]
    parts = frame[down, along] * columns.weights[None, :, column]
    return _in_order(_in_order(parts.swapaxes(0, 1)) * rows.weights[:, row])


def _in_order(terms: Iterable[Any]) -> Any:
    first, *others = terms
    for term in others:
        first = first + term
    return first


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
        total = _in_order(near)  # not `sum`, which Python 3.12 rounds better
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
