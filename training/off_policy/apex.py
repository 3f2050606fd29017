"""Ape-X DQN (Horgan et al., 2018, https://arxiv.org/abs/1803.00933).

Many actors, each exploring in its own measure, feed one prioritized replay, with one learner:
double Q-learning (https://arxiv.org/abs/1509.06461), a dueling network
(https://arxiv.org/abs/1511.06581), n-step returns. The paper's actors are hundreds of machines;
here they are the environments of one process, and act with the learner's newest weights.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.training.hyperparameters import Count, Positive, Share, Weight
from atari_zoo.training.off_policy.replay import Transitions
from atari_zoo.training.off_policy.value_config import ValueConfig
from atari_zoo.training.off_policy.value_training import Judgement, ValueTrainer

LEAST_PRIORITY = 1e-6  # so that a transition without error is not lost for ever


@dataclass(frozen=True, kw_only=True)
class ApeXConfig(ValueConfig):
    """Hyper-parameters of Ape-X; the defaults are the Atari Zoo paper's (supplement S3)."""

    envs: Count = 32  # actors
    buffer: Count = 2**21
    min_history: Count = 50_000
    batch: Count = 512
    update_every: Count = 64  # each transition is learnt from about 8 times, as in DQN
    target_every: Count = 2_500
    steps: Count = 3
    max_gradient: Positive | None = 40.0
    priority_exponent: Weight = 0.6
    importance_exponent: Weight = 0.4
    epsilon: Share = 0.4  # of the first actor; of the last, this to the power of 1 + `ladder`
    ladder: Weight = 7.0


class ApeX(ValueTrainer):
    """Learns from many actors at once."""

    algorithm = "apex"
    Config = ApeXConfig
    config: ApeXConfig

    def build(self) -> MnihNetwork:
        self.taken: deque[Tensor] = deque(maxlen=self.config.steps + 1)  # values of late actions
        return super().build()

    def epsilons(self) -> Float[Tensor, "envs"]:
        """epsilon_i = epsilon ** (1 + ladder * i / (N - 1)), the paper's section 4.1."""
        rungs = torch.linspace(0, 1, self.config.envs, device=self.fabric.device)
        return self.config.epsilon ** (1 + self.config.ladder * rungs)

    def judge(self, batch: Transitions) -> Judgement:
        with torch.no_grad():
            best = self.network(batch.following).argmax(1, keepdim=True)
            ahead = self.target(batch.following).gather(1, best).squeeze(1)
            targets = batch.returns + batch.discounts * ahead
        values = self.network(batch.observations).gather(1, batch.actions[:, None]).squeeze(1)
        errors = targets - values
        return Judgement(errors.square() / 2, errors.abs() + LEAST_PRIORITY, values)

    def first_priorities(self) -> Float[Tensor, "envs"] | None:
        """The absolute errors, by the values that the actors computed anyway when they acted."""
        newest, slots = self.replay.newest, self.replay.entering()[0]
        self.taken.append(self.values.gather(1, self.replay.actions[newest][:, None]).squeeze(1))
        if len(self.taken) <= self.config.steps:
            return None  # the episodes are younger than n steps: no transition enters
        returns, discounts = self.replay.returns(slots)
        targets = returns + discounts * self.values.amax(1)
        return (targets - self.taken[0]).abs() + LEAST_PRIORITY
