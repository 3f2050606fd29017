"""Layouts: where the rows and columns of the screen are among the axes of a value.

An axis is a product of parts, as einops has it (Rogozhnikov, 2022): that of a flattened map is
channels x rows x columns. So a map is found again behind any transposing and reshaping.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

ROWS, COLUMNS, OTHER = "rows", "columns", ""
Part = tuple[str, int]  # what it is, and its size; those of size 1 are left out
Axis = tuple[Part, ...]
Layout = tuple[Axis, ...]
MAPS = (ROWS, COLUMNS)


def axis_of(kind: str, size: int) -> Axis:
    """An axis of one kind; nothing is said of a size of 1."""
    return ((kind, size),) if size != 1 else ()


def map_layout(batch: int, channels: int, rows: int, columns: int) -> Layout:
    """Of maps as convolutions have them."""
    return (
        axis_of(OTHER, batch),
        axis_of(OTHER, channels),
        axis_of(ROWS, rows),
        axis_of(COLUMNS, columns),
    )


def kinds_in(axis: Axis) -> set[str]:
    """Which of rows and columns are in an axis."""
    return {kind for kind, _ in axis} - {OTHER}


def is_maps(layout: Layout) -> bool:
    """Whether the axes are batch, channels, rows, columns."""
    if len(layout) != 4 or kinds_in(layout[0]) or kinds_in(layout[1]):
        return False
    return all(
        not axis or (len(axis) == 1 and axis[0][0] == kind)
        for axis, kind in zip(layout[2:], MAPS, strict=True)
    )


def regrouped(layout: Layout, shape: Sequence[int]) -> Layout | None:
    """The layout behind a reshaping; None where that cuts rows or columns into pieces."""
    parts = [part for axis in layout for part in axis]
    made: list[Axis] = []
    for size in shape:
        axis: list[Part] = []
        while prod(count for _, count in axis) < size:
            if not parts:
                return None
            kind, count = parts.pop(0)
            needed = size // prod(count for _, count in axis)
            if count > needed:
                if kind != OTHER or not needed or count % needed:
                    return None
                parts.insert(0, (kind, count // needed))
                count = needed
            axis.append((kind, count))
        if prod(count for _, count in axis) != size:
            return None
        made.append(tuple(axis))
    return None if parts else parts_joined(made)


def parts_joined(layout: Sequence[Axis]) -> Layout:
    """The same layout, whatever lies side by side and is neither rows nor columns as one part."""
    made = []
    for axis in layout:
        parts: list[Part] = []
        for kind, count in axis:
            if parts and kind == parts[-1][0] == OTHER:
                parts[-1] = (OTHER, parts[-1][1] * count)
            else:
                parts.append((kind, count))
        made.append(tuple(parts))
    return tuple(made)


def broadcast(layouts: Sequence[Layout], shape: Sequence[int]) -> Layout | None:
    """Of what is computed number by number from such values, and has that shape; None where what
    is a row in the one is a column in the other."""
    made = []
    for place, size in enumerate(reversed(shape), start=1):
        axes = {layout[-place] for layout in layouts if len(layout) >= place and layout[-place]}
        if len(axes) > 1:
            return None
        made.append(axes.pop() if axes else axis_of(OTHER, size))
    return tuple(reversed(made))
