"""Frames to another size, number for number as the libraries of the published preprocessings do it.

All take frames of whole numbers or others in 0..255, and give float32; `size` is (height, width).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from jaxtyping import Float, Float32, Int64

from atari_zoo.preprocessing.area import resize_area

Resize = Callable[[np.ndarray, tuple[int, int]], np.ndarray]
COEFFICIENT = 2048  # OpenCV's weights of bytes are in parts of this


def resize_bilinear(
    frame: Float32[np.ndarray, "height width"], size: tuple[int, int] = (84, 84)
) -> Float32[np.ndarray, "rows columns"]:
    """Between the four nearest pixels, corners on corners, as TensorFlow's `resize_bilinear` has
    it with align_corners=True (core/kernels/image/resize_bilinear_op.cc)."""
    rows, down = _neighbours(frame.shape[0], size[0])
    columns, along = _neighbours(frame.shape[1], size[1])
    lines = frame.take(rows.reshape(-1), axis=0)
    left, right = (lines.take(column, axis=1) for column in columns)
    upper, lower = (left + (right - left) * along).reshape(2, *size)
    return upper + (lower - upper) * down[:, None]


def resize_triangle(
    frame: Float32[np.ndarray, "height width"], size: tuple[int, int] = (84, 84)
) -> Float32[np.ndarray, "rows columns"]:
    """Weighted by a triangle two target pixels wide: Pillow's BILINEAR for mode "F".

    First along the rows, as every Pillow before 13 does; that begins with the columns of screens
    of 250 lines, and comes 1e-5 apart."""
    return _pillow(frame.astype(np.float32), size)


def resize_triangle_bytes(
    frame: Float[np.ndarray, "height width"], size: tuple[int, int] = (84, 84)
) -> Float32[np.ndarray, "rows columns"]:
    """The same for mode "L", of bytes: rounded after each of the two directions."""
    return _pillow(frame.astype(np.uint8), size).astype(np.float32)


def resize_linear(
    frame: Float[np.ndarray, "height width"], size: tuple[int, int] = (84, 84)
) -> Float32[np.ndarray, "rows columns"]:
    """Between the four nearest pixels, middles of areas on each other, as OpenCV's INTER_LINEAR has
    it for floats (modules/imgproc: HResizeLinear, VResizeLinear)."""
    (top, bottom), down = _between(frame.shape[0], size[0])
    (left, right), along = _between(frame.shape[1], size[1])
    before, after = (1 - along).astype(np.float32), along.astype(np.float32)
    lines = frame[:, left] * before + frame[:, right] * after
    upper, lower = (1 - down).astype(np.float32)[:, None], down.astype(np.float32)[:, None]
    return (lines[top] * upper + lines[bottom] * lower).astype(np.float32)


def resize_linear_bytes(
    frame: Float[np.ndarray, "height width"], size: tuple[int, int] = (84, 84)
) -> Float32[np.ndarray, "rows columns"]:
    """The same of bytes: OpenCV's arithmetic of whole numbers, rounded to bytes."""
    (top, bottom), down = _between(frame.shape[0], size[0])
    (left, right), along = _between(frame.shape[1], size[1])
    before, after = _whole(1 - along), _whole(along)
    pixels = frame.astype(np.int32)
    lines = (pixels[:, left] * before + pixels[:, right] * after) >> 4
    upper, lower = _whole(1 - down)[:, None], _whole(down)[:, None]
    sums = (lines[top] * upper >> 16) + (lines[bottom] * lower >> 16)
    return ((sums + 2) >> 2).astype(np.float32)


def resize_nearest(
    frame: Float[np.ndarray, "height width"], size: tuple[int, int] = (84, 84)
) -> Float32[np.ndarray, "rows columns"]:
    """The pixel at the beginning of each area: OpenCV's INTER_NEAREST."""
    rows, columns = map(_first, frame.shape, size)
    return frame[rows[:, None], columns].astype(np.float32)


RESIZES: dict[str, Resize] = {
    "area": resize_area,
    "bilinear": resize_bilinear,
    "triangle": resize_triangle,
    "linear": resize_linear,
    "nearest": resize_nearest,
}
# where bytes are resized otherwise than other numbers
OF_BYTES: dict[str, Resize] = {"linear": resize_linear_bytes, "triangle": resize_triangle_bytes}


def _pillow(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    from PIL import Image  # here, as few agents see through it, and loading one need not wait

    lines = Image.fromarray(frame).resize((size[1], len(frame)), Image.Resampling.BILINEAR)
    return np.asarray(lines.resize((size[1], size[0]), Image.Resampling.BILINEAR))


@cache
def _neighbours(
    source: int, target: int
) -> tuple[Int64[np.ndarray, "2 target"], Float32[np.ndarray, "target"]]:
    """The pixels before and after each target pixel, and how far it is from the first."""
    places = np.arange(target, dtype=np.float32) * np.float32((source - 1) / max(target - 1, 1))
    before = np.floor(places)
    pixels = np.stack([before, np.minimum(before + 1, source - 1)]).astype(np.int64)
    return pixels, places - before


@cache
def _between(
    source: int, target: int
) -> tuple[Int64[np.ndarray, "2 target"], Float32[np.ndarray, "target"]]:
    """The same by the middles of areas; what lies beyond the border is the pixel at it."""
    places = (np.arange(target) + 0.5) * _scale(source, target) - 0.5
    before = np.floor(places)
    pixels = np.clip(np.stack([before, before + 1]), 0, source - 1).astype(np.int64)
    return pixels, (places - before).astype(np.float32)


@cache
def _first(source: int, target: int) -> Int64[np.ndarray, "target"]:
    """The pixel that each target pixel begins in."""
    places = np.floor(np.arange(target) * _scale(source, target)).astype(np.int64)
    return np.minimum(places, source - 1)


def _scale(source: int, target: int) -> float:
    return 1 / (target / source)  # as OpenCV divides, which is another number at times


def _whole(weights: Float32[np.ndarray, "target"]) -> np.ndarray:
    return np.rint(weights * np.float32(COEFFICIENT)).astype(np.int32)
