"""Movies of the game alone, every pixel as so many pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from atari_zoo.converters.arguments import checked
from atari_zoo.recordings.arrays import not_kept
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.images import enlarge
from atari_zoo.viz.movies.clips import Clip
from atari_zoo.viz.movies.mp4 import check_movie, counted, write_mp4
from atari_zoo.viz.movies.played import played_steps

SCALE = 4  # a screen of 640 x 840


@checked
def game_movie(
    recording: Recording,
    path: str | Path,
    clip: Clip = Clip(),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Writes an mp4 of the game's colour screens and nothing else; picture k is the clip's step k.

    recording: with keep=["frames"]. clip: the steps, the speed and the size.
    progress: called with the steps written and those there are.
    Raises ValueError, before the work, if the recording has no such screens or steps, or the file
    cannot be an mp4.
    """
    check_movie(path, clip.rate(recording))
    steps = clip.steps(recording)
    if recording.frames is None:
        raise not_kept("frames", "frames")

    scale = clip.scale or SCALE
    played = played_steps(recording, clip.env, steps)
    pictures = (even(enlarge(each.frame, scale)) for each in played)
    shown = counted(pictures, lambda done: progress(done, len(steps)))
    write_mp4(shown, path, clip.rate(recording))


def even(
    picture: UInt8[np.ndarray, "height width 3"],
) -> UInt8[np.ndarray, "even_height even_width 3"]:
    """The picture, with a black line below or on the right where a side is odd: a movie's colour
    is stored at half the size."""
    height, width = picture.shape[:2]
    if not (height % 2 or width % 2):
        return picture
    return np.pad(picture, [(0, height % 2), (0, width % 2), (0, 0)])
