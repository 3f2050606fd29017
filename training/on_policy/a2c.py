"""A2C: synchronous advantage actor-critic (Mnih et al., 2016, https://arxiv.org/abs/1602.01783).

The learner differentiates through the passes that chose the actions: the weights have not changed
since, so a pass of its own would compute the same.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from atari_zoo.converters.network.heads import ActorCriticHead
from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.training.hyperparameters import Count, Share, Weight
from atari_zoo.training.on_policy.actor_critic import ActorCritic
from atari_zoo.training.on_policy.actors import Actors, Unroll, bootstrapped
from atari_zoo.training.on_policy.optimizers import OptimizerConfig, set_rate
from atari_zoo.training.trainers import Update


@dataclass(frozen=True, kw_only=True)
class A2CConfig(OptimizerConfig):
    """Hyper-parameters of A2C; the defaults are baselines'."""

    unroll: Count = 5  # steps between updates
    discount: Share = 0.99
    value_weight: Weight = 0.5
    entropy_weight: Weight = 0.01
    life_loss: bool = True  # a lost life ends an episode, while learning


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
    unroll: Unroll, bootstrap: Float[Tensor, "envs"], config: A2CConfig
) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
    """The loss, and its parts (policy, value, entropy) for the log.

    unroll: its logits and values carry the gradients.
    bootstrap: the value of the state after the last action.
    """
    rewards = bootstrapped(unroll, unroll.values, config.discount)
    returns = discounted_returns(rewards, unroll.over, bootstrap, config.discount)
    advantage = returns - unroll.values.detach()
    policy = torch.distributions.Categorical(logits=unroll.logits, validate_args=False)
    parts = {
        "policy_loss": -(advantage * policy.log_prob(unroll.actions)).mean(),
        "value_loss": (returns - unroll.values).square().mean(),
        "entropy": policy.entropy().mean(),
    }
    loss = (
        parts["policy_loss"]
        + config.value_weight * parts["value_loss"]
        - config.entropy_weight * parts["entropy"]
    )
    return loss, {name: part.detach() for name, part in parts.items()}


class A2C(ActorCritic):
    """Trains an actor-critic.

    On a CPU, as many threads as `config.threads` each play and differentiate a share of the
    batch with one core: far faster than one thread whose operations are each spread over them.
    """

    algorithm = "a2c"
    Config = A2CConfig
    config: A2CConfig

    def build(self) -> MnihNetwork:
        config = self.config
        workers = self.threads if self.fabric.device.type == "cpu" else 1
        if not config.threads:  # as many of the cores as can share alike
            workers = max(n for n in range(1, workers + 1) if config.envs % n == 0)
        share, rest = divmod(config.envs, workers)
        if rest:
            raise ValueError(
                f"{config.envs} environments cannot be shared by {workers} threads; "
                "choose numbers of which one divides the other"
            )
        self.threads = workers
        threads = 1 if workers > 1 else self.threads
        self.actors = [
            Actors(config, share, self.fabric.device, threads, config.life_loss)
            for _ in range(workers)
        ]
        self.pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
        return self.learner()

    def begin(self, seed: int) -> None:
        for index, actors in enumerate(self.actors):
            actors.begin(seed + index * actors.environments.count)

    def update(self) -> Update:
        config = self.config
        frames = config.envs * config.unroll * config.preprocessing.frame_skip
        shares = list(self.pool.map(self._gradients, self.actors))
        gradients = zip(*(share[0] for share in shares), strict=True)
        for parameter, parts in zip(self.parameters, gradients, strict=True):
            parameter.grad = sum(parts[1:], start=parts[0]) / len(parts)
        nn.utils.clip_grad_norm_(self.parameters, config.max_gradient)
        set_rate(self.optimizer, config.rate(self.frames))
        self.optimizer.step()
        for actors in self.actors:
            self.recent.extend(actors.take_scores())
        values = {n: float(np.mean([share[1][n] for share in shares])) for n in shares[0][1]}
        return Update(frames, values)

    def _gradients(self, actors: Actors) -> tuple[tuple[Tensor, ...], dict[str, float]]:
        unroll = actors.unroll(self.network, self.config.unroll)
        head = self.network.head
        assert isinstance(head, ActorCriticHead)
        with torch.no_grad():
            bootstrap = head.both(self.network.trunk(unroll.last))[1]
        loss, parts = a2c_losses(unroll, bootstrap, self.config)
        # not .backward(): the workers would add to the same .grad
        gradients = torch.autograd.grad(loss, self.parameters)
        return gradients, {name: float(part) for name, part in parts.items()}
