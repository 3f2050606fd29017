"""A2C: synchronous advantage actor-critic (Mnih et al., 2016, https://arxiv.org/abs/1602.01783)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from lightning.fabric import Fabric
from torch import Tensor, nn

from atari_zoo.converters.cards import Preprocessing
from atari_zoo.converters.heads import ActorCriticHead
from atari_zoo.converters.networks import MnihNetwork, Trunk
from atari_zoo.environments import Environments
from atari_zoo.training.runs import RunFolder, stop_requests


@dataclass(frozen=True)
class A2CConfig:
    """Hyper-parameters of A2C; the defaults are baselines'."""

    rom: str = "pong"
    frames: int = 40_000_000  # emulator frames to train for, in all
    seed: int = 1
    envs: int = 16
    workers: int = 1  # threads that share the environments
    unroll: int = 5  # steps between updates
    learning_rate: float = 7e-4
    anneal: bool = True  # the learning rate falls to 0 over `frames`
    decay: float = 0.99  # of RMSProp's running mean square
    epsilon: float = 1e-5
    discount: float = 0.99
    value_weight: float = 0.5
    entropy_weight: float = 0.01
    max_gradient: float = 0.5
    clip_rewards: bool = True
    save_every: int = 400_000  # emulator frames between checkpoints
    log_every: int = 40_000
    preprocessing: Preprocessing = field(default_factory=Preprocessing)


class Unroll(NamedTuple):
    """What the actors did between two updates; the first axis is time."""

    observations: UInt8[Tensor, "time envs stack 84 84"]
    actions: Int[Tensor, "time envs"]
    rewards: Float[Tensor, "time envs"]
    over: Bool[Tensor, "time envs"]
    last: UInt8[Tensor, "envs stack 84 84"]


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


class Actors:
    """Some of the environments, playing the policy as it is: one worker's share of a batch."""

    def __init__(self, config: A2CConfig, envs: int, device: torch.device, threads: int) -> None:
        self.config = config
        self.environments = Environments(
            config.rom, envs, config.preprocessing, device, threads=threads
        )
        self.generator = torch.Generator(device)
        self.finished: list[float] = []  # scores of the episodes that ended, until taken

    def begin(self, seed: int) -> None:
        """Starts new episodes."""
        self.generator.manual_seed(seed)
        self.observations = self.environments.reset(seed)
        self.scores = np.zeros(self.environments.count)

    @torch.no_grad()
    def unroll(self, network: MnihNetwork) -> Unroll:
        """Plays `config.unroll` steps, actions sampled from the policy."""
        steps: list[tuple[Tensor, ...]] = []
        for _ in range(self.config.unroll):
            logits = network(self.observations)
            noise = torch.empty_like(logits).exponential_(generator=self.generator)
            chosen = (logits.softmax(-1) / noise).argmax(-1)  # a sample of the softmax
            step = self.environments.step(chosen.cpu().numpy())
            ended = step.terminated | step.truncated
            self._score(step.rewards, ended)
            gained = np.sign(step.rewards) if self.config.clip_rewards else step.rewards
            tensors = map(torch.from_numpy, (gained, ended))
            steps.append((self.observations, chosen, *(t.to(chosen.device) for t in tensors)))
            self.observations = step.observations
        observations, actions, rewards, over = map(torch.stack, zip(*steps, strict=True))
        return Unroll(observations, actions, rewards, over, self.observations)

    def _score(self, rewards: np.ndarray, over: np.ndarray) -> None:
        self.scores += rewards
        self.finished.extend(self.scores[over].tolist())
        self.scores[over] = 0


