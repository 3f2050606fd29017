"""Criteria by which a run's archived checkpoints are picked to stand for it, after the fact.

Those of the Atari Zoo paper (Such et al., 2019, https://arxiv.org/abs/1812.07069, section 3.1):
before training, after hours of training, after emulator frames, the first at a person's level,
and the last. Each is a function of the checkpoints and the log, and `criteria` names them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pandas

from atari_zoo.games import game as find_game
from atari_zoo.logs.checkpoint_files import Checkpoint

HOURS = (1.0, 2.0, 4.0, 6.0, 10.0)  # of training, in the paper
FRAMES = (400_000_000, 1_000_000_000)
# a checkpoint stands for a mark if it is at most this part of it away; and a run has come so far
# if its last log row, which comes before its last moment, is at most this part short of it
NEAR, SHORT = 0.25, 0.05

Criterion = Callable[[Sequence[Checkpoint], pandas.DataFrame], Checkpoint | None]


def initial(checkpoints: Sequence[Checkpoint], log: pandas.DataFrame) -> Checkpoint | None:
    """The model before any training."""
    return next((found for found in checkpoints if found.frames == 0), None)


def final(checkpoints: Sequence[Checkpoint], log: pandas.DataFrame) -> Checkpoint | None:
    """The last."""
    return max(checkpoints, key=lambda checkpoint: checkpoint.frames, default=None)


def after_hours(hours: float) -> Criterion:
    """The checkpoint nearest to so many hours of training, in a run that trained so long."""

    def nearest_hour(checkpoints: Sequence[Checkpoint], log: pandas.DataFrame) -> Checkpoint | None:
        return _nearest("seconds", hours * 3600, checkpoints, log)

    return nearest_hour


def after_frames(frames: int) -> Criterion:
    """The checkpoint nearest to so many emulator frames, in a run that played so many."""

    def nearest_frames(
        checkpoints: Sequence[Checkpoint], log: pandas.DataFrame
    ) -> Checkpoint | None:
        return _nearest("frames", frames, checkpoints, log)

    return nearest_frames


def human_level(game: str) -> Criterion:
    """The first checkpoint whose score is a person's in the game, or more."""
    human = find_game(game).human if game else None

    def first_at_human_level(
        checkpoints: Sequence[Checkpoint], log: pandas.DataFrame
    ) -> Checkpoint | None:
        good = [found for found in checkpoints if human is not None and found.score >= human]
        return min(good, key=lambda checkpoint: checkpoint.frames, default=None)

    return first_at_human_level


def criteria(
    game: str, hours: Sequence[float] = HOURS, frames: Sequence[int] = FRAMES
) -> dict[str, Criterion]:
    """The criteria by their tags, which are those of the paper's models.

    >>> list(criteria("Pong"))
    ['initial', '1HR', '2HR', '4HR', '6HR', '10HR', '400M', '1B', 'human', 'final']
    """
    return {
        "initial": initial,
        **{f"{mark:g}HR": after_hours(mark) for mark in hours},
        **{shortened(mark): after_frames(mark) for mark in frames},
        "human": human_level(game),
        "final": final,
    }


def shortened(frames: int) -> str:
    """A number of frames as in tags.

    >>> shortened(400_000_000), shortened(2_500_000), shortened(1000)
    ('400M', '2.5M', '1k')
    """
    for unit, letter in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if frames >= unit:
            return f"{frames / unit:.12g}{letter}"
    return str(frames)


def _nearest(
    measure: str, mark: float, checkpoints: Sequence[Checkpoint], log: pandas.DataFrame
) -> Checkpoint | None:
    known = [found for found in checkpoints if math.isfinite(getattr(found, measure))]
    reached = [*log[measure].dropna(), *(getattr(found, measure) for found in known)]
    if not known or max(reached) < mark * (1 - SHORT):
        return None

    def away(checkpoint: Checkpoint) -> float:
        return abs(getattr(checkpoint, measure) - mark)

    nearest = min(known, key=away)
    return nearest if away(nearest) <= mark * NEAR else None
