"""From the screen to the observation, in torch, bit for bit as OpenCV computes it.

OpenCV (modules/imgproc: color_rgb, resize) is where the published preprocessings took their grey
and their area resize from.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import ceil, floor

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor


def grey(rgb: UInt8[Tensor, "*batch height width 3"]) -> UInt8[Tensor, "*batch height width"]:
    """Luminance as `cv2.cvtColor(RGB2GRAY)` has it: weights in 1/32768, rounded half up."""
    weights = torch.tensor([9798.0, 19235.0, 3735.0], device=rgb.device)
    # sums stay below 2^24, so that float32 holds them exactly, and its products are fast
    sums = torch.mv(rgb.reshape(-1, 3).to(torch.float32), weights)
    return sums.add_(16384).mul_(1 / 32768).to(torch.uint8).view(rgb.shape[:-1])


def resize_area(
    frames: UInt8[Tensor, "*batch height width"], size: int = 84
) -> UInt8[Tensor, "*batch size size"]:
    """Shrinks to size x size as `cv2.resize(INTER_AREA)` does."""
    height, width = frames.shape[-2:]
    rows, columns = _cover(height, size, frames.device), _cover(width, size, frames.device)
    # in integers, which float32 holds exactly whatever order a product sums in
    sums = rows.counts @ frames.to(torch.float32) @ columns.counts.mT
    whole = rows.whole * columns.whole
    small = (sums / whole).round()
    halves = sums.fmod(whole) * 2 == whole
    if halves.any():  # there OpenCV's answer hangs on its own rounding errors
        small[halves] = _as_opencv_adds(frames, halves, rows, columns)
    return small.clamp(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class _Cover:
    """Which of `source` pixels each of `target` pixels covers, along one axis.

    counts: (target, source), how much of each, in parts of which `whole` make one target pixel.
    index, weights: (terms, target), the same as OpenCV's table of pixels and float32 weights.
    """

    counts: Tensor
    whole: int
    index: Tensor
    weights: Tensor


@cache
def _cover(source: int, target: int, device: torch.device) -> _Cover:
    scale = Fraction(source, target)
    counts = torch.zeros(target, source)
    cells: list[list[tuple[int, float]]] = []
    for out in range(target):
        start, end = out * scale, (out + 1) * scale
        covered = range(floor(start), ceil(end))
        parts = [(i, min(end, Fraction(i + 1)) - max(start, Fraction(i))) for i in covered]
        for pixel, part in parts:
            counts[out, pixel] = float(part * scale.denominator)
        cells.append([(pixel, float(part / scale)) for pixel, part in parts])
    terms = max(map(len, cells))
    padded = [cell + [(0, 0.0)] * (terms - len(cell)) for cell in cells]
    index = torch.tensor([[pixel for pixel, _ in cell] for cell in padded]).T
    weights = torch.tensor([[weight for _, weight in cell] for cell in padded]).T
    return _Cover(counts.to(device), scale.numerator, index.to(device), weights.to(device))


def _as_opencv_adds(
    frames: UInt8[Tensor, "*batch height width"],
    where: Bool[Tensor, "*batch size size"],
    rows: _Cover,
    columns: _Cover,
) -> Float[Tensor, "places"]:
    """The values at some places, summed term by term in float32: along a row, then down."""
    *batch, row, column = where.nonzero(as_tuple=True)
    total = torch.zeros(len(row), device=frames.device)
    for down, weight in zip(rows.index, rows.weights, strict=True):
        line = torch.zeros_like(total)
        for along, part in zip(columns.index, columns.weights, strict=True):
            pixels = frames[(*batch, down[row], along[column])]
            line = line + pixels.to(torch.float32) * part[column]
        total = total + line * weight[row]
    return total.round()
