"""Episodes of recordings: what they scored, how long they were, and that in numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from atari_zoo.intervals import interval


class Episodes(NamedTuple):
    """Those that ended and count, by environment, then in order."""

    returns: Float[np.ndarray, "episodes"]
    lengths: Int[np.ndarray, "episodes"]  # steps


def scores_before(
    rewards: Float[np.ndarray, "steps envs"],
    over: Bool[np.ndarray, "steps envs"],
    before: Float[np.ndarray, "envs"] | None = None,
) -> tuple[Float[np.ndarray, "steps envs"], Float[np.ndarray, "envs"]]:
    """The episode's score before each step, and before the one that follows the last.

    over: true at an episode's last step. before: the scores before the first step.
    """
    scores = np.zeros(rewards.shape)
    running = np.zeros(rewards.shape[1]) if before is None else before.copy()
    for step, gained in enumerate(rewards):
        scores[step] = running
        running = np.where(over[step], 0, running + gained)
    return scores, running


def episodes(
    over: Bool[np.ndarray, "steps envs"],
    after: Float[np.ndarray, "steps envs"],
    counted: Sequence[int] | None = None,
) -> Episodes:
    """Those that ended within a recording, which begins with one in every environment.

    over: true at an episode's last step. after: its score after each step.
    counted: how many of each environment's first ones; all if not given.
    """
    returns, lengths = [np.zeros(0)], [np.zeros(0, int)]
    for env in range(over.shape[1]):
        ends = np.flatnonzero(over[:, env])
        most = len(ends) if counted is None else counted[env]
        returns.append(after[ends, env][:most])
        lengths.append(np.diff(ends, prepend=-1)[:most])
    return Episodes(np.concatenate(returns), np.concatenate(lengths))


def summary(
    model: str, game: str, returns: Float[np.ndarray, "episodes"], steps: int, seconds: float
) -> dict[str, Any]:
    """Episodes in numbers; what cannot be told is None.

    `std` is the sample's, 0 for one episode; `interval` holds the mean's 95 % by the bootstrap;
    of two or three episodes, the lowest and the highest.
    """
    count = len(returns)
    return {
        "model": model,
        "game": game,
        "episodes": count,
        "mean": float(returns.mean()) if count else None,
        "std": float(returns.std(ddof=1)) if count > 1 else 0.0,
        "interval": list(interval(returns.tolist())) if count > 1 else None,
        "returns": returns.tolist(),
        "steps_per_second": steps / seconds if seconds > 0 and math.isfinite(seconds) else None,
    }
