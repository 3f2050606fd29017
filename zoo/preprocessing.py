"""From the screen to the observation, in torch, bit for bit as OpenCV computes it.

OpenCV (modules/imgproc/src/resize.cpp, color_rgb) is where the published preprocessings took
their grey and their resize from, so its order of rounding is kept.
"""

from __future__ import annotations

from functools import cache
from math import ceil, floor

import torch
from jaxtyping import UInt8
from torch import Tensor


def grey(rgb: UInt8[Tensor, "*batch height width 3"]) -> UInt8[Tensor, "*batch height width"]:
    """Luminance as `cv2.cvtColor(RGB2GRAY)` has it: weights in 1/32768, rounded half up."""
    red, green, blue = rgb.to(torch.int32).unbind(-1)
    return (red * 9798 + green * 19235 + blue * 3735 + 16384 >> 15).to(torch.uint8)


def resize_area(
    frames: UInt8[Tensor, "*batch height width"], size: int = 84
) -> UInt8[Tensor, "*batch size size"]:
    """Shrinks to size x size as `cv2.resize(INTER_AREA)` does, rounding half to even.

    Not where height and width are both whole multiples of `size`, as no game's are to 84:
    there OpenCV rounds halves up.
    """
    height, width = frames.shape[-2:]
    rows = _weighted_sum(frames.to(torch.float32), *_area_weights(width, size, frames.device))
    columns = _weighted_sum(rows.mT, *_area_weights(height, size, frames.device))
    return columns.mT.round().clamp(0, 255).to(torch.uint8)


def _weighted_sum(values: Tensor, index: Tensor, weights: Tensor) -> Tensor:
    # term after term, as OpenCV adds them: another order rounds exact halves differently
    total = values[..., index[0]] * weights[0]
    for which, weight in zip(index[1:], weights[1:], strict=True):
        total = total + values[..., which] * weight
    return total


@cache
def _area_weights(source: int, target: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Which source pixels each target pixel covers and how much: both (terms, target)."""
    scale = source / target
    cells = [_cell(i * scale, scale, source) for i in range(target)]
    terms = max(map(len, cells))
    index = torch.zeros(terms, target, dtype=torch.long)
    weights = torch.zeros(terms, target)
    for column, cell in enumerate(cells):
        for term, (pixel, weight) in enumerate(cell):
            index[term, column], weights[term, column] = pixel, weight
    return index.to(device), weights.to(device)


def _cell(start: float, scale: float, source: int) -> list[tuple[int, float]]:
    end = start + scale
    width = min(scale, source - start)
    first = min(ceil(start), source - 1)
    last = min(floor(end), source - 1)
    cell = [(first - 1, (first - start) / width)] if first - start > 1e-3 else []
    cell += [(pixel, 1 / width) for pixel in range(first, last)]
    if end - last > 1e-3:
        cell.append((last, min(min(end - last, 1.0), width) / width))
    return cell
