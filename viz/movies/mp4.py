"""Movie files of pictures: H.264 in mp4, as browsers play it."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace
from jaxtyping import UInt8

from atari_zoo.converters.files import check_ending, written_whole

X264 = {"preset": "veryfast", "crf": "21"}


def write_mp4(
    pictures: Iterable[UInt8[np.ndarray, "height width 3"]], path: str | Path, fps: int = 30
) -> None:
    """Writes pictures of one size as H.264 that browsers play; whole or not at all.

    height, width: even, since colour is stored at half the size (4:2:0).
    Raises ValueError if there is no picture, or the name does not end in .mp4.
    """
    check_ending(path, ".mp4")
    pictures = iter(pictures)
    first = next(pictures, None)
    if first is None:
        raise ValueError("no pictures: a movie needs at least one")
    with written_whole(path) as beside, _mp4(beside) as file:
        stream = file.add_stream("libx264", rate=Fraction(fps), options=X264)
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        # said aloud, because players guess the matrix from the size of the picture
        stream.codec_context.colorspace = Colorspace.ITU709
        stream.codec_context.color_range = ColorRange.MPEG
        for picture in chain([first], pictures):
            file.mux(stream.encode(_frame(picture)))
        file.mux(stream.encode(None))


def _mp4(path: Path) -> OutputContainer:
    return av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})


def _frame(picture: UInt8[np.ndarray, "height width 3"]) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )
