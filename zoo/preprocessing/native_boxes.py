"""Boxes of an observation on the colour screen that it was made from."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor

from atari_zoo.converters.network.receptive_fields import Box
from atari_zoo.converters.preprocessings import Preprocessing

Edge = Callable[[int, int, int], float]


def _by_area(edge: int, size: int, source: int) -> float:
    """Each pixel of the observation stands for an equal part of the screen."""
    return edge * source / size


def _by_corners(edge: int, size: int, source: int) -> float:
    """The middles of the first and last pixels lie on those of the screen's."""
    return (edge - 0.5) * (source - 1) / max(size - 1, 1) + 0.5


# where the border before a pixel of the observation lies on the screen, by the resizes of
# `zoo/preprocessing`, if not by area; what Pillow's triangle and OpenCV's linear reach beyond or
# less, half a pixel of the observation, is left out
EDGES: dict[str, Edge] = {"bilinear": _by_corners}


def native_box(box: Box, screen: tuple[int, int], preprocessing: Preprocessing) -> Box:
    """The smallest box of the screen's pixels that covers a box of the observation's.

    screen: its height and width, such as 210 x 160.

    >>> native_box(Box(0, 42, 42, 42), (210, 160), Preprocessing())
    Box(top=0, left=80, height=105, width=80)
    """
    crop = preprocessing.crop or (0, screen[0], 0, screen[1])
    window = preprocessing.window or (0, preprocessing.size[0], 0, preprocessing.size[1])
    edge = EDGES.get(preprocessing.resize, _by_area)
    ends = []
    for axis, (start, end) in enumerate(((box.top, box.bottom), (box.left, box.right))):
        first, last = crop[2 * axis], crop[2 * axis + 1]
        size, source, moved = preprocessing.size[axis], last - first, window[2 * axis]
        begin = max(0, floor(edge(start + moved, size, source) + 1e-9))
        stop = min(source, ceil(edge(end + moved, size, source) - 1e-9))
        ends.append((first + begin, stop - begin))
    (top, height), (left, width) = ends
    return Box(top, left, height, width)