class A2C:
    """Trains an actor-critic in a run folder, from where the folder left off.

    path: of the run folder, made if it is not there.
    progress: called at the start and at each log row with the frames done and the mean score of
        the last 100 episodes, nan while there are none.

    On a CPU, `config.workers` threads each play and differentiate a share of the batch with
    one core: far faster than one thread whose operations are each spread over the cores.
    """

    def __init__(
        self,
        path: str | Path,
        config: A2CConfig,
        accelerator: str = "auto",
        progress: Callable[[int, float], None] = lambda frames, score: None,
    ) -> None:
        self.config, self.progress = config, progress
        self.folder = RunFolder(path, config)
        self.fabric = Fabric(accelerator=accelerator, devices=1)
        self.fabric.seed_everything(config.seed, verbose=False)
        share, rest = divmod(config.envs, config.workers)
        if rest:
            raise ValueError(f"{config.envs} environments cannot be shared by {config.workers}")
        threads = 1 if config.workers > 1 else 0
        self.actors = [
            Actors(config, share, self.fabric.device, threads) for _ in range(config.workers)
        ]
        network = actor_critic(len(self.actors[0].environments.screen.actions))
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = network
        self.fabric.to_device(network)
        self.parameters = list(network.parameters())
        self.optimizer = torch.optim.RMSprop(
            self.parameters, config.learning_rate, alpha=config.decay, eps=config.epsilon
        )
        self.frames, self.seconds = 0, 0.0
        self.recent: deque[float] = deque(maxlen=100)
        self._resume()

    def train(self) -> MnihNetwork:
        """Trains to `config.frames`.

        Ctrl-C (or SIGTERM) finishes the update at hand, saves, and raises KeyboardInterrupt; a
        second one stops at once. Raises FloatingPointError, and saves nothing more, once a loss
        is no longer finite.
        """
        config = self.config
        per_update = config.envs * config.unroll * config.preprocessing.frame_skip
        self._begin()
        self.progress(self.frames, float(np.mean(self.recent)) if self.recent else float("nan"))
        with (
            ThreadPoolExecutor(config.workers, initializer=_one_core) as pool,
            stop_requests() as stopping,
        ):
            while self.frames < config.frames and not stopping.is_set():
                started = time.monotonic()
                parts = self._update(pool)
                self.frames += per_update
                self.seconds += time.monotonic() - started
                if _passed(self.frames, per_update, config.log_every):
                    self._log(parts)
                if _passed(self.frames, per_update, config.save_every):
                    self.save()
                    self._begin()
        self.save()
        if stopping.is_set():
            raise KeyboardInterrupt
        return self.network

    def save(self) -> None:
        """Writes a checkpoint."""
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "seconds": self.seconds,
            "recent": list(self.recent),
        }
        self.folder.save(self.frames, self.network.state_dict(), state)

    def _resume(self) -> None:
        state = self.folder.resume()
        if state is None:
            self.save()  # the model before any training
            return
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.frames, self.seconds = state["frames"], state["seconds"]
        self.recent.extend(state["recent"])

    def _begin(self) -> None:
        # the vectorised emulator cannot save its state, so episodes begin anew after every
        # checkpoint: a resumed run then does exactly what an uninterrupted one does
        seed = (self.config.seed * 1_000_003 + self.frames) % 2**30
        for index, actors in enumerate(self.actors):
            actors.begin(seed + index * actors.environments.count)

    def _update(self, pool: Executor) -> dict[str, float]:
        shares = list(pool.map(self._gradients, self.actors))
        remaining = 1 - self.frames / self.config.frames if self.config.anneal else 1.0
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * remaining
        gradients = zip(*(share[0] for share in shares), strict=True)
        for parameter, parts in zip(self.parameters, gradients, strict=True):
            parameter.grad = sum(parts[1:], start=parts[0]) / len(parts)
        nn.utils.clip_grad_norm_(self.parameters, self.config.max_gradient)
        self.optimizer.step()
        for actors in self.actors:
            self.recent.extend(actors.finished)
            actors.finished.clear()
        return {name: float(np.mean([share[1][name] for share in shares])) for name in shares[0][1]}

    def _gradients(self, actors: Actors) -> tuple[tuple[Tensor, ...], dict[str, float]]:
        loss, parts = a2c_losses(self.network, actors.unroll(self.network), self.config)
        # not .backward(): the workers would add to the same .grad
        gradients = torch.autograd.grad(loss, self.parameters)
        return gradients, {name: float(part) for name, part in parts.items()}

    def _log(self, values: dict[str, float]) -> None:
        if not all(map(np.isfinite, values.values())):
            raise FloatingPointError(
                f"{self.folder.path}: the loss is {values} after {self.frames} frames; "
                "the last good checkpoint is kept: try a smaller learning rate"
            )
        score = float(np.mean(self.recent)) if self.recent else None
        self.folder.log(
            frames=self.frames,
            seconds=round(self.seconds, 1),
            score=score,
            episodes=len(self.recent),
            **values,
        )
        self.progress(self.frames, float("nan") if score is None else score)


def _one_core() -> None:
    torch.set_num_threads(1)


def actor_critic(actions: int) -> MnihNetwork:
    """A new network, initialised orthogonally as baselines does."""
    network = MnihNetwork(Trunk(), ActorCriticHead(512, actions))
    head = network.head
    assert isinstance(head, ActorCriticHead)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            gain = {id(head.output): 0.01, id(head.value): 1.0}.get(id(module), 2**0.5)
            nn.init.orthogonal_(module.weight, gain)
            nn.init.constant_(module.get_parameter("bias"), 0)
    return network


def _passed(frames: int, step: int, every: int) -> bool:
    return frames // every > (frames - step) // every
