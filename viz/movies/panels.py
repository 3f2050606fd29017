"""Panels: a network at one moment, with the game, the observation and the five classic layers.

The layout follows the activation movies of the original zoo (https://github.com/uber-research/
atari-model-zoo, activation_movie.py). Two things differ: the dense layer is scaled over the
whole trajectory and not frame by frame, so that its brightness can be compared between frames;
and an incomplete last row of maps is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from atari_zoo.viz.images import (
    BAR,
    CHOSEN,
    FAINT,
    INK,
    LINE,
    MARGIN,
    PAPER,
    Colour,
    enlarge,
    fitting,
    grid,
    in_grey,
    sequential,
    text,
)

QUIET: Colour = (66, 73, 86)  # of units that never change
HEAD, MAPS_WIDTH, BAR_ROW = 22, 687, 17  # pixels: above the maps, across them, of an action
CONTROLS = 48  # pixels at the bottom, which a player's controls may cover
ZOOM = 2  # of the game and of the observation


@dataclass(frozen=True)
class Range:
    """Smallest and largest values over a trajectory: (channels,) of a layer; () of the output, how
    far one lies from the mean of all."""

    low: Float[np.ndarray, "*channels"]
    high: Float[np.ndarray, "*channels"]

    def unit(self, values: np.ndarray) -> np.ndarray:
        """Values (channels, ...) as 0..1; 0 where nothing ever changes."""
        axes = (...,) + (None,) * (values.ndim - self.low.ndim)
        spread = np.where(self.high > self.low, self.high - self.low, 1)
        return (values - self.low[axes]) / spread[axes]


@dataclass(frozen=True)
class MovieMoment:
    """What one picture shows; `layers` are (channels, height, width) or (units,)."""

    frame: UInt8[np.ndarray, "height width 3"]
    observation: UInt8[np.ndarray, "frames rows columns"]
    layers: Mapping[str, Float[np.ndarray, "channels *size"]]
    output: Float[np.ndarray, "actions"]
    action: int
    status: str


class Panel:
    """Draws moments of one network, every layer always at the same place.

    title: the first line of text. actions: the names of the outputs.
    shapes: layer -> (channels, height, width) or (units,), from the input to the output.
    ranges: of those layers, and of "output", whose bars show how far each lies from their mean.
    """

    def __init__(
        self,
        title: str,
        actions: Sequence[str],
        screen: tuple[int, int],
        frames: Sequence[int],
        shapes: Mapping[str, Sequence[int]],
        ranges: Mapping[str, Range],
    ) -> None:
        self.actions, self.ranges = actions, ranges
        self.game = (MARGIN, MARGIN + HEAD)  # left, top
        self.left_width = max(320, screen[1] * ZOOM)
        self.right = MARGIN + self.left_width + 2 * MARGIN
        self.status_top = self.game[1] + screen[0] * ZOOM + 10
        self.bars_top = self.status_top + 32
        self.tops: dict[str, int] = {}
        labels, bottom = {"observation": _observation_label(frames)}, MARGIN
        for name, shape in {"observation": frames, **shapes}.items():
            self.tops[name] = bottom + HEAD
            labels.setdefault(name, f"{name}   {' x '.join(map(str, shape))}")
            bottom = self.tops[name] + _height(name, shape) + 10
        self.legend_top = bottom
        height = max(bottom + HEAD, self.bars_top + len(actions) * BAR_ROW + 24) + CONTROLS
        width = self.right + MAPS_WIDTH + MARGIN
        # 4:2:0 video halves the colour's size, so both sides are even
        self.background = self._drawn(title, labels, height + height % 2, width + width % 2)

    def picture(self, moment: MovieMoment) -> UInt8[np.ndarray, "height width 3"]:
        """The moment's picture; its size is always the same."""
        canvas = self.background.copy()
        _paste(canvas, enlarge(moment.frame, ZOOM), *self.game)
        screens = grid(enlarge(in_grey(moment.observation), ZOOM), 4, background=PAPER)
        _paste(canvas, screens, self.right, self.tops["observation"])
        for name, values in moment.layers.items():
            _paste(canvas, self._maps(name, values), self.right, self.tops[name])
        image = Image.fromarray(canvas)
        draw = ImageDraw.Draw(image)
        text(draw, (MARGIN, self.status_top), moment.status, INK, 14)
        self._bars(draw, moment)
        return np.asarray(image)

    def _maps(self, name: str, values: np.ndarray) -> UInt8[np.ndarray, "height width 3"]:
        scale = self.ranges[name]
        colours = sequential(scale.unit(values))
        colours[scale.high <= scale.low] = QUIET
        columns, factor = _tiling(values.shape)
        tiles = colours.reshape(len(values), *(values.shape[1:] or (1, 1)), 3)
        return grid(enlarge(tiles, factor), columns, background=LINE)

    def _bars(self, draw: ImageDraw.ImageDraw, moment: MovieMoment) -> None:
        """From where an output equals the mean of all to where this one lies."""
        scale = self.ranges["output"]
        left, right = MARGIN + 132, MARGIN + self.left_width - 58
        apart = np.append(moment.output - moment.output.mean(), 0.0)
        *ends, mean = left + np.clip(scale.unit(apart), 0, 1) * (right - left)
        for index, end in enumerate(ends):
            top = self.bars_top + index * BAR_ROW
            chosen = index == moment.action
            draw.rectangle((left, top + 3, right, top + BAR_ROW - 4), fill=LINE)
            bar = (min(mean, end), top + 3, max(mean, end), top + BAR_ROW - 4)
            draw.rectangle(bar, fill=CHOSEN if chosen else BAR)
            middle = top + BAR_ROW / 2
            ink = CHOSEN if chosen else FAINT
            text(draw, (left - 8, middle), self.actions[index], ink, 12, anchor="rm")
            number = f"{moment.output[index]:z.2f}"
            text(draw, (right + 54, middle), number, ink, 12, anchor="rm")

    def _drawn(
        self, title: str, labels: Mapping[str, str], height: int, width: int
    ) -> UInt8[np.ndarray, "height width 3"]:
        image = Image.new("RGB", (width, height), PAPER)
        draw = ImageDraw.Draw(image)
        text(draw, (MARGIN, MARGIN - 2), title, INK, 15)
        for name, words in labels.items():
            text(draw, (self.right, self.tops[name] - 6), words, FAINT, 12, anchor="ls")
        low, high = (float(end) for end in (self.ranges["output"].low, self.ranges["output"].high))
        key = "black to yellow: each channel's least to most in this movie; grey: it never changes"
        text(draw, (self.right, self.legend_top), key, FAINT, 12)
        foot = self.bars_top + len(self.actions) * BAR_ROW + 4
        scale = f"output less the mean: {low:z.2g} to {high:z.2g}; the action taken is lit"
        text(draw, (MARGIN, foot), fitting(scale, self.left_width, 11), FAINT, 11)
        return np.asarray(image)


def _observation_label(frames: Sequence[int]) -> str:
    return f"observation   {' x '.join(map(str, frames))}, oldest frame first"


def _tiling(shape: Sequence[int]) -> tuple[int, int]:
    """Columns of a layer's maps, and pixels for each of their cells."""
    width = shape[2] if len(shape) == 3 else 1
    columns = 64 if len(shape) == 1 else 16 if shape[0] <= 64 else 32
    columns = max(1, min(columns, (MAPS_WIDTH + 1) // (width + 1)))
    return columns, max(1, ((MAPS_WIDTH + 1) // columns - 1) // width)


def _height(name: str, shape: Sequence[int]) -> int:
    columns, factor = (4, ZOOM) if name == "observation" else _tiling(shape)
    cell = shape[1] * factor if len(shape) == 3 else factor
    return -(-shape[0] // columns) * (cell + 1) - 1


def _paste(canvas: np.ndarray, picture: np.ndarray, left: int, top: int) -> None:
    height, width = picture.shape[:2]
    canvas[top : top + height, left : left + width] = picture
