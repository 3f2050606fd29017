"""Recordings in a notebook: a small movie of their first steps."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from atari_zoo.converters.displays import display
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.displays.markup import figure_html, video_html
from atari_zoo.viz.images import enlarge, in_grey
from atari_zoo.viz.movies.mp4 import write_mp4

STEPS = 450  # at most, half a minute of the game: a page holds it without a thought
FPS = 15  # agent steps a second: the game's own speed with a frame skip of 4
WIDTH = 320  # of the page
READ = 64  # steps at a time


@display("Recording")
def recording_display(recording: Recording) -> str | None:
    """The first environment's first steps; None where no screens were kept."""
    kept = recording.frames if recording.frames is not None else recording.screens
    steps = min(len(recording.starts), STEPS) if kept is not None else 0
    if kept is None or not steps:
        return None

    def pictures():  # type: ignore[no-untyped-def]
        for start in range(0, steps, READ):
            for picture in np.asarray(kept[start : min(start + READ, steps), 0]):
                colours = picture if picture.ndim == 3 else in_grey(picture)
                yield enlarge(colours, 2)  # H.264 halves the colours' size

    with TemporaryDirectory() as folder:
        path = Path(folder) / "play.mp4"
        write_mp4(pictures(), path, FPS)
        movie = path.read_bytes()
    score = recording.scores[steps - 1, 0] if len(recording.rewards) else np.nan
    words = (
        f"{recording.card.name} in {recording.game}: steps 0 to {steps - 1} of "
        f"{len(recording.starts):,}, environment 0 of {recording.starts.shape[1]}"
    )
    if np.isfinite(score):
        words += f"; the episode's score before the last of them: {score:g}"
    return figure_html(video_html(movie, words, WIDTH), words)
