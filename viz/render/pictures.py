"""Optimized images as a picture, and their optimization as a movie."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from atari_zoo.analysis.first_convolutions import frame_names
from atari_zoo.viz.images import (
    FAINT_ON_WHITE,
    INK_ON_WHITE,
    diverging,
    enlarge,
    fitting,
    grid,
    in_grey,
    save_png,
    text,
)
from atari_zoo.viz.movies.boards import wrapped
from atari_zoo.viz.movies.mp4 import check_movie, write_mp4
from atari_zoo.viz.render.results import Rendered, as_bytes

HEAD, GAP = 50, 10  # pixels: above each image two lines and the frames' names; between images
FOOT, TITLE = 16, 30  # pixels: of a note below, of the title
FRAME = (138, 143, 153)  # around controls
Filters = Mapping[int, Float[Tensor, "frames rows columns"]]


def rendered_picture(
    rendered: Rendered,
    columns: int | None = None,
    factor: int | None = None,
    *,
    control: Rendered | None = None,
    filters: Filters = MappingProxyType({}),
    title: str = "",
    notes: Sequence[str] = (),
) -> UInt8[np.ndarray, "height width 3"]:
    """Each image as its four frames side by side, oldest first, with what it reached above.

    columns: images in a row; one below the other up to four of them, more side by side if not
        given. factor: pixels of the picture for each of the image.
    control: images of a network before training, which stand first, framed in grey.
    filters: by their numbers, images in whose place these weights are shown, as `asked_filters`
        finds them. title, notes: lines above and below all.

    >>> rendered_picture(rendered).shape
    (229, 692, 3)
    """
    shown, captions = rendered.images, _captions(rendered, filters)
    framed = 0
    if control is not None and len(control.images):
        shown = torch.cat([control.images, shown])
        begun = [(f"{name}  before training", words) for name, words in _captions(control, {})]
        captions, framed = begun + captions, len(begun)
    moved = {framed + number: weights for number, weights in filters.items()}
    picture = _picture(shown, captions, columns, factor, moved, framed)
    return _titled(picture, title, notes)


def save_rendered(
    rendered: Rendered,
    path: str | Path,
    columns: int | None = None,
    factor: int | None = None,
    **words: Any,
) -> None:
    """Writes `rendered_picture` as a PNG file. words: control, filters, title, notes, as there."""
    save_png(rendered_picture(rendered, columns, factor, **words), path)


def save_optimization(
    rendered: Rendered,
    path: str | Path,
    fps: int = 15,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Writes an mp4 of the snapshots, in order; the last one stands still for a second.

    Raises ValueError if there are no snapshots, or the file cannot be an mp4.
    """
    check_movie(path, fps)
    if not rendered.snapshots:
        raise ValueError("no snapshots to show: render with Settings(snapshots=range(0, 512, 8))")
    steps = sorted(rendered.snapshots)

    def pictures():  # type: ignore[no-untyped-def]
        for index, step in enumerate(steps):
            captions = [(name, f"step {step}") for name in rendered.names]
            picture = _even(_picture(rendered.snapshots[step], captions, None, None))
            yield picture
            progress(index + 1, len(steps))
        for _ in range(fps):
            yield picture

    write_mp4(pictures(), path, fps)


def _picture(
    images: Float[Tensor, "batch frames height width"],
    captions: Sequence[tuple[str, str]],
    columns: int | None,
    factor: int | None,
    filters: Filters = MappingProxyType({}),
    framed: int = 0,
) -> UInt8[np.ndarray, "tall wide 3"]:
    count = len(images)
    across = columns or (1 if count <= 4 else 2 if count <= 16 else 4)
    times = factor or (2 if count <= 16 else 1)
    if across < 1 or times < 1:
        raise ValueError(f"columns is {columns} and factor {factor}; expected at least 1")
    tiles = []
    for number, (image, caption) in enumerate(zip(as_bytes(images.float()), captions, strict=True)):
        frames = in_grey(image.numpy())
        if number in filters:
            frames = _filter(filters[number], frames.shape[1:3])
        tiles.append(_tile(frames, caption, times, number < framed))
    around = ((GAP, GAP), (GAP, GAP), (0, 0))
    return np.pad(grid(np.stack(tiles), across, GAP), around, constant_values=255)


def _filter(
    weights: Float[Tensor, "frames rows columns"], size: tuple[int, int]
) -> UInt8[np.ndarray, "frames height width 3"]:
    """In the place of an image: as large as it goes in whole pixels, in the middle."""
    values = weights.numpy()
    coloured = diverging(values, float(np.abs(values).max()))
    large = enlarge(coloured, max(1, min(size) // max(values.shape[1:])))[:, : size[0], : size[1]]
    frames = np.full((len(values), *size, 3), 255, np.uint8)
    top, left = (size[0] - large.shape[1]) // 2, (size[1] - large.shape[2]) // 2
    frames[:, top : top + large.shape[1], left : left + large.shape[2]] = large
    return frames


def _tile(
    frames: UInt8[np.ndarray, "frames height width 3"],
    caption: tuple[str, str],
    factor: int,
    framed: bool,
) -> UInt8[np.ndarray, "tall wide 3"]:
    strip = grid(enlarge(frames, factor), len(frames), gap=2)
    canvas = Image.new("RGB", (strip.shape[1], strip.shape[0] + HEAD), "white")
    canvas.paste(Image.fromarray(strip), (0, HEAD))
    draw = ImageDraw.Draw(canvas)
    size = 13 if factor > 1 else 10
    for line, (words, ink) in enumerate(zip(caption, (INK_ON_WHITE, FAINT_ON_WHITE), strict=True)):
        text(draw, (0, 2 + 17 * line), fitting(words, canvas.width, size), ink, size)
    pitch = frames.shape[2] * factor + 2
    for index, name in enumerate(frame_names(len(frames))):
        text(draw, ((index + 0.5) * pitch, HEAD - 3), name, INK_ON_WHITE, 10, anchor="ms")
    if framed:
        draw.rectangle((0, HEAD, canvas.width - 1, canvas.height - 1), outline=FRAME, width=3)
    return np.asarray(canvas)


def _titled(
    picture: UInt8[np.ndarray, "height width 3"], title: str, notes: Sequence[str]
) -> UInt8[np.ndarray, "taller width 3"]:
    """The picture with a line above and some below, where there are any."""
    height, width = picture.shape[:2]
    lines = [line for note in notes for line in wrapped(note, width - 2 * GAP, 12)]
    above, below = TITLE * bool(title), FOOT * len(lines) + GAP * bool(lines)
    canvas = Image.new("RGB", (width, above + height + below), "white")
    canvas.paste(Image.fromarray(picture), (0, above))
    draw = ImageDraw.Draw(canvas)
    text(draw, (GAP, GAP), fitting(title, width - 2 * GAP, 15), INK_ON_WHITE, 15)
    for number, line in enumerate(lines):
        text(draw, (GAP, above + height + FOOT * number), line, FAINT_ON_WHITE, 12)
    return np.asarray(canvas)


def _captions(rendered: Rendered, filters: Filters) -> list[tuple[str, str]]:
    """Of each image its name, and what it reached beside play and beside images that are not
    smooth, or how it failed."""
    captions = []
    for index, (name, failure) in enumerate(zip(rendered.names, rendered.failures, strict=True)):
        if index in filters:
            full = float(filters[index].abs().max())
            captions.append(
                (name, f"its weights, to ±{full:.2g}: red answers to bright, blue to dark")
            )
            continue
        reached = rendered.activation[index]
        reached = rendered.objective[index] if reached.isnan() else reached
        words = [failure] * bool(failure) + [f"reaches {reached:.3g}"]
        if not rendered.percentile[index].isnan():
            words.append(f"play {rendered.played[index]:.3g} at most")
            if rendered.percentile[index] < 100:
                words.append(f"above {rendered.percentile[index]:.3g} % of play")
        if not rendered.reach[index].isnan():
            words.append(f"{rendered.reach[index]:.3g} if not smooth")
        captions.append((name, "; ".join(words)))
    return captions


def _even(picture: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "even_h even_w 3"]:
    height, width = (size // 2 * 2 for size in picture.shape[:2])
    return picture[:height, :width]
