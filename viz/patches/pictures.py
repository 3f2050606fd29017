"""Patches of units as a picture: what the unit saw, enlarged, and where on the screen that was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from atari_zoo.converters.network.receptive_fields import Box
from atari_zoo.viz.images import (
    CHOSEN,
    FAINT,
    INK,
    LINE,
    MARGIN,
    PAPER,
    Colour,
    enlarge,
    in_grey,
    save_png,
    text,
    written_width,
)
from atari_zoo.viz.movies.boards import SMALL, wrapped
from atari_zoo.viz.patches.finding import Patch, UnitPatches
from atari_zoo.viz.patches.histograms import CHART, histogram_picture

MARK: Colour = (255, 72, 72)  # of boxes, as in the paper's figure
CELL, _GAP = 168, 12  # pixels: the width of one patch's column, and between two
STRIP = 40  # at most the width of one frame in the strip of all frames
_HEAD, CAPTION = 74, 40  # pixels, above a unit's patches and below each


def patch_picture(
    found: Sequence[UnitPatches], title: str = "", notes: Sequence[str] = ()
) -> UInt8[np.ndarray, "height width 3"]:
    """A band for each unit, in it a column for each patch.

    A column shows, from above: the patch in the newest frame; in all frames, oldest first, the
    newest one framed; the newest frame with the patch's box, unless that is all of it; the colour
    screen with it, where that was recorded; the unit's value, the step, and the score. What is
    beyond the screen is hatched. At the head of a band is the histogram of the unit's values over
    the recording, the patches' marked.

    title: such as the agent's name. notes: lines below all.
    Raises ValueError if there is no unit.
    """
    if not found:
        raise ValueError("no units: give at least one")
    bands = [_band(unit, title) for unit in found]
    width = max(band.shape[1] for band in bands)
    bands += [_note(line, width) for note in notes for line in wrapped(note, width - 2 * MARGIN)]
    return np.concatenate([_widened(band, width) for band in bands])


def save_patches(
    found: Sequence[UnitPatches], path: str | Path, title: str = "", notes: Sequence[str] = ()
) -> None:
    """Writes `patch_picture` as a PNG file."""
    save_png(patch_picture(found, title, notes), path)


def boxed(
    picture: UInt8[np.ndarray, "height width 3"], box: Box
) -> UInt8[np.ndarray, "height width 3"]:
    """A copy with the outline of a box, just inside it."""
    image = Image.fromarray(picture)
    edges = (box.left, box.top, box.right - 1, box.bottom - 1)
    ImageDraw.Draw(image).rectangle(edges, outline=MARK)
    return np.asarray(image)


def _band(unit: UnitPatches, title: str) -> UInt8[np.ndarray, "height width 3"]:
    several = unit.values.shape[1] > 1
    columns = [_column(patch, several) for patch in unit.patches]
    height = max((column.shape[0] for column in columns), default=0)
    width = max(2 * MARGIN + len(columns) * (CELL + _GAP) - _GAP, 2 * CHART[0] + 3 * MARGIN)
    width = max(width, written_width(_words(unit, title), 12) + CHART[0] + 3 * MARGIN)
    image = Image.new("RGB", (width, _HEAD + height + MARGIN), PAPER)
    for index, column in enumerate(columns):
        image.paste(Image.fromarray(column), (MARGIN + index * (CELL + _GAP), _HEAD))
    chart = histogram_picture(unit.values, [patch.value for patch in unit.patches])
    image.paste(Image.fromarray(chart), (width - MARGIN - CHART[0], MARGIN - 4))
    draw = ImageDraw.Draw(image)
    text(draw, (MARGIN, MARGIN - 4), unit.quantity, INK, 20)
    text(draw, (MARGIN, MARGIN + 22), _words(unit, title), FAINT, 12)
    if unit.dead:
        text(draw, (MARGIN, MARGIN + 39), "dead here: never above 0, or never changing", MARK, 12)
    return np.asarray(image)


def _note(words: str, width: int) -> UInt8[np.ndarray, "height width 3"]:
    image = Image.new("RGB", (width, 28), PAPER)
    text(ImageDraw.Draw(image), (MARGIN, 6), words, INK, SMALL)
    return np.asarray(image)


def _words(unit: UnitPatches, title: str) -> str:
    steps, envs = unit.values.shape
    seen = f"{len(unit.patches)} {unit.which} of {steps * envs:,} observations"
    seen += "; the largest of its map" * unit.mapped
    return f"{title}   {seen}" if title else seen


def _column(patch: Patch, several: bool) -> UInt8[np.ndarray, "height width 3"]:
    screen = enlarge(in_grey(_bytes(patch.observation[-1])), 2)
    seen = patch.field.seen
    on_screen = Box(2 * seen.top, 2 * seen.left, 2 * seen.height, 2 * seen.width)
    parts = [_newest(patch), _strip(patch)]
    if (seen.height, seen.width) != patch.observation.shape[1:]:
        parts.append(boxed(screen, on_screen))
    if patch.frame is not None and patch.native_field is not None:
        parts.append(boxed(patch.frame, patch.native_field))
    tall = sum(len(part) + 6 for part in parts) + CAPTION
    image = Image.new("RGB", (CELL, tall), PAPER)
    top = 0
    for part in parts:
        image.paste(Image.fromarray(part), ((CELL - part.shape[1]) // 2, top))
        top += len(part) + 6
    draw = ImageDraw.Draw(image)
    text(draw, (CELL / 2, top), f"{patch.value:z.3g}", INK, 15, anchor="ma")
    place = f"step {patch.step}" + (f", env {patch.env}" if several else "")
    text(draw, (CELL / 2, top + 20), f"{place}, score {patch.score:g}", FAINT, 12, anchor="ma")
    return np.asarray(image)


def _newest(patch: Patch) -> UInt8[np.ndarray, "height width 3"]:
    frames = _hatched(patch)
    return enlarge(frames[-1], max(1, CELL // max(frames.shape[1:3])))


def _strip(patch: Patch) -> UInt8[np.ndarray, "height width 3"]:
    frames = _hatched(patch)
    size = max(frames.shape[1:3])
    thin = -(-size // STRIP)  # larger ones lose rows and columns
    tiles = enlarge(frames[:, ::thin, ::thin], max(1, STRIP // size))
    edged = np.full((len(tiles), tiles.shape[1] + 2, tiles.shape[2] + 2, 3), PAPER, np.uint8)
    edged[-1] = CHOSEN
    edged[:, 1:-1, 1:-1] = tiles
    return np.concatenate(list(edged), axis=1)


def _hatched(patch: Patch) -> UInt8[np.ndarray, "frames height width 3"]:
    """The patch's frames in grey, hatched where they are no part of the screen."""
    frames = in_grey(_bytes(patch.pixels))
    whole, seen = patch.field.whole, patch.field.seen
    rows, columns = np.indices((whole.height, whole.width))
    beyond = (rows + whole.top < seen.top) | (rows + whole.top >= seen.bottom)
    beyond |= (columns + whole.left < seen.left) | (columns + whole.left >= seen.right)
    frames[:, beyond] = np.where((rows + columns)[beyond, None] % 4, PAPER, LINE)
    return frames


def _bytes(pixels: Tensor) -> UInt8[np.ndarray, "*shape"]:
    if pixels.dtype == torch.uint8:
        return pixels.numpy()
    return (pixels * 255).round().to(torch.uint8).numpy()


def _widened(band: np.ndarray, width: int) -> UInt8[np.ndarray, "height width 3"]:
    canvas = np.full((len(band), width, 3), PAPER, np.uint8)
    canvas[:, : band.shape[1]] = band
    canvas[-1] = LINE
    return canvas
