"""What was recorded while agents played."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from atari_zoo.converters.cards import ModelCard, Preprocessing


@dataclass
class Recording:
    """Play of one agent in several environments; the first axes are (steps, envs).

    screens: the newest of the stacked frames that the agent saw before it acted.
    starts: true where that was the first frame of an episode.
    frames: the colour screen at the same time; None unless asked for.
    actions: indices into the game's minimal actions, as executed.
    returns: the scores of the episodes that counted, by environment, then in order.
    lengths: their steps. seconds: what playing took.
    """

    card: ModelCard
    game: str
    preprocessing: Preprocessing
    seed: int
    screens: UInt8[np.ndarray, "steps envs 84 84"] | None = None
    starts: Bool[np.ndarray, "steps envs"] = field(default_factory=lambda: np.zeros((0, 0), bool))
    frames: UInt8[np.ndarray, "steps envs height width 3"] | None = None
    actions: Int[np.ndarray, "steps envs"] = field(default_factory=lambda: np.zeros((0, 0), int))
    outputs: Float[np.ndarray, "steps envs actions"] | None = None
    rewards: Float[np.ndarray, "steps envs"] = field(default_factory=lambda: np.zeros((0, 0)))
    lives: Int[np.ndarray, "steps envs"] = field(default_factory=lambda: np.zeros((0, 0), int))
    returns: Float[np.ndarray, "episodes"] = field(default_factory=lambda: np.zeros(0))
    lengths: Int[np.ndarray, "episodes"] = field(default_factory=lambda: np.zeros(0, int))
    steps: int = 0
    seconds: float = 0.0

    def observations(self, env: int = 0) -> UInt8[Tensor, "steps stack 84 84"]:
        """What the agent saw in one environment, the stacks rebuilt from single screens.

        Raises ValueError if screens were not recorded.
        """
        if self.screens is None:
            raise ValueError("no screens in this recording: record with keep=['screens']")
        return _stacks(self.screens[:, env], self.starts[:, env], self.preprocessing)

    def summary(self) -> dict[str, Any]:
        """The episodes that counted, in numbers: `std` is the sample's, 0 for one episode."""
        count = len(self.returns)
        return {
            "model": self.card.name,
            "game": self.game,
            "episodes": count,
            "mean": float(self.returns.mean()) if count else None,
            "std": float(self.returns.std(ddof=1)) if count > 1 else 0.0,
            "returns": self.returns.tolist(),
            "steps_per_second": self.steps / self.seconds,
        }

    @property
    def scores(self) -> Float[np.ndarray, "steps envs"]:
        """The episode's score before each step."""
        scores = np.zeros_like(self.rewards)
        running = np.zeros(self.rewards.shape[1])
        for step, rewards in enumerate(self.rewards):
            running[self.starts[step]] = 0
            scores[step] = running
            running += rewards
        return scores


def _stacks(screens: np.ndarray, starts: np.ndarray, preprocessing: Preprocessing) -> Tensor:
    steps = np.arange(len(screens))
    first = np.maximum.accumulate(np.where(starts, steps, 0))  # of the step's episode
    ages = np.arange(preprocessing.stack - 1, -1, -1)  # oldest first
    wanted = steps[:, None] - ages
    missing = wanted < first[:, None]
    stacks = screens[np.maximum(wanted, first[:, None])]
    if preprocessing.stack_start == "zeros":
        stacks[missing] = 0
    return torch.from_numpy(stacks)
