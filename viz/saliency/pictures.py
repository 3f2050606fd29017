"""A decision explained: the screen, and what of it and of each frame an attribution marks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from atari_zoo.converters.preprocessings import Preprocessing
from atari_zoo.viz.images import FAINT, INK, PAPER, enlarge, text, written_width
from atari_zoo.viz.saliency.overlays import VECTOR, frame_strip, overlay

_HEAD, _FOOT, _GAP = 22, 18, 12  # pixels: above each picture, of a note, between


def explanation(
    frame: UInt8[np.ndarray, "height width 3"],
    observation: UInt8[np.ndarray, "frames rows columns"],
    values: Float[np.ndarray, "covered rows columns"],
    title: str,
    notes: Sequence[str] = (),
    signs: str = "red raised the number, blue lowered it",
    signed: bool = True,
    preprocessing: Preprocessing = VECTOR,
) -> UInt8[np.ndarray, "taller wider 3"]:
    """One decision: the screen, the attribution on it, and below, frame by frame with signs.

    values: of each frame, or one map for all, which is then drawn on the newest frame.
    signs: what the colours of the strip say; signed: whether there are any below 0.
    preprocessing: as of `overlay`.
    """
    seen = observation[-len(values) :]
    strip = frame_strip(seen, values, signed=signed)
    top = [
        ("the game", enlarge(frame, 2)),
        ("absolute values", overlay(frame, values, preprocessing=preprocessing)),
    ]
    height, width = top[0][1].shape[:2]
    below = _GAP + _HEAD + _HEAD + height + _GAP
    what = "oldest frame first" if len(values) > 1 else "one map for all frames"
    words = f"{what}; {signs}"
    wide = max(
        written_width(title, 15), *(written_width(note, 12) for note in [*notes, ""]),
        written_width(words, 13),
    )  # fmt: skip
    across = max(_GAP + 2 * (width + _GAP), strip.shape[1] + 2 * _GAP, wide + 2 * _GAP)
    image = Image.new(
        "RGB", (across, below + _HEAD + strip.shape[0] + _GAP + _FOOT * len(notes) + _GAP), PAPER
    )
    draw = ImageDraw.Draw(image)
    text(draw, (_GAP, _GAP), title, INK, 15)
    for index, (name, picture) in enumerate(top):
        place = (_GAP + index * (width + _GAP), _GAP + _HEAD)
        _paste(image, draw, picture, name, place)
    _paste(image, draw, strip, words, (_GAP, below))
    _notes(draw, notes, below + _HEAD + strip.shape[0] + _GAP)
    return np.asarray(image)


def _paste(
    image: Image.Image,
    draw: ImageDraw.ImageDraw,
    picture: np.ndarray,
    name: str,
    place: tuple[int, int],
) -> None:
    text(draw, (place[0], place[1] + 3), name, FAINT, 13)
    image.paste(Image.fromarray(picture), (place[0], place[1] + _HEAD))


def _notes(draw: ImageDraw.ImageDraw, notes: Sequence[str], top: int) -> None:
    for line, note in enumerate(notes):
        text(draw, (_GAP, top + _FOOT * line), note, FAINT, 12)
