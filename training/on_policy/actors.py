"""Actors of the policy-gradient algorithms: they play the policy and keep what it did."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from atari_zoo.converters.network.heads import ActorCriticHead
from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.emulator.environments import Environments
from atari_zoo.training.trainers import TrainingConfig


class Unroll(NamedTuple):
    """What the actors did between two updates; the first axis is time."""

    observations: UInt8[Tensor, "time envs stack 84 84"]
    actions: Int[Tensor, "time envs"]
    rewards: Float[Tensor, "time envs"]
    over: Bool[Tensor, "time envs"]  # nothing that follows was earned by the action
    cut: Bool[Tensor, "time envs"]  # as well, but by a time limit: the game would have gone on
    logits: Float[Tensor, "time envs actions"]  # of the policy that acted
    values: Float[Tensor, "time envs"]  # that it gave the observations
    last: UInt8[Tensor, "envs stack 84 84"]  # the observations after the last action


class Actors:
    """Some of the environments, playing a policy step by step.

    threads: of the emulator; 0 for one a core.
    life_loss: whether a lost life counts as an episode's end while learning; where the
        preprocessing ends the agent's episodes with lives, it always does.
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

    def unroll(self, network: MnihNetwork, steps: int) -> Unroll:
        """Plays `steps` steps, actions sampled from the policy.

        Logits and values carry gradients where autograd is on and the weights want them.
        """
        head = network.head
        assert isinstance(head, ActorCriticHead)
        played: list[tuple[Tensor, ...]] = []
        for _ in range(steps):
            logits, values = head.both(network.trunk(self.observations))
            chosen = self._sample(logits.detach())
            step = self.environments.step(chosen.cpu().numpy())
            ended = step.terminated | step.truncated
            self._score(step.rewards, ended)
            over = ended | step.life_ended
            if self.life_loss:
                over = over | (step.lives < self.lives)
            self.lives = step.lives
            gained = np.sign(step.rewards) if self.config.clip_rewards else step.rewards
            cut = step.truncated & ~step.terminated
            tensors = (torch.from_numpy(a).to(chosen.device) for a in (gained, over, cut))
            played.append((self.observations, chosen, *tensors, logits, values))
            self.observations = step.observations
        stacked = (torch.stack(tensors) for tensors in zip(*played, strict=True))
        return Unroll._make((*stacked, self.observations))

    def _sample(self, logits: Float[Tensor, "envs actions"]) -> Int[Tensor, "envs"]:
        """An action of the softmax's distribution for each."""
        noise = torch.empty_like(logits).exponential_(generator=self.generator)
        return (logits.softmax(-1) / noise).argmax(-1)

    def take_scores(self) -> list[float]:
        """Scores of the episodes that ended since this was last asked."""
        scores, self.finished = self.finished, []
        return scores

    def _score(self, rewards: Float[np.ndarray, "envs"], over: Bool[np.ndarray, "envs"]) -> None:
        self.scores += rewards
        self.finished.extend(map(float, self.scores[over]))
        self.scores[over] = 0


def bootstrapped(
    unroll: Unroll, values: Float[Tensor, "time envs"], discount: float
) -> Float[Tensor, "time envs"]:
    """Rewards, and where a time limit cut an episode short, what was still to be won.

    The emulator does not show the screen after the cut; the value of the observation that the
    last action was chosen by stands for that of the next.
    """
    return unroll.rewards + discount * values.detach() * unroll.cut
