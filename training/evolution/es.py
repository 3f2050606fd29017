"""Evolution strategies (Salimans et al., 2017, https://arxiv.org/abs/1703.03864).

The agent is the centre of a cloud of networks. Each generation, the cloud plays, and the centre
moves to where the scores are higher.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils import parameters_to_vector

from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.training.evolution.noise_table import NoiseTable
from atari_zoo.training.evolution.training import Evolution, EvolutionConfig, repeat_each
from atari_zoo.training.hyperparameters import Natural, Positive, Weight
from atari_zoo.training.trainers import Update
from atari_zoo.untrained.flat_weights import write_parameters
from atari_zoo.untrained.virtual_batch import fold_norms, reference_batch


@dataclass(frozen=True, kw_only=True)
class ESConfig(EvolutionConfig):
    """Hyper-parameters of evolution strategies; the defaults are the paper's but for its size."""

    learning_rate: Positive = 0.01  # of Adam
    weight_decay: Weight = 0.005
    virtual_batch: Natural = 128  # observations that norms are taken from; 0 for no norms

    def check(self) -> None:
        super().check()
        if self.population % 2:
            raise ValueError(f"a population of {self.population} cannot be pairs; make it even")


class Perturbation(NamedTuple):
    """A network of the cloud: the centre and `sign` times the noise of `seed`."""

    seed: int
    sign: int


CENTRE = Perturbation(0, 0)


def centred_ranks(scores: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Ranks, from -0.5 for the lowest score to 0.5 for the highest; equal scores share theirs."""
    if scores.size < 2:
        return np.zeros(scores.shape)
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = count.cumsum() - (count + 1) / 2  # the mean rank of those that are equal
    return (ranks[place] / (scores.size - 1) - 0.5).reshape(scores.shape)


def score_gradient(
    noise: NoiseTable, seeds: Sequence[int], scores: Float[np.ndarray, "pairs 2"]
) -> Float[Tensor, "parameters"]:
    """Which way scores rise: sum of ranks times noise, over the population's size.

    scores: of the networks with the noise of `seeds` added (first column) and subtracted.
    """
    added, subtracted = centred_ranks(scores).T
    gradient = torch.zeros_like(noise(0))
    for seed, weight in zip(seeds, (added - subtracted) / scores.size, strict=True):
        gradient.add_(noise(seed), alpha=float(weight))
    return gradient


def move_centre(
    centre: Float[Tensor, "parameters"],
    optimizer: torch.optim.Optimizer,
    noise: NoiseTable,
    seeds: Sequence[int],
    scores: Float[np.ndarray, "pairs 2"],
) -> None:
    """Moves the centre, the optimizer's one parameter, to where `scores` are higher."""
    centre.grad = -score_gradient(noise, seeds, scores)
    optimizer.step()


class ES(Evolution[Perturbation]):
    """Moves the centre by Adam along the estimated gradient; the agent is the centre."""

    algorithm = "es"
    Config = ESConfig
    config: ESConfig

    def build(self) -> MnihNetwork:
        config = self.config
        self.network = network = super().build()
        self.reference: Tensor | None = None
        if config.virtual_batch:
            self.reference = reference_batch(
                config.rom,
                config.virtual_batch,
                config.preprocessing,
                config.seed,
                self.fabric.device,
            )
        self.centre = parameters_to_vector(network.parameters()).detach().clone()
        self.optimizer = torch.optim.Adam(
            [self.centre], config.learning_rate, weight_decay=config.weight_decay
        )
        self._show_centre()
        return network

    @torch.no_grad()
    def update(self) -> Update:
        config = self.config
        seeds = [int(seed) for seed in self.draw(config.population // 2)]
        cloud = [Perturbation(seed, sign) for seed in seeds for sign in (1, -1)]
        scores, frames = self.play([CENTRE] * config.trials + repeat_each(cloud, config.episodes))
        trials, scores = np.split(scores, [config.trials])
        means = scores.reshape(-1, config.episodes).mean(1)
        move_centre(self.centre, self.optimizer, self.noise, seeds, means.reshape(-1, 2))
        self._show_centre()
        return self.report(frames, means, trials)

    def write(self, individual: Perturbation, weights: Tensor) -> None:
        offset = self.noise(individual.seed) * (individual.sign * self.config.sigma)
        torch.add(self.centre, offset, out=weights)
        if self.reference is not None:
            fold_norms(self.network, weights, self.reference)

    def state(self) -> dict[str, Any]:
        return {"centre": self.centre, "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        self.centre.copy_(state["centre"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._show_centre()

    def _show_centre(self) -> None:
        weights = torch.empty_like(self.centre)
        self.write(CENTRE, weights)
        write_parameters(self.network, weights)
