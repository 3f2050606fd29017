"""A2C: synchronous advantage actor-critic (Mnih et al., 2016, https://arxiv.org/abs/1602.01783)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from atari_zoo.converters.heads import ActorCriticHead
from atari_zoo.converters.networks import MnihNetwork
from atari_zoo.training.actors import Actors, Unroll
from atari_zoo.training.trainers import Trainer, TrainingConfig, Update


@dataclass(frozen=True, kw_only=True)
class A2CConfig(TrainingConfig):
    """Hyper-parameters of A2C; the defaults are baselines'."""

    workers: int = 1  # threads that share the environments, on a CPU
    unroll: int = 5  # steps between updates
    learning_rate: float = 7e-4
    anneal: bool = True  # the learning rate falls to 0 over `frames`
    decay: float = 0.99  # of RMSProp's running mean square
    epsilon: float = 1e-5
    discount: float = 0.99
    value_weight: float = 0.5
    entropy_weight: float = 0.01
    max_gradient: float = 0.5


def discounted_returns(
    rewards: Float[Tensor, "time envs"],
    over: Bool[Tensor, "time envs"],
    bootstrap: Float[Tensor, "envs"],
    discount: float,
) -> Float[Tensor, "time envs"]:
    """Rewards to the end of the unroll or episode, then `bootstrap`, the value that follows."""
    returns = torch.empty_like(rewards)
    ahead = bootstrap
    for step in reversed(range(len(rewards))):
        ahead = rewards[step] + discount * ahead * ~over[step]
        returns[step] = ahead
    return returns


def a2c_losses(
    network: MnihNetwork, unroll: Unroll, config: A2CConfig
) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
    """The loss, and its parts (policy, value, entropy) for the log."""
    head = network.head
    assert isinstance(head, ActorCriticHead)
    logits, values = head.both(network.trunk(unroll.observations.flatten(0, 1)))
    with torch.no_grad():
        bootstrap = head.both(network.trunk(unroll.last))[1]
    returns = discounted_returns(unroll.rewards, unroll.over, bootstrap, config.discount).flatten()
    policy = torch.distributions.Categorical(logits=logits)
    advantage = returns - values.detach()
    parts = {
        "policy_loss": -(advantage * policy.log_prob(unroll.actions.flatten())).mean(),
        "value_loss": (returns - values).square().mean(),
        "entropy": policy.entropy().mean(),
    }
    loss = (
        parts["policy_loss"]
        + config.value_weight * parts["value_loss"]
        - config.entropy_weight * parts["entropy"]
    )
    return loss, {name: part.detach() for name, part in parts.items()}


class A2C(Trainer):
    """Trains an actor-critic.

    On a CPU, `config.workers` threads each play and differentiate a share of the batch with
    one core: far faster than one thread whose operations are each spread over the cores.
    """

    algorithm = "a2c"
    Config = A2CConfig
    config: A2CConfig

    def build(self) -> MnihNetwork:
        config = self.config
        share, rest = divmod(config.envs, config.workers)
        if rest:
            raise ValueError(f"{config.envs} environments cannot be shared by {config.workers}")
        threads = 1 if config.workers > 1 else 0
        self.actors = [
            Actors(config, share, self.fabric.device, threads) for _ in range(config.workers)
        ]
        self.pool = ThreadPoolExecutor(config.workers, initializer=_one_core)
        network = self.new_network(len(self.actors[0].environments.screen.actions))
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.fabric.to_device(network)
        self.parameters = list(network.parameters())
        self.optimizer = torch.optim.RMSprop(
            self.parameters, config.learning_rate, alpha=config.decay, eps=config.epsilon
        )
        return network

    def begin(self, seed: int) -> None:
        for index, actors in enumerate(self.actors):
            actors.begin(seed + index * actors.environments.count)

    def update(self) -> Update:
        config = self.config
        shares = list(self.pool.map(self._gradients, self.actors))
        remaining = 1 - self.frames / config.frames if config.anneal else 1.0
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * remaining
        gradients = zip(*(share[0] for share in shares), strict=True)
        for parameter, parts in zip(self.parameters, gradients, strict=True):
            parameter.grad = sum(parts[1:], start=parts[0]) / len(parts)
        nn.utils.clip_grad_norm_(self.parameters, config.max_gradient)
        self.optimizer.step()
        for actors in self.actors:
            self.recent.extend(actors.take_scores())
        values = {n: float(np.mean([share[1][n] for share in shares])) for n in shares[0][1]}
        return Update(config.envs * config.unroll * config.preprocessing.frame_skip, values)

    def state(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])

    def close(self) -> None:
        self.pool.shutdown()

    def _gradients(self, actors: Actors) -> tuple[tuple[Tensor, ...], dict[str, float]]:
        unroll = actors.unroll(self.network, self.config.unroll)
        loss, parts = a2c_losses(self.network, unroll, self.config)
        # not .backward(): the workers would add to the same .grad
        gradients = torch.autograd.grad(loss, self.parameters)
        return gradients, {name: float(part) for name, part in parts.items()}


def _one_core() -> None:
    torch.set_num_threads(1)
