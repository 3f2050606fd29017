"""DQN (Mnih et al., 2015, https://doi.org/10.1038/nature14236).

The hyper-parameters are those of Dopamine's DQN as it is now, with Adam in RMSProp's place
(https://github.com/google/dopamine, dopamine/jax/agents/dqn/configs/dqn.gin).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from atari_zoo.training.off_policy.replay import Transitions
from atari_zoo.training.off_policy.value_config import ValueConfig
from atari_zoo.training.off_policy.value_training import Judgement, ValueTrainer

LOSSES: dict[str, Callable[..., Tensor]] = {
    "mse": nn.functional.mse_loss,
    "huber": nn.functional.huber_loss,
}


@dataclass(frozen=True, kw_only=True)
class DQNConfig(ValueConfig):
    """Hyper-parameters of DQN; the defaults are Dopamine's."""

    loss: str = "mse"  # or "huber", whose derivative ends at -1 and 1, as in the paper

    def check(self) -> None:
        super().check()
        if self.loss not in LOSSES:
            raise ValueError(f"no loss '{self.loss}'; there are {', '.join(LOSSES)}")


class DQN(ValueTrainer):
    """Learns Q-values by one-step temporal differences, from uniform samples."""

    algorithm = "dqn"
    Config = DQNConfig
    config: DQNConfig

    def judge(self, batch: Transitions) -> Judgement:
        with torch.no_grad():
            ahead = self.target(batch.following).amax(1)
            targets = batch.returns + batch.discounts * ahead
        values = self.network(batch.observations).gather(1, batch.actions[:, None]).squeeze(1)
        losses = LOSSES[self.config.loss](values, targets, reduction="none")
        return Judgement(losses, (targets - values).abs(), values)
