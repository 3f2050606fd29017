"""Movie files of pictures: H.264 in mp4, as browsers play it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace
from jaxtyping import UInt8

from atari_zoo.converters.files import check_parent, written_whole

MOST_FPS = 1000  # a picture a millisecond
X264 = {"preset": "veryfast", "crf": "21"}


def write_mp4(
    pictures: Iterable[UInt8[np.ndarray, "height width 3"]],
    path: str | Path,
    fps: int | Fraction = 30,
) -> None:
    """Writes pictures of one size as H.264 that browsers play; whole or not at all.

    pictures: are taken one by one, when the one before is written: they need not fit in memory.
    height, width: even, since colour is stored at half the size (4:2:0). fps: pictures a second.
    Raises ValueError if there is no picture, if one is of another kind or size, or for a rate or a
    name that an mp4 cannot have.
    """
    check_movie(path, fps)
    if not isinstance(pictures, Iterable):
        raise ValueError(f"pictures are of the type {type(pictures).__name__}; expected several")
    pictures = iter(pictures)
    first = next(pictures, None)
    if first is None:
        raise ValueError("no pictures: a movie needs at least one")
    _check_picture(first, first)
    with written_whole(path) as beside, _mp4(beside) as file:
        stream = file.add_stream("libx264", rate=Fraction(fps), options=X264)
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        # said aloud, because players guess the matrix from the size of the picture
        stream.codec_context.colorspace = Colorspace.ITU709
        stream.codec_context.color_range = ColorRange.MPEG
        for picture in chain([first], pictures):
            _check_picture(picture, first)
            file.mux(stream.encode(_frame(picture)))
        file.mux(stream.encode(None))


def counted(
    pictures: Iterable[UInt8[np.ndarray, "height width 3"]], progress: Callable[[int], None]
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """The pictures, each told of when the next one is asked for."""
    for done, picture in enumerate(pictures, 1):
        yield picture
        progress(done)


def check_movie(path: str | Path, fps: int | Fraction = 30) -> None:
    """Raises ValueError or OSError where no mp4 of that rate can be written to the path, so that
    it is known before hours of work."""
    if isinstance(fps, bool) or not isinstance(fps, int | Fraction) or not 0 < fps <= MOST_FPS:
        raise ValueError(
            f"fps is {fps}; it must be above 0, a whole number or a fraction up to {MOST_FPS}"
        )
    path = Path(path)
    if path.suffix.lower() != ".mp4":
        raise ValueError(f"{path}: a movie's name ends in .mp4")
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder; expected a file's name")
    check_parent(path)


def _check_picture(picture: np.ndarray, first: np.ndarray) -> None:
    if not isinstance(picture, np.ndarray):
        kind = type(picture).__name__
        raise ValueError(f"a picture is of the type {kind}; expected an array of bytes")
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(
            f"a picture is {picture.dtype} {picture.shape}; expected bytes (height, width, 3)"
        )
    height, width = picture.shape[:2]
    if 0 in picture.shape or height % 2 or width % 2:
        raise ValueError(
            f"a picture is {height} x {width}; both sides must be even, since a movie's colour is "
            "stored at half the size"
        )
    if picture.shape != first.shape:
        raise ValueError(
            f"a picture is {height} x {width}, the first one {first.shape[0]} x "
            f"{first.shape[1]}; a movie has one size"
        )


def _mp4(path: Path) -> OutputContainer:
    return av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})


def _frame(picture: UInt8[np.ndarray, "height width 3"]) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )
