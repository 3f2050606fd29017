"""A sheet of all methods of attribution: each beside the same of a network before training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from atari_zoo.converters.preprocessings import Preprocessing
from atari_zoo.viz.images import FAINT, INK, LINE, MARGIN, PAPER
from atari_zoo.viz.movies.boards import Board, put, write
from atari_zoo.viz.saliency.overlays import (
    ACTOR,
    VECTOR,
    brightest,
    furthest,
    overlay,
    sign_colours,
    signed_overlay,
)

ACROSS = 4  # methods in a row
NAME, SMALL = 14, 12  # pixels of text
HEAD, GAP = 40, 4  # pixels: of the two lines above a pair, between its two
SIZES = 0, "full", "of methods without signs", "0"
FRAME = (118, 118, 118)  # the grey around a control
Picture = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class ShownMethod:
    """values: of each frame, or one map for all. control: of the network before training, where
    there is one. alike: Spearman's correlation of both maps' sizes."""

    name: str
    values: Float[np.ndarray, "covered rows columns"]
    signed: bool
    control: Float[np.ndarray, "covered rows columns"] | None = None
    alike: float = 0.0

    def full(self, values: Float[np.ndarray, "covered rows columns"]) -> float:
        """The value that gets the full colour."""
        return brightest(np.abs(furthest(values)) if self.signed else np.abs(values).sum(axis=0))

    def words(self, values: Float[np.ndarray, "covered rows columns"]) -> str:
        """The same with its sign; or that there is nothing."""
        return f"{'±' if self.signed else ''}{self.full(values):.1g}" if values.any() else "nothing"

    def drawn(self, frame: Picture, values: np.ndarray, seen: Preprocessing) -> Picture:
        """The values on the frame, in a scale of their own."""
        if self.signed:
            return signed_overlay(frame, furthest(values), self.full(values), 1, seen)
        return overlay(frame, values, 1, self.full(values), seen)


def methods_sheet(
    frame: Picture,
    shown: Sequence[ShownMethod],
    title: str,
    explained: str = "",
    notes: Sequence[str] = (),
    preprocessing: Preprocessing = VECTOR,
) -> UInt8[np.ndarray, "tall wide 3"]:
    """The game's frame with the legend, then of each method the trained network's map and, framed
    in grey, the control's.

    Every map has a scale of its own, which stands above it. explained: a line below the title.
    preprocessing: as of `overlay`. Raises ValueError if there is no method.
    """
    if not shown:
        raise ValueError("no methods: a sheet needs at least one")
    height, width = frame.shape[:2]
    across, down = 2 * width + GAP + MARGIN, HEAD + height + MARGIN
    columns, rows = min(ACROSS, len(shown) + 1), -(-(len(shown) + 1) // ACROSS)
    board = Board(title, columns * across - MARGIN, rows * down, notes)
    canvas = board.picture(explained)
    write(canvas, board.left, board.top + 18, "the game", width, FAINT, NAME)
    put(canvas, frame, board.left, board.top + HEAD)
    _legend(canvas, board.left + width + GAP + MARGIN, board.top + HEAD, height)
    for number, method in enumerate(shown, start=1):
        left, top = board.left + number % columns * across, board.top + number // columns * down
        write(canvas, left, top, method.name, 2 * width, INK, NAME)
        write(canvas, left, top + 20, f"full {method.words(method.values)}", width, FAINT, SMALL)
        put(canvas, method.drawn(frame, method.values, preprocessing), left, top + HEAD)
        if method.control is not None:
            beside = left + width + GAP
            words = f"untrained {method.words(method.control)}, alike {method.alike:.2f}"
            write(canvas, beside, top + 20, words, width + MARGIN, FAINT, SMALL)
            control = method.drawn(frame, method.control, preprocessing)
            canvas[top + HEAD - 2 : top + HEAD + height + 2, beside - 2 : beside + width + 2] = (
                FRAME
            )
            put(canvas, control, beside, top + HEAD)
    return canvas


def _legend(canvas: Picture, left: int, top: int, height: int) -> None:
    """Two bars: of values with a sign, and of sizes."""
    long, ground = height // 2 - 14, np.array(PAPER)
    for last, *words in ((-1, "+ full: raised it", "0", "- full: lowered it"), SIZES):
        parts = np.linspace(1, last, long)[:, None]
        colours = sign_colours(parts) if last else np.broadcast_to(ACTOR, (long, 1, 3))
        bar = ground + np.abs(parts)[..., None] * (colours - ground)
        canvas[top - 1 : top + long + 1, left - 1 : left + 17] = LINE
        canvas[top : top + long, left : left + 16] = np.rint(bar).astype(np.uint8)
        for place, said in zip((0, (long - SMALL) // 2, long - SMALL - 2), words, strict=True):
            write(canvas, left + 24, top + place, said, canvas.shape[1], FAINT, SMALL)
        top += long + 28
