"""Boxes of an observation of 84x84 on the colour screen that it was made from."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor

from atari_zoo.converters.network.receptive_fields import Box

SIZE = 84  # of an observation
Edge = Callable[[int, int], float]


def _by_area(edge: int, source: int) -> float:
    """Each pixel of the observation stands for an equal part of the screen."""
    return edge * source / SIZE


def _by_corners(edge: int, source: int) -> float:
    """The middles of the first and last pixels lie on those of the screen's."""
    return (edge - 0.5) * (source - 1) / (SIZE - 1) + 0.5


# where the border before a pixel of the observation lies on the screen, by the resizes of
# `zoo/preprocessing`; what Pillow's triangle reaches beyond, half a pixel of the observation, is
# left out
EDGES: dict[str, Edge] = {"area": _by_area, "triangle": _by_area, "bilinear": _by_corners}


def native_box(box: Box, screen: tuple[int, int], resize: str) -> Box:
    """The smallest box of the screen's pixels that covers a box of the observation's.

    screen: its height and width, such as 210 x 160. resize: as a Preprocessing names it.

    >>> native_box(Box(0, 42, 42, 42), (210, 160), "area")
    Box(top=0, left=80, height=105, width=80)
    """
    edge = EDGES[resize]
    top, left = (
        max(0, floor(edge(start, size) + 1e-9))
        for start, size in zip((box.top, box.left), screen, strict=True)
    )
    bottom, right = (
        min(size, ceil(edge(end, size) - 1e-9))
        for end, size in zip((box.bottom, box.right), screen, strict=True)
    )
    return Box(top, left, bottom - top, right - left)
