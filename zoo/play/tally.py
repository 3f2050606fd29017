"""Tally of a rollout: the steps that were played, and the episodes that ended."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Int


class Tally:
    """Counts steps, or episodes that are shared out among the environments beforehand.

    So short episodes are not counted more often than long ones: each environment plays its
    first few to the end.

    count: the steps that were played.
    """

    def __init__(self, envs: int, steps: int | None, episodes: int | None) -> None:
        self.steps, self.episodes = steps, episodes
        self.count = 0
        self.score, self.length = np.zeros(envs), np.zeros(envs, int)
        self.ended: list[list[tuple[float, int]]] = [[] for _ in range(envs)]
        quota = -(-(episodes or 0) // envs)
        self.quota = np.full(envs, quota)
        if episodes:  # the first environments play one more where they cannot share evenly
            self.quota[envs - (quota * envs - episodes) :] -= 1

    def add(self, rewards: Float[np.ndarray, "envs"], over: Bool[np.ndarray, "envs"]) -> None:
        """Counts a step; over: where an episode ended with it."""
        self.count += 1
        self.score += rewards
        self.length += 1
        for env in np.flatnonzero(over):
            self.ended[env].append((float(self.score[env]), int(self.length[env])))
            self.score[env], self.length[env] = 0, 0

    def add_step(self, step: Mapping[str, np.ndarray]) -> None:
        """The same, of a step as it is recorded."""
        self.add(step["rewards"], step["terminated"] | step["truncated"])

    @property
    def progress(self) -> tuple[int, int]:
        """What is done and what there is to do, in steps or in episodes."""
        if self.episodes is None:
            return self.count, self.steps or 0
        done = sum(min(len(e), int(q)) for e, q in zip(self.ended, self.quota, strict=True))
        return done, self.episodes

    @property
    def finished(self) -> bool:
        done, total = self.progress
        return done >= total

    @property
    def counted(self) -> list[tuple[float, int]]:
        """Scores and lengths of the episodes that count, by environment, then in order."""
        return [
            episode
            for episodes, quota in zip(self.ended, self.quota, strict=True)
            for episode in (episodes[:quota] if self.episodes else episodes)
        ]

    @property
    def returns(self) -> Float[np.ndarray, "episodes"]:
        return np.array([score for score, _ in self.counted], float)

    @property
    def lengths(self) -> Int[np.ndarray, "episodes"]:
        return np.array([length for _, length in self.counted], int)
