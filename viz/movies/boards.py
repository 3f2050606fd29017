"""Boards: the dark ground of a movie, with its title, a line that changes, and notes below."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from atari_zoo.viz.images import FAINT, INK, MARGIN, PAPER, fitting, text, written_width

TITLE, SMALL = 16, 14  # pixels of text: of the first two lines, and of what explains
HEAD = 52  # pixels above the room: the title and the line that changes
NOTE = 20  # of a line of notes
CONTROLS = 48  # pixels at the bottom, which a player's controls may cover
BLOCK = 16  # pixels: H.264 stores whole blocks


class Board:
    """A ground of one size, in whose room pictures are put.

    title: what a reader must know first. width, height: of the room, in pixels.
    notes: lines below the room; what is wider than the board goes on in another line.

    left, top: where the room begins. ground: the board with all that never changes.
    """

    def __init__(self, title: str, width: int, height: int, notes: Sequence[str] = ()) -> None:
        self.left, self.top = MARGIN, MARGIN + HEAD
        wide = _whole(max(width, written_width(title, TITLE)) + 2 * MARGIN)
        lines = [line for note in notes for line in wrapped(note, wide - 2 * MARGIN)]
        below = self.top + height + 8
        high = _whole(below + NOTE * len(lines) + CONTROLS)
        image = Image.new("RGB", (wide, high), PAPER)
        draw = ImageDraw.Draw(image)
        text(draw, (MARGIN, MARGIN - 4), title, INK, TITLE)
        for number, line in enumerate(lines):
            text(draw, (MARGIN, below + NOTE * number), line, FAINT, SMALL)
        self.ground = np.array(image)

    def picture(self, now: str) -> UInt8[np.ndarray, "height width 3"]:
        """A copy of the ground, with the line that changes."""
        canvas = self.ground.copy()
        write(canvas, self.left, MARGIN - 4 + TITLE + 6, now, canvas.shape[1] - 2 * MARGIN)
        return canvas


def put(canvas: np.ndarray, picture: np.ndarray, left: int, top: int) -> None:
    """Puts a picture on another; all of it must fit."""
    height, width = picture.shape[:2]
    canvas[top : top + height, left : left + width] = picture


def write(
    canvas: np.ndarray,
    left: int,
    top: int,
    words: str,
    width: int,
    fill: tuple[int, int, int] = INK,
    size: int = TITLE,
) -> None:
    """Writes a line of no more than `width` pixels on a picture."""
    part = canvas[top : top + size + 6, left : left + width]
    image = Image.fromarray(np.ascontiguousarray(part))
    text(ImageDraw.Draw(image), (0, 0), fitting(words, part.shape[1], size), fill, size)
    part[:] = np.asarray(image)


def wrapped(words: str, width: int, size: int = SMALL) -> list[str]:
    """The words in lines of no more than `width` pixels, as far as words can be parted."""
    lines: list[str] = []
    for word in words.split(" "):
        if lines and written_width(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _whole(pixels: int) -> int:
    return -(-pixels // BLOCK) * BLOCK
