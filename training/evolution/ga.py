"""The deep genetic algorithm (Such et al., 2017, https://arxiv.org/abs/1712.06567).

An individual is the list of the seeds that made it: one for its initial weights, one for each
mutation since. There is no crossover and no gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.training.evolution.training import Evolution, EvolutionConfig, repeat_each
from atari_zoo.training.hyperparameters import Count, Positive
from atari_zoo.training.trainers import Update
from atari_zoo.untrained.flat_weights import write_parameters
from atari_zoo.untrained.untrained import deviations

Genome = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class GAConfig(EvolutionConfig):
    """Hyper-parameters of the genetic algorithm.

    The paper has a population of 1000, 10 candidates and 30 trials.
    """

    sigma: Positive = 0.002
    population: Count = 200
    parents: Count = 20  # individuals that have offspring, the elite among them
    candidates: Count = 5  # individuals that may become the elite; each plays `trials` episodes

    def check(self) -> None:
        super().check()
        if max(self.parents, self.candidates) > self.population:
            raise ValueError(
                f"{self.parents} parents and {self.candidates} candidates cannot be chosen "
                f"from a population of {self.population}; make it larger"
            )


class GA(Evolution[Genome]):
    """Breeds a population; the agent is the elite.

    The elite is the one among the last elite and the best of the population that scores most
    in `trials` more episodes. It has offspring with the next best, and is not lost. Those episodes
    chose it, so that they flatter it: its score in the log is of `trials` others.
    """

    algorithm = "ga"
    Config = GAConfig
    config: GAConfig

    def build(self) -> MnihNetwork:
        network = super().build()
        self.deviations = deviations(network).to(self.fabric.device)
        self.parents: list[Genome] = []  # the elite first
        self.weights: dict[Genome, Tensor] = {}  # of the parents
        return network

    @torch.no_grad()
    def update(self) -> Update:
        config = self.config
        offspring = self._offspring()
        scores, frames = self.play(repeat_each(offspring, config.episodes))
        means = scores.reshape(-1, config.episodes).mean(1)
        ranked = [offspring[index] for index in (-means).argsort(kind="stable")]
        candidates = (self.parents[:1] + ranked)[: config.candidates]
        trials, more_frames = self.play(repeat_each(candidates, config.trials))
        best = int(trials.reshape(-1, config.trials).mean(1).argmax())
        others = [genome for genome in ranked if genome != candidates[best]]
        self._adopt([candidates[best], *others[: config.parents - 1]])
        scores, last_frames = self.play(self.parents[:1] * config.trials)
        return self.report(frames + more_frames + last_frames, means, scores)

    def write(self, individual: Genome, weights: Tensor) -> None:
        known = len(individual)
        while known and individual[:known] not in self.weights:
            known -= 1
        if known:
            weights.copy_(self.weights[individual[:known]])
        else:
            torch.mul(self.noise(individual[0]), self.deviations, out=weights)
            known = 1
        for seed in individual[known:]:
            # a product and then a sum, each rounded as IEEE 754 says: the same on every machine
            weights.add_(self.noise(seed) * self.config.sigma)

    def state(self) -> dict[str, Any]:
        # the network too: until the first generation has played, it is no individual's
        return {
            "parents": [list(genome) for genome in self.parents],
            "network": self.network.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        if state["parents"]:
            self._adopt([tuple(genome) for genome in state["parents"]])

    def _offspring(self) -> list[Genome]:
        count = self.config.population
        seeds = [int(seed) for seed in self.draw(count)]
        if not self.parents:
            return [(seed,) for seed in seeds]
        chosen = self.random.integers(len(self.parents), size=count)
        return [(*self.parents[k], seed) for k, seed in zip(chosen, seeds, strict=True)]

    def _adopt(self, parents: list[Genome]) -> None:
        made = {genome: torch.empty_like(self.deviations) for genome in parents}
        for genome, weights in made.items():
            self.write(genome, weights)
        self.parents, self.weights = parents, made
        write_parameters(self.network, made[parents[0]])
