"""Panels: a network at one moment, with the game, the observation and layers from input to output.

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

from atari_zoo.viz.images import FAINT, MARGIN, PAPER, Colour, enlarge, grid, in_grey, sequential
from atari_zoo.viz.images import text as draw_text
from atari_zoo.viz.movies.bars import LOGIT, Bars
from atari_zoo.viz.movies.boards import SMALL, Board, put, write
from atari_zoo.viz.movies.ranges import Range
from atari_zoo.viz.movies.tiles import Tiles

QUIET: Colour = (66, 73, 86)  # of units that never change
LABEL, GAP = 20, 8  # pixels: of a line of words above a layer, and below it
WIDTH, LARGE = 687, 784  # pixels that layers have beside the game, and if they are large
LEAST = 320  # pixels of the column with the game, the bars and their names
VALUE = 24  # pixels of the line with the state's value
ZOOM = 2  # of the game and of the observation


@dataclass(frozen=True)
class PanelFacts:
    """What a movie of a network shows, whatever the moment.

    title: whose it is. actions: the names of the outputs; output: what one of them is.
    screen: height and width of the game. observation: (frames, rows, columns); () to leave it out.
    shapes: layer -> (channels, height, width), (units,) or (actions, atoms), in order.
    ranges: of those layers, by channels. bars: how far an output lies from the mean of all.
    large: whether layers fill the room. zoom: pixels for each of the game's.
    """

    title: str
    actions: Sequence[str]
    output: str
    screen: tuple[int, int]
    observation: tuple[int, ...]
    shapes: Mapping[str, tuple[int, ...]]
    ranges: Mapping[str, Range]
    bars: Range
    large: bool = False
    zoom: int = ZOOM


@dataclass(frozen=True)
class MovieMoment:
    """What one picture shows; `layers` are (channels, values). action: None if it is not known.
    value: of the state, None of an agent that rates none. status: the line that changes."""

    frame: UInt8[np.ndarray, "height width 3"]
    observation: UInt8[np.ndarray, "frames rows columns"]
    layers: Mapping[str, Float[np.ndarray, "channels values"]]
    output: Float[np.ndarray, "actions"]
    action: int | None
    value: float | None
    status: str


class Panel:
    """Draws moments of one network, every layer always at the same place.

    tops: where each layer's tiles begin; right: where all do.
    """

    def __init__(self, facts: PanelFacts) -> None:
        self.facts = facts
        height, width = (side * facts.zoom for side in facts.screen)
        column = max(LEAST, width)
        self.bars = Bars(facts.actions, facts.bars, column, facts.output == LOGIT)
        share = LARGE // max(1, len(facts.shapes)) - LABEL - GAP if facts.large else None
        wide = LARGE if facts.large else WIDTH
        self.tiles = {name: Tiles(shape, wide, share) for name, shape in facts.shapes.items()}
        strip = _strip_height(facts.observation)
        each = {name: tiles.height for name, tiles in self.tiles.items()}
        room = (LABEL + strip + GAP) * bool(strip) + sum(each.values()) + (LABEL + GAP) * len(each)
        left = height + GAP + VALUE + self.bars.height
        self.board = Board(facts.title, column + 2 * MARGIN + wide, max(room, left), self._notes())
        self.game = (self.board.left, self.board.top)
        self.value_top = self.board.top + height + GAP
        self.bars_top = self.value_top + VALUE
        self.right = self.board.left + column + 2 * MARGIN
        self.tops: dict[str, int] = {}
        top = self.board.top
        for name, tall in {"observation": strip, **each}.items():
            if tall:
                self.tops[name] = top + LABEL
                top += LABEL + tall + GAP
        self._label()

    def picture(self, moment: MovieMoment) -> UInt8[np.ndarray, "height width 3"]:
        """The moment's picture; its size is always the same."""
        canvas = self.board.picture(moment.status)
        put(canvas, enlarge(moment.frame, self.facts.zoom), *self.game)
        if "observation" in self.tops:
            screens = grid(enlarge(in_grey(moment.observation), ZOOM), 4, background=PAPER)
            put(canvas, screens, self.right, self.tops["observation"])
        for name, tiles in self.tiles.items():
            colours = layer_colours(moment.layers[name], self.facts.ranges[name])
            put(canvas, tiles.picture(colours), self.right, self.tops[name])
        if moment.value is not None:
            words = f"value of the state {moment.value:z.2f}"
            write(canvas, self.board.left, self.value_top, words, self.bars.width, size=SMALL)
        self.bars.draw(canvas, self.board.left, self.bars_top, moment.output, moment.action)
        return canvas

    def _notes(self) -> list[str]:
        scale = self.facts.bars
        low, high = float(scale.low), float(scale.high)
        return [
            f"bars: each action's {self.facts.output} less the mean of all, {low:z.2g} to "
            f"{high:z.2g}; the action taken is lit"
            + "; behind them probabilities"
            * self.bars.sampled,
            "black to yellow: each channel's least to most in this movie; grey: it never changes",
        ]

    def _label(self) -> None:
        image = Image.fromarray(self.board.ground)
        draw = ImageDraw.Draw(image)
        shapes = {"observation": self.facts.observation, **self.facts.shapes}
        for name, top in self.tops.items():
            words = f"{name}   {' x '.join(map(str, shapes[name]))}"
            if name == "observation":
                words += ", oldest frame first"
            draw_text(draw, (self.right, top - 5), words, FAINT, SMALL, anchor="ls")
        self.board.ground = np.array(image)


def layer_colours(
    values: Float[np.ndarray, "channels values"], scale: Range
) -> UInt8[np.ndarray, "channels values 3"]:
    """A layer's values as colours; grey where a channel never changes."""
    colours = sequential(scale.unit(values))
    colours[scale.high <= scale.low] = QUIET
    return colours


def _strip_height(observation: Sequence[int]) -> int:
    """Pixels of the frames that an agent sees, four in a row."""
    if not observation:
        return 0
    return -(-observation[0] // 4) * (observation[1] * ZOOM + 1) - 1
