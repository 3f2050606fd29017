"""Prioritized experience replay (Schaul et al., 2016, https://arxiv.org/abs/1511.05952).

With both exponents 0 it is the plain replay of Mnih et al. (2015): every transition as likely.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atari_zoo.training.off_policy.priorities import Priorities
from atari_zoo.training.off_policy.replay import Replay


class PrioritizedReplay:
    """A replay whose transitions are drawn in proportion to priority ** exponent, their mass.

    importance: losses are weighted by probability ** -importance, against the bias of that.
    """

    def __init__(self, replay: Replay, exponent: float, importance: float) -> None:
        self.replay, self.exponent, self.importance = replay, exponent, importance
        device = replay.frames.device
        self.priorities = Priorities(replay.length * replay.envs, device)
        self.highest = torch.ones((), device=device)  # mass so far

    def enter(self, priorities: Float[Tensor, "envs"] | None = None) -> None:
        """After `replay.add`: what is now n steps old may be drawn, what is oldest no more.

        priorities: of those n steps old; if not given, the highest there was, so that none goes
            unseen for long.
        """
        slots, whole = self.replay.entering()
        leaving = self.replay.leaving()
        masses = self.highest if priorities is None else priorities**self.exponent
        masses = torch.cat([masses * whole, torch.zeros(len(leaving), device=masses.device)])
        self.priorities.write(torch.cat([slots, leaving]), masses)

    def draw(
        self, fractions: Float[Tensor, "2 batch"]
    ) -> tuple[Int[Tensor, "batch"], Float[Tensor, "batch"]]:
        """Slots of transitions, and weights of their losses, the largest 1.

        fractions: as `Priorities.draw` wants them.
        """
        slots, masses = self.priorities.draw(fractions)
        weights = masses**-self.importance
        return slots, weights / weights.max()

    def judge(self, slots: Int[Tensor, "batch"], priorities: Float[Tensor, "batch"]) -> None:
        """Gives transitions their new priorities."""
        masses = priorities**self.exponent
        self.priorities.write(slots, masses)
        self.highest.copy_(self.highest.maximum(masses.max()))

    @property
    def tensors(self) -> list[Tensor]:
        """What `judge` changes."""
        return [self.priorities.masses, self.priorities.sums, self.highest]

    def state(self) -> dict[str, Any]:
        """All but the replay itself, which is too large for a checkpoint."""
        return {
            "added": self.replay.added,
            "masses": self.priorities.masses,
            "highest": self.highest,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Takes `state` back; the replay must have been filled."""
        self.priorities.restore(state["masses"].to(self.highest.device))
        self.highest.copy_(state["highest"])
