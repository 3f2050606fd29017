"""Optimized images as a picture, and their optimization as a movie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from atari_zoo.analysis.first_convolutions import frame_names
from atari_zoo.viz.images import INK_ON_WHITE, enlarge, fitting, grid, in_grey, save_png, text
from atari_zoo.viz.movies.mp4 import check_movie, write_mp4
from atari_zoo.viz.render.results import Rendered, as_bytes

HEAD, GAP = 34, 10  # pixels: above each image its caption and the frames' names; between images


def rendered_picture(
    rendered: Rendered, columns: int | None = None, factor: int | None = None
) -> UInt8[np.ndarray, "height width 3"]:
    """Each image as its four frames side by side, oldest first, with what it reached above.

    columns: images in a row; one below the other up to four of them, more side by side if not
        given. factor: pixels of the picture for each of the image.

    >>> rendered_picture(rendered).shape
    (213, 692, 3)
    """
    return _picture(rendered.images, _captions(rendered), columns, factor)


def save_rendered(
    rendered: Rendered, path: str | Path, columns: int | None = None, factor: int | None = None
) -> None:
    """Writes `rendered_picture` as a PNG file."""
    save_png(rendered_picture(rendered, columns, factor), path)


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
            captions = [f"{name}    step {step}" for name in rendered.names]
            picture = _even(_picture(rendered.snapshots[step], captions, None, None))
            yield picture
            progress(index + 1, len(steps))
        for _ in range(fps):
            yield picture

    write_mp4(pictures(), path, fps)


def _picture(
    images: Float[Tensor, "batch frames height width"],
    captions: list[str],
    columns: int | None,
    factor: int | None,
) -> UInt8[np.ndarray, "tall wide 3"]:
    count = len(images)
    across = columns or (1 if count <= 4 else 2 if count <= 16 else 4)
    times = factor or (2 if count <= 16 else 1)
    if across < 1 or times < 1:
        raise ValueError(f"columns is {columns} and factor {factor}; expected at least 1")
    pairs = zip(as_bytes(images.float()), captions, strict=True)
    tiles = np.stack([_tile(image, caption, times) for image, caption in pairs])
    return np.pad(grid(tiles, across, GAP), ((GAP, GAP), (GAP, GAP), (0, 0)), constant_values=255)


def _tile(
    image: UInt8[Tensor, "frames height width"], caption: str, factor: int
) -> UInt8[np.ndarray, "tall wide 3"]:
    frames = enlarge(in_grey(image.numpy()), factor)
    strip = grid(frames, len(frames), gap=2)
    canvas = Image.new("RGB", (strip.shape[1], strip.shape[0] + HEAD), "white")
    canvas.paste(Image.fromarray(strip), (0, HEAD))
    draw = ImageDraw.Draw(canvas)
    size = 13 if factor > 1 else 10
    text(draw, (0, 2), fitting(caption, canvas.width, size), INK_ON_WHITE, size)
    pitch = frames.shape[2] + 2
    for index, name in enumerate(frame_names(len(frames))):
        text(draw, ((index + 0.5) * pitch, HEAD - 3), name, INK_ON_WHITE, 10, anchor="ms")
    return np.asarray(canvas)


def _captions(rendered: Rendered) -> list[str]:
    captions = []
    for index, name in enumerate(rendered.names):
        reached = rendered.activation[index]
        words = f"{name}    {reached if not reached.isnan() else rendered.objective[index]:.3g}"
        if not rendered.percentile[index].isnan():
            percent, most = rendered.percentile[index], rendered.played[index]
            words += f"    > {percent:.4g} % of play (most {most:.3g})"
        failed = "did not rise" if not rendered.rose[index] else "did not hold"
        captions.append(words if rendered.held[index] else f"{words}    {failed}")
    return captions


def _even(picture: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "even_h even_w 3"]:
    height, width = (size // 2 * 2 for size in picture.shape[:2])
    return picture[:height, :width]
