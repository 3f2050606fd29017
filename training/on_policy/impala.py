"""IMPALA: actors play on while the learner learns (Espeholt et al., 2018).

https://arxiv.org/abs/1802.01561; its losses are summed over batch and time, as in
https://github.com/google-deepmind/scalable_agent/blob/master/experiment.py, which the learning
rate, the gradient's limit and RMSProp's epsilon are made for.
"""

from __future__ import annotations

import copy
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from atari_zoo.converters.network.heads import ActorCriticHead
from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.training.hyperparameters import Count, Positive, Share, Weight
from atari_zoo.training.on_policy.actor_critic import ActorCritic
from atari_zoo.training.on_policy.actors import Actors, Unroll, bootstrapped
from atari_zoo.training.on_policy.optimizers import OptimizerConfig, set_rate
from atari_zoo.training.on_policy.vtrace import vtrace
from atari_zoo.training.trainers import Update


@dataclass(frozen=True, kw_only=True)
class IMPALAConfig(OptimizerConfig):
    """Hyper-parameters of IMPALA; the defaults are the paper's for Atari."""

    envs: Count = 32
    batch: Count | None = None  # environments to a step of the optimizer; None for all
    unroll: Count = 20  # steps
    learning_rate: Positive = 6e-4
    epsilon: Weight = 0.01
    discount: Share = 0.99
    value_weight: Weight = 0.5
    entropy_weight: Weight = 0.01
    max_gradient: Positive = 40.0
    life_loss: bool = True  # a lost life ends an episode, while learning

    def check(self) -> None:
        super().check()
        if self.envs % (self.batch or self.envs):
            raise ValueError(
                f"{self.envs} environments make no whole batches of {self.batch}; "
                "choose a batch that divides them"
            )


def impala_losses(
    network: MnihNetwork, unroll: Unroll, config: IMPALAConfig
) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
    """The loss, summed over the unroll, and its parts' means over the steps for the log."""
    head = network.head
    assert isinstance(head, ActorCriticHead)
    logits, values = head.both(network.trunk(unroll.observations.flatten(0, 1)))
    with torch.no_grad():
        bootstrap = head.both(network.trunk(unroll.last))[1]
    logits, values = logits.view_as(unroll.logits), values.view_as(unroll.rewards)
    policy = torch.distributions.Categorical(logits=logits, validate_args=False)
    acted = torch.distributions.Categorical(logits=unroll.logits, validate_args=False)
    log_policy = policy.log_prob(unroll.actions)
    targets, advantages = vtrace(
        log_policy.detach() - acted.log_prob(unroll.actions),
        bootstrapped(unroll, values, config.discount),
        unroll.over,
        values.detach(),
        bootstrap,
        config.discount,
    )
    parts = {
        "policy_loss": -(advantages * log_policy).mean(),
        "value_loss": 0.5 * (targets - values).square().mean(),
        "entropy": policy.entropy().mean(),
    }
    loss = (
        parts["policy_loss"]
        + config.value_weight * parts["value_loss"]
        - config.entropy_weight * parts["entropy"]
    )
    return loss * values.numel(), {name: part.detach() for name, part in parts.items()}


def shares(unroll: Unroll, batch: int) -> list[Unroll]:
    """The unroll cut into those of `batch` environments each."""
    played = (tensor.split(batch, dim=1) for tensor in unroll[:-1])
    return [Unroll(*parts) for parts in zip(*played, unroll.last.split(batch), strict=True)]


class IMPALA(ActorCritic):
    """Trains an actor-critic, acting and learning at once.

    While the learner learns from one unroll, the actors play the next, with the weights as they
    were before: they are always one unroll behind, so that the same seed gives the same run.
    """

    algorithm = "impala"
    Config = IMPALAConfig
    config: IMPALAConfig

    def build(self) -> MnihNetwork:
        config = self.config
        self.batch = config.batch or config.envs
        threads = max(1, self.threads // 2)
        self.actors = [Actors(config, config.envs, self.fabric.device, threads, config.life_loss)]
        # one thread acts and one learns; each has its cores to itself
        self.pool = ThreadPoolExecutor(2, initializer=torch.set_num_threads, initargs=(threads,))
        self.playing: Future[tuple[Unroll, list[float]]] | None = None
        network = self.learner()
        self.behind = copy.deepcopy(network).requires_grad_(False)  # what the actors play
        return network

    def begin(self, seed: int) -> None:
        if self.playing is not None:
            self.playing.result()  # nobody learns from it: a resumed run would not have it
        self.actors[0].begin(seed)
        self.playing = self._play()

    def update(self) -> Update:
        assert self.playing is not None
        unroll, scores = self.playing.result()
        self.playing = self._play()
        self.recent.extend(scores)
        parts = self.pool.submit(self._learn, unroll).result()
        # waits for the device; the actors meanwhile go on
        values = {name: float(part) for name, part in parts.items()}
        return Update(self.unroll_frames, values)

    @property
    def unroll_frames(self) -> int:
        """Emulator frames that an unroll of all environments plays."""
        return self.config.envs * self.config.unroll * self.config.preprocessing.frame_skip

    def _play(self) -> Future[tuple[Unroll, list[float]]]:
        """The next unroll with the weights as they now are, and the scores that it ended."""
        self.behind.load_state_dict(self.network.state_dict())
        return self.pool.submit(self._unroll)

    @torch.no_grad()
    def _unroll(self) -> tuple[Unroll, list[float]]:
        (actors,) = self.actors
        return actors.unroll(self.behind, self.config.unroll), actors.take_scores()

    def _learn(self, unroll: Unroll) -> dict[str, Tensor]:
        """Steps the optimizer for each batch; returns the parts of the loss, means over batches."""
        config = self.config
        set_rate(self.optimizer, config.rate(self.frames))
        learnt = []
        for share in shares(unroll, self.batch):
            loss, parts = impala_losses(self.network, share, config)
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.parameters, config.max_gradient)
            self.optimizer.step()
            learnt.append(parts)
        return {name: torch.stack([p[name] for p in learnt]).mean() for name in learnt[0]}
