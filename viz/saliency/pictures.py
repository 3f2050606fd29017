"""Whole pictures of attributions: one decision explained, and several methods side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from atari_zoo.viz.images import enlarge, text
from atari_zoo.viz.movies.panels import FAINT, INK, PAPER
from atari_zoo.viz.saliency.overlays import frame_strip, overlay

HEAD, FOOT, GAP = 22, 18, 12  # pixels: above each picture, of a note, between


def explanation(
    frame: UInt8[np.ndarray, "height width 3"],
    observation: UInt8[np.ndarray, "frames 84 84"],
    values: Float[np.ndarray, "covered 84 84"],
    title: str,
    notes: Sequence[str] = (),
) -> UInt8[np.ndarray, "taller wider 3"]:
    """One decision: the screen, the attribution on it, and below, frame by frame with signs.

    values: of each frame, or one map for all, which is then drawn on the newest frame.
    """
    seen = observation[-len(values) :]
    strip = frame_strip(seen, values)
    top = [("the game", enlarge(frame, 2)), ("absolute values", overlay(frame, values))]
    height, width = top[0][1].shape[:2]
    below = GAP + HEAD + HEAD + height + GAP
    across = max(GAP + 2 * (width + GAP), strip.shape[1] + 2 * GAP)
    image = Image.new(
        "RGB", (across, below + HEAD + strip.shape[0] + GAP + FOOT * len(notes) + GAP), PAPER
    )
    draw = ImageDraw.Draw(image)
    text(draw, (GAP, GAP), title, INK, 15)
    for index, (name, picture) in enumerate(top):
        at = (GAP + index * (width + GAP), GAP + HEAD)
        _paste(image, draw, picture, name, at)
    what = "oldest frame first" if len(values) > 1 else "one map for all frames"
    _paste(image, draw, strip, f"{what}; red raised the number, blue lowered it", (GAP, below))
    _notes(draw, notes, below + HEAD + strip.shape[0] + GAP)
    return np.asarray(image)


def gallery(
    pictures: Mapping[str, UInt8[np.ndarray, "height width 3"]],
    title: str,
    columns: int = 5,
    notes: Sequence[str] = (),
) -> UInt8[np.ndarray, "taller wider 3"]:
    """Pictures of one size in a grid, each under its name, and notes below all.

    Raises ValueError if there is no picture.
    """
    if not pictures:
        raise ValueError("no pictures: a gallery needs at least one")
    height, width = next(iter(pictures.values())).shape[:2]
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    top, down, across = GAP + HEAD, height + HEAD + GAP, width + GAP
    size = (GAP + columns * across, top + rows * down + FOOT * len(notes) + GAP)
    image = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(image)
    text(draw, (GAP, GAP), title, INK, 15)
    for index, (name, picture) in enumerate(pictures.items()):
        at = (GAP + index % columns * across, top + index // columns * down)
        _paste(image, draw, picture, name, at)
    _notes(draw, notes, top + rows * down)
    return np.asarray(image)


def _paste(
    image: Image.Image,
    draw: ImageDraw.ImageDraw,
    picture: np.ndarray,
    name: str,
    at: tuple[int, int],
) -> None:
    text(draw, (at[0], at[1] + 3), name, FAINT, 13)
    image.paste(Image.fromarray(picture), (at[0], at[1] + HEAD))


def _notes(draw: ImageDraw.ImageDraw, notes: Sequence[str], top: int) -> None:
    for line, note in enumerate(notes):
        text(draw, (GAP, top + FOOT * line), note, FAINT, 12)
