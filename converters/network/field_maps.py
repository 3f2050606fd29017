"""Field maps: for every place of a map, what it sees of the screen.

Three things are carried from layer to layer. The ends of the part of the screen that a place sees
are a maximum over its kernel, as those of a union are. The ends beyond the screen too are the
arithmetic of Araujo et al. (2019, https://distill.pub/2019/computing-receptive-fields). And how
many ways lead to it from each pixel is a sum over its kernel, whose derivative counts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

NOWHERE = -torch.inf


@dataclass(frozen=True)
class Span:
    """Of places along one axis: place `i` sees the pixels from `first + i * jump` to those before
    `end + i * jump`, also beyond the screen."""

    first: int
    end: int
    jump: int

    def behind(self, kernel: int, stride: int, before: int, dilation: int) -> Span:
        """Of what a window gives of them, `before` being its padding."""
        reach = (kernel - 1) * dilation
        return Span(
            self.first - before * self.jump,
            self.end + (reach - before) * self.jump,
            self.jump * stride,
        )


@dataclass(frozen=True)
class FieldMaps:
    """Of all places of one map.

    seen: of each place the first row and column, negative, and the first row below and column
    beyond; -inf where it sees nothing. ways: to each place, with derivatives for the screen's
    pixels. rows, columns: of places beyond the screen too. screen: rows and columns of it."""

    seen: Float[Tensor, "1 4 height width"]
    ways: Float[Tensor, "1 1 height width"]
    rows: Span
    columns: Span
    screen: tuple[int, int]

    def united(self, *others: FieldMaps) -> FieldMaps:
        """Of a sum, product or other number by number: whatever either sees."""
        made = self
        for other in others:
            made = FieldMaps(
                torch.maximum(made.seen, other.seen),
                made.ways + other.ways,
                _union(made.rows, other.rows, self.screen[0]),
                _union(made.columns, other.columns, self.screen[1]),
                self.screen,
            )
        return made

    def gathered(self, rows: bool, columns: bool) -> FieldMaps:
        """Of a sum or mean over rows, columns, or both: their places become one."""
        axes = [axis for axis, chosen in ((2, rows), (3, columns)) if chosen]
        if not axes:
            return self
        return replace(
            self._whole(rows, columns),
            seen=self.seen.amax(axes, keepdim=True),
            ways=self.ways.sum(axes, keepdim=True),
        )

    def mixed(self, rows: bool, columns: bool) -> FieldMaps:
        """Of what is divided by a statistic of rows, columns, or both, such as a norm's: half of
        what leads to a place comes from its own, and half evenly from all."""
        if not rows and not columns:
            return self
        every = self.gathered(rows, columns)
        return replace(
            self._whole(rows, columns),
            seen=every.seen.expand_as(self.seen),
            ways=self.ways + every.ways * (every.ways.numel() / self.ways.numel()),
        )

    def windowed(
        self,
        size: Sequence[int],
        kernel: Sequence[int],
        stride: Sequence[int] = (1, 1),
        before: Sequence[int] = (0, 0),
        dilation: Sequence[int] = (1, 1),
    ) -> FieldMaps:
        """Of a convolution, a pool, or, with a kernel of 1, of padding and cutting.

        size: of what it gives; it tells the padding that there is beyond, as `before` does above
        and to the left.
        """
        padding = []
        for axis in (1, 0):
            covered = (size[axis] - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1
            beyond = covered - self.seen.shape[2 + axis] - before[axis]
            padding += [before[axis], beyond]
        seen = F.pad(self.seen, padding, value=NOWHERE)
        ones = self.ways.new_ones(1, 1, *kernel)
        return FieldMaps(
            F.max_pool2d(seen, tuple(kernel), tuple(stride), 0, tuple(dilation)),
            F.conv2d(
                F.pad(self.ways, padding), ones, stride=tuple(stride), dilation=tuple(dilation)
            ),
            self.rows.behind(kernel[0], stride[0], before[0], dilation[0]),
            self.columns.behind(kernel[1], stride[1], before[1], dilation[1]),
            self.screen,
        )

    def resampled(self, size: Sequence[int]) -> FieldMaps:
        """Of an adaptive pool, whose windows are of several sizes where it does not divide."""
        (high, wide), (height, width) = size, self.seen.shape[2:]
        if height % high == 0 and width % wide == 0:
            kernel = (height // high, width // wide)
            return self.windowed(size, kernel, kernel)
        each = height * width / (high * wide)
        return replace(
            self._whole(True, True),
            seen=F.adaptive_max_pool2d(self.seen, (high, wide)),
            ways=F.adaptive_avg_pool2d(self.ways, (high, wide)) * each,
        )

    def mirrored(self, padding: Sequence[int], mode: str) -> FieldMaps:
        """Of padding with what is there. padding: left, right, top, bottom."""
        return replace(
            self._whole(True, True),
            seen=F.pad(self.seen, tuple(padding), mode=mode),
            ways=F.pad(self.ways, tuple(padding), mode=mode),
        )

    def _whole(self, rows: bool, columns: bool) -> FieldMaps:
        """With all of the screen's rows, columns, or both as what a place sees."""
        return replace(
            self,
            rows=Span(0, self.screen[0], 0) if rows else self.rows,
            columns=Span(0, self.screen[1], 0) if columns else self.columns,
        )


def screen_maps(height: int, width: int) -> tuple[FieldMaps, Tensor]:
    """Of the screen, where each place sees itself; and the pixels, for derivatives."""
    pixels = torch.ones(1, 1, height, width, dtype=torch.float64, requires_grad=True)
    row = torch.arange(height, dtype=torch.float64)[:, None].expand(height, width)
    column = torch.arange(width, dtype=torch.float64).expand(height, width)
    seen = torch.stack([-row, -column, row + 1, column + 1])[None]
    unit = Span(0, 1, 1)
    return FieldMaps(seen, pixels * 1, unit, unit, (height, width)), pixels


def _union(one: Span, other: Span, screen: int) -> Span:
    if one.jump != other.jump:  # the one sees all, or they lie at different places
        return Span(0, screen, 0)
    return Span(min(one.first, other.first), max(one.end, other.end), one.jump)
