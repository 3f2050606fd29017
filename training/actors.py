"""Actors of the policy-gradient algorithms: they play the policy and keep what it did."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from atari_zoo.converters.networks import MnihNetwork
from atari_zoo.environments import Environments
from atari_zoo.training.trainers import TrainingConfig


class Unroll(NamedTuple):
    """What the actors did between two updates; the first axis is time."""

    observations: UInt8[Tensor, "time envs stack 84 84"]
    actions: Int[Tensor, "time envs"]
    rewards: Float[Tensor, "time envs"]
    over: Bool[Tensor, "time envs"]
    logits: Float[Tensor, "time envs actions"]  # of the policy that acted
    last: UInt8[Tensor, "envs stack 84 84"]  # the observations after the last action


class Actors:
    """Some of the environments, playing a policy step by step.

    threads: of the emulator; 0 for one a core.
    life_loss: whether a lost life counts as an episode's end while learning.
    """

    def __init__(
        self,
        config: TrainingConfig,
        envs: int,
        device: torch.device,
        threads: int = 0,
        life_loss: bool = False,
    ) -> None:
        self.config, self.life_loss = config, life_loss
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
        self.lives = np.zeros(self.environments.count, np.int32)

    @torch.no_grad()
    def unroll(self, network: MnihNetwork, steps: int) -> Unroll:
        """Plays `steps` steps, actions sampled from the policy."""
        played: list[tuple[Tensor, ...]] = []
        for _ in range(steps):
            logits = network(self.observations)
            noise = torch.empty_like(logits).exponential_(generator=self.generator)
            chosen = (logits.softmax(-1) / noise).argmax(-1)  # a sample of the softmax
            step = self.environments.step(chosen.cpu().numpy())
            ended = step.terminated | step.truncated
            self._score(step.rewards, ended)
            over = ended | (step.lives < self.lives) if self.life_loss else ended
            self.lives = step.lives
            gained = np.sign(step.rewards) if self.config.clip_rewards else step.rewards
            tensors = (torch.from_numpy(a).to(chosen.device) for a in (gained, over))
            played.append((self.observations, chosen, *tensors, logits))
            self.observations = step.observations
        stacked = [torch.stack(tensors) for tensors in zip(*played, strict=True)]
        observations, actions, rewards, over, behaviour = stacked
        return Unroll(observations, actions, rewards, over, behaviour, self.observations)

    def take_scores(self) -> list[float]:
        """Scores of the episodes that ended since this was last asked."""
        scores, self.finished = self.finished, []
        return scores

    def _score(self, rewards: Float[np.ndarray, "envs"], over: Bool[np.ndarray, "envs"]) -> None:
        self.scores += rewards
        self.finished.extend(map(float, self.scores[over]))
        self.scores[over] = 0
