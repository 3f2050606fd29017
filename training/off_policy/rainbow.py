"""Rainbow (Hessel et al., 2018, https://arxiv.org/abs/1710.02298), as Dopamine has it.

Of the paper's six extensions the three that its authors found to matter most: distributions of
returns (C51, Bellemare et al., 2017, https://arxiv.org/abs/1707.06887), n-step returns, and
prioritized replay (https://github.com/google/dopamine, dopamine/jax/agents/rainbow).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.converters.network.heads import CategoricalHead
from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.training.hyperparameters import Count, Weight
from atari_zoo.training.off_policy.replay import Transitions
from atari_zoo.training.off_policy.value_config import ValueConfig
from atari_zoo.training.off_policy.value_training import Judgement, ValueTrainer


@dataclass(frozen=True, kw_only=True)
class RainbowConfig(ValueConfig):
    """Hyper-parameters of Rainbow; the defaults are Dopamine's."""

    steps: Count = 3
    # Dopamine draws by the square root of the loss, and weights by its probability ** -0.5
    priority_exponent: Weight = 0.5
    importance_exponent: Weight = 0.5


def projection(
    returns: Float[Tensor, "batch"],
    discounts: Float[Tensor, "batch"],
    probabilities: Float[Tensor, "batch atoms"],
    support: Float[Tensor, "atoms"],
) -> Float[Tensor, "batch atoms"]:
    """The distribution of return + discount * value, on the evenly spaced atoms of `support`.

    C51's algorithm 1: an atom's probability is shared by the two atoms between which it lands,
    the nearer getting more; outside the support, it goes to the outermost.
    """
    spacing = support[1] - support[0]
    landed = returns[:, None] + discounts[:, None] * support
    landed = landed.maximum(support[0]).minimum(support[-1])  # (batch, from)
    distance = (landed[:, None, :] - support[:, None]).abs() / spacing  # (batch, to, from)
    return ((1 - distance).clamp(min=0) * probabilities[:, None, :]).sum(2)


class Rainbow(ValueTrainer):
    """Learns the distribution of returns over 51 atoms from -10 to 10."""

    algorithm = "rainbow"
    Config = RainbowConfig
    config: RainbowConfig

    def judge(self, batch: Transitions) -> Judgement:
        rows = torch.arange(len(batch.actions), device=batch.actions.device)
        head = _head(self.network)
        with torch.no_grad():
            logits = _logits(self.target, batch.following)
            ahead = logits[rows, head.output(logits).argmax(1)].softmax(1)
            targets = projection(batch.returns, batch.discounts, ahead, head.output.support)
        logits = _logits(self.network, batch.observations)
        losses = -(targets * logits[rows, batch.actions].log_softmax(1)).sum(1)
        values = head.output(logits.detach())[rows, batch.actions]
        # the loss is the priority; the constant keeps it from 0, as Dopamine's does
        return Judgement(losses, losses + 1e-10, values)


def _head(network: MnihNetwork) -> CategoricalHead:
    assert isinstance(network.head, CategoricalHead)
    return network.head


def _logits(network: MnihNetwork, observations: Tensor) -> Float[Tensor, "batch actions atoms"]:
    return _head(network).atoms(network.trunk(observations))
