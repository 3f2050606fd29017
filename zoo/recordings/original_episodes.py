"""Beginnings of the episodes of cached play: the original zoo kept returns, but no ends.

atari_zoo/rollout.py of uber-research/atari-model-zoo sets the score to 0 when an episode ends.
Once the limit of steps was reached it ended an episode at every step, so that the tail of a file
may hold episodes of one step; of 2501 steps, the last is one.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Float, Int

from atari_zoo.converters.errors import ConversionError


def episode_starts(
    observations: Iterable[np.ndarray], score: Float[np.ndarray, "steps"], episodes: int
) -> Bool[np.ndarray, "steps"]:
    """True at an episode's first step: its stack does not continue the one before, its score is 0.

    observations: all steps in pieces, (some, 84, 84, 4). episodes: how many ended.
    An episode that begins as the one before ended, on one screen standing still, is not seen.
    Where some are missing, the tail of one-step episodes is taken to be longer, if it can be.
    """
    breaks: list[np.ndarray] = []
    before = None
    for rows in observations:
        earlier = rows[:-1] if before is None else np.concatenate([before, rows[:-1]])
        later = rows[1:] if before is None else rows
        breaks.append((later[..., :3] != earlier[..., 1:]).any(axis=(1, 2, 3)))
        before = rows[-1:]
    starts = np.concatenate([[True], *breaks]) & (score == 0)
    return _with_tail(starts, score, episodes)


def episode_lengths(
    starts: Bool[np.ndarray, "steps"], episodes: int
) -> Int[np.ndarray, "episodes"]:
    """Steps of the episodes that ended.

    Raises ConversionError if they are not as many as began, give or take the one at the end.
    """
    first = np.flatnonzero(starts)
    if len(first) - episodes not in (0, 1):
        raise ConversionError(
            f"{episodes} returns, but {len(first)} beginnings of episodes were found: was noise "
            "added to the observations? Those can be read, but not the episodes"
        )
    return np.diff(np.append(first, len(starts)))[:episodes]


def rewards_of(
    score: Float[np.ndarray, "steps"],
    returns: Float[np.ndarray, "episodes"],
    lengths: Int[np.ndarray, "episodes"],
) -> Float[np.ndarray, "steps"]:
    """What each step added to the score; 0 for the last step if its episode did not end."""
    after = np.append(score[1:], score[-1])
    after[np.cumsum(lengths) - 1] = returns
    return after - score


def _with_tail(starts: np.ndarray, score: np.ndarray, episodes: int) -> np.ndarray:
    """Every step from one on made a start, so that there are as many as episodes ended."""
    missing = episodes - int(starts.sum())
    if missing <= 0:
        return starts
    unseen = np.flatnonzero(~starts)[-missing:]  # those nearest to the end
    tail = slice(int(unseen[0]), None) if len(unseen) == missing else slice(0, 0)
    if (score[tail] == 0).all():
        starts = starts.copy()
        starts[tail] = True
    return starts
