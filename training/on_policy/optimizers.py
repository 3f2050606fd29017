"""Optimizers of the actor-critics, and how their rate runs.

TensorFlow's RMSProp is not torch's: its mean square begins at 1, not 0, and epsilon stands inside
the root. With torch's, the first step moves every weight by ten times the rate, which kills units
that never live again (Stable-Baselines3's pull request 110,
https://github.com/DLR-RM/stable-baselines3/pull/110).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from atari_zoo.training.hyperparameters import Natural, Positive, Share, Weight
from atari_zoo.training.trainers import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig(TrainingConfig):
    """The hyper-parameters of an actor-critic's optimizer."""

    optimizer: str = "rmsprop-tf"  # or "rmsprop", torch's own, or "adam"
    learning_rate: Positive = 7e-4
    anneal: bool = True  # the learning rate falls to 0 over `frames`
    warmup: Natural = 0  # frames over which the learning rate rises from 0, before it falls
    decay: Share = 0.99  # of the running mean square
    epsilon: Weight = 1e-5
    max_gradient: Positive = 0.5  # norm that gradients are clipped to

    def check(self) -> None:
        super().check()
        check_optimizer(self.optimizer)

    def rate(self, frames: int) -> float:
        """The learning rate of the update that begins after so many frames.

        >>> OptimizerConfig(learning_rate=1.0, frames=100, warmup=10).rate(5)
        0.475
        """
        risen = min(1.0, frames / self.warmup) if self.warmup else 1.0
        left = max(0.0, 1 - frames / self.frames) if self.anneal else 1.0
        return self.learning_rate * risen * left


class TensorFlowRMSprop(torch.optim.Optimizer):
    """RMSProp as `tf.train.RMSPropOptimizer` has it.

    mean_square = decay * mean_square + (1 - decay) * gradient ** 2, from 1
    weight -= lr * gradient / sqrt(mean_square + epsilon)
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float, decay: float = 0.9, epsilon: float = 1e-10
    ) -> None:
        super().__init__(params, {"lr": lr, "decay": decay, "epsilon": epsilon})
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["mean_square"] = torch.ones_like(parameter)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; `closure`, where given, computes the gradients first."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            moved = [p for p in group["params"] if p.grad is not None]
            if not moved:
                continue
            gradients = [p.grad for p in moved]
            squares = [self.state[p]["mean_square"] for p in moved]
            torch._foreach_mul_(squares, group["decay"])
            torch._foreach_addcmul_(squares, gradients, gradients, 1 - group["decay"])
            roots = torch._foreach_add(squares, group["epsilon"])
            torch._foreach_sqrt_(roots)
            torch._foreach_addcdiv_(moved, gradients, roots, -group["lr"])
        return loss


def rmsprop_tf(weights: list[nn.Parameter], config: OptimizerConfig) -> torch.optim.Optimizer:
    """As baselines' A2C and scalable_agent's IMPALA have it."""
    return TensorFlowRMSprop(weights, config.learning_rate, config.decay, config.epsilon)


def rmsprop(weights: list[nn.Parameter], config: OptimizerConfig) -> torch.optim.Optimizer:
    """Torch's own."""
    return torch.optim.RMSprop(
        weights, config.learning_rate, alpha=config.decay, eps=config.epsilon
    )


def adam(weights: list[nn.Parameter], config: OptimizerConfig) -> torch.optim.Optimizer:
    """Adam, whose first steps are corrected for the averages' beginning at 0."""
    return torch.optim.Adam(
        weights, config.learning_rate, betas=(0.9, config.decay), eps=config.epsilon, fused=True
    )


OPTIMIZERS = {"rmsprop-tf": rmsprop_tf, "rmsprop": rmsprop, "adam": adam}


def check_optimizer(name: str) -> None:
    """Raises ValueError, with the names there are, if there is none of that name."""
    if name not in OPTIMIZERS:
        raise ValueError(f"no optimizer '{name}'; there are {', '.join(sorted(OPTIMIZERS))}")


def optimizer(weights: list[nn.Parameter], config: OptimizerConfig) -> torch.optim.Optimizer:
    """The optimizer that `config` names; ValueError if there is none of that name."""
    check_optimizer(config.optimizer)
    return OPTIMIZERS[config.optimizer](weights, config)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the learning rate of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate
