"""Checks of a preprocessing: that its parts are known and go together, and fit a screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from atari_zoo.converters.preprocessings import Preprocessing
from atari_zoo.preprocessing.greys import COLOUR, GREYS, POOLS
from atari_zoo.preprocessing.resizes import RESIZES

STACKS = range(1, 9)  # frames in an observation
STARTS = ("zeros", "copies")
TALLEST = 250, 160  # height and width of the largest screens that ale-py's games have
LARGEST = 1024  # pixels of a side
MOST_FRAMES = 10_000  # of one step, and of no-ops: nearly three minutes


def _nearest(frame: np.ndarray) -> np.ndarray:
    return np.rint(frame).astype(np.uint8)


def _truncate(frame: np.ndarray) -> np.ndarray:
    return frame.astype(np.uint8)


def _scaled(frame: np.ndarray) -> np.ndarray:
    return frame.astype(np.float32, copy=False) * np.float32(1 / 255)


ROUNDINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "nearest": _nearest,
    "truncate": _truncate,
    "none": _scaled,
}


# grey, max_pool and rounding where colours are resized: red, green and blue are bytes
COLOURED = tuple(
    (grey, pool, "nearest") for grey in ("luma", "gymnasium") for pool in ("rgb", "none")
)


def check_renderable(preprocessing: Preprocessing, height: int, width: int) -> None:
    """Raises ValueError where frames cannot be made of screens of this size, with the reason."""
    known = (("grey", (*GREYS, COLOUR)), ("max_pool", POOLS), ("resize", RESIZES))
    for name, choices in (*known, ("rounding", ROUNDINGS), ("stack_start", STARTS)):
        wanted = getattr(preprocessing, name)
        if wanted not in choices:
            raise ValueError(f"no {name} '{wanted}'; there are {', '.join(choices)}")
    if preprocessing.stack not in STACKS:
        raise ValueError(f"stack is {preprocessing.stack}; expected 1 to {STACKS[-1]} frames")
    kind = preprocessing.grey, preprocessing.max_pool, preprocessing.rounding
    if preprocessing.resize_colour and kind not in COLOURED:
        raise ValueError(
            f"resize_colour with {kind}; colours that are resized are bytes: take the grey luma or "
            "gymnasium, the maximum in rgb or of the last frame (none), and rounding nearest"
        )
    if preprocessing.grey == COLOUR and preprocessing.max_pool == "grey":
        raise ValueError("grey 'colour' with max_pool 'grey': take the maximum in 'rgb'")
    if preprocessing.stretch and (preprocessing.grey == COLOUR or preprocessing.resize_colour):
        raise ValueError("stretch is for greys: colours are resized as they are")
    least, most = preprocessing.frame_skip_least, preprocessing.frame_skip
    if not 1 <= most <= MOST_FRAMES:
        raise ValueError(f"frame_skip is {most}; expected 1 to {MOST_FRAMES} frames")
    if least > most:
        raise ValueError(f"frame_skip_least is {least}; expected no more than frame_skip, {most}")
    if preprocessing.noops > MOST_FRAMES:
        raise ValueError(f"noops is {preprocessing.noops}; expected 0 to {MOST_FRAMES}")
    if not 0 <= preprocessing.sticky <= 1:
        raise ValueError(f"sticky is {preprocessing.sticky}; expected 0 to 1")
    _check_sizes(preprocessing, height, width)


def _check_sizes(preprocessing: Preprocessing, height: int, width: int) -> None:
    _check_span("crop", preprocessing.crop, "the screen", height, width)
    top, bottom, left, right = preprocessing.crop or (0, height, 0, width)
    size = preprocessing.size
    if len(size) != 2 or not all(1 <= side <= LARGEST for side in size):
        raise ValueError(f"size is {size}; expected height and width, 1 to {LARGEST}")
    if preprocessing.resize == "area" and (size[0] > bottom - top or size[1] > right - left):
        raise ValueError(
            f"resize 'area' makes nothing larger: {size[0]}x{size[1]} of "
            f"{bottom - top}x{right - left} pixels; take 'linear'"
        )
    _check_span("window", preprocessing.window, "the resized frame", size[0], size[1])


def _check_span(name: str, span: Sequence[int], whole: str, height: int, width: int) -> None:
    if not span:
        return
    if len(span) != 4 or not (0 <= span[0] < span[1] <= height and 0 <= span[2] < span[3] <= width):
        raise ValueError(
            f"{name} is {tuple(span)}; expected first row, last, first column, last, each last one "
            f"excluded, within {whole} of {height}x{width}"
        )
