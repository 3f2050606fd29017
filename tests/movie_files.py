"""Play whose every screen is another, and movies read again."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

from atari_zoo.converters.cards import ModelCard, Preprocessing
from atari_zoo.recordings.header import Header
from atari_zoo.recordings.recordings import Recording

EPISODE = 10  # steps


class MovieFile(NamedTuple):
    codec: str
    pixels: str
    rate: Fraction
    count: int
    seconds: float
    pictures: np.ndarray


def movie_file(path: Path) -> MovieFile:
    """What a player finds in it, and all of its pictures."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        assert stream.average_rate is not None and stream.duration is not None
        assert stream.time_base is not None
        facts: tuple[Any, ...] = (
            stream.codec_context.name,
            stream.pix_fmt,
            stream.average_rate,
            stream.frames,
            float(stream.duration * stream.time_base),
        )
        pictures = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    return MovieFile(*facts, np.stack(pictures))


def screens(steps: int, envs: int = 1, seed: int = 0) -> np.ndarray:
    """(steps, envs, 210, 160, 3): coarse noise that changes a little from step to step, as games
    do; so that a step's neighbours are near it, and yet not it."""
    random = np.random.default_rng(seed)
    coarse = random.integers(40, 200, (1, envs, 7, 8, 3)).astype(np.uint8).repeat(steps, 0)
    for step in range(steps):
        coarse[step:, :, step % 7, step % 8] = random.integers(0, 256, (envs, 3))
    return coarse.repeat(30, 2).repeat(20, 3)


def shown_play(
    steps: int = 24, envs: int = 1, card: ModelCard | None = None, **without: None
) -> Recording:
    """Episodes of 10 steps with a point at every third.

    without: names of arrays that were not recorded, as in `rewards=None`.
    """
    card = card or ModelCard("dqn", "Seaquest", "7")
    random = np.random.default_rng(1)
    step = np.arange(steps)[:, None] + np.zeros(envs, int)
    small = random.integers(0, 256, (steps, envs, 7, 7)).astype(np.uint8)
    arrays: dict[str, Any] = {
        "screens": small.repeat(12, 2).repeat(12, 3),
        "colours": screens(steps, envs),
        "starts": step % EPISODE == 0,
        "terminated": step % EPISODE == EPISODE - 1,
        "truncated": np.zeros((steps, envs), bool),
        "actions": (step * 5) % 18,
        "rewards": np.where(step % 3 == 0, 20.0, 0.0),
    }
    kept = {name: rows for name, rows in arrays.items() if name not in without}
    return Recording(Header(card, card.game, Preprocessing()), kept)
