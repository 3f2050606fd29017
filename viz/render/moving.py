"""Images moved by whole pixels, each by its own number, with a gradient as fast as the move."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 8  # samples: about 1 MB with their borders


class Moved(torch.autograd.Function):
    """The images, each moved by its own offsets (row, column) from the upper left of its border.

    Autograd's own gradient of such an indexing adds up pixel by pixel; this one copies squares.
    """

    @staticmethod
    def forward(
        ctx: Any, images: Tensor, offsets: Tensor, width: int, border: float | None
    ) -> Tensor:
        ctx.save_for_backward(offsets)
        ctx.width, ctx.mirrored = width, border is None
        mode, grey = ("reflect", None) if border is None else ("constant", border)
        moved = torch.empty_like(images)
        for block in _blocks(images):
            padded = F.pad(images[block], (width,) * 4, mode=mode, value=grey)
            _squares(padded, offsets[block], moved[block])
        return moved

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        (offsets,) = ctx.saved_tensors
        width, (height, across) = ctx.width, gradient.shape[2:]
        result = torch.empty_like(gradient)
        for block in _blocks(gradient):
            padded = _placed(gradient[block], offsets[block], 2 * width)
            if ctx.mirrored:
                _fold(padded, width, 2)
                _fold(padded, width, 3)
            result[block] = padded[:, :, width : width + height, width : width + across]
        return result, None, None, None


def _blocks(images: Tensor) -> list[slice]:
    """On a CPU few samples at a time, whose borders then never leave its cache."""
    size = BLOCK if images.device.type == "cpu" else max(1, len(images))
    return [slice(start, start + size) for start in range(0, len(images), size)]


def _squares(images: Tensor, offsets: Tensor, squares: Tensor) -> None:
    """Fills squares with those of the images, each at its offset."""
    height, width = squares.shape[2:]
    if images.device.type == "cpu":  # a copy a sample: an index a pixel takes five times longer
        for index, (row, column) in enumerate(offsets.tolist()):
            squares[index] = images[index, :, row : row + height, column : column + width]
        return
    windows = images.unfold(2, height, 1).unfold(3, width, 1)
    sample = torch.arange(len(images), device=images.device)
    squares.copy_(windows[sample, :, offsets[:, 0], offsets[:, 1]])


def _placed(squares: Tensor, offsets: Tensor, room: int) -> Tensor:
    """Black images, larger by `room`, with the squares each at its offset."""
    count, frames, height, width = squares.shape
    images = squares.new_zeros(count, frames, height + room, width + room)
    if squares.device.type == "cpu":
        for index, (row, column) in enumerate(offsets.tolist()):
            images[index, :, row : row + height, column : column + width] = squares[index]
    else:
        _squares(F.pad(squares, (room,) * 4), room - offsets, images)
    return images


def _fold(gradient: Tensor, width: int, axis: int) -> None:
    """Adds what the mirrored rows of both ends got to the rows that they mirror."""
    last = gradient.shape[axis] - 1 - width  # the last row that is no mirror image
    before, after = gradient.narrow(axis, 0, width), gradient.narrow(axis, last + 1, width)
    gradient.narrow(axis, width + 1, width).add_(before.flip(axis))
    gradient.narrow(axis, last - width, width).add_(after.flip(axis))
