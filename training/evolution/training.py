"""The training that evolution strategies and the genetic algorithm share: a population plays."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.utils import parameters_to_vector

from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.emulator.environments import Environments, screen
from atari_zoo.training.evolution.noise_table import NoiseTable
from atari_zoo.training.evolution.populations import Arena
from atari_zoo.training.hyperparameters import Count, Natural, Positive
from atari_zoo.training.trainers import Trainer, TrainingConfig, Update

Individual = TypeVar("Individual")


def repeat_each(individuals: Sequence[Individual], times: int) -> list[Individual]:
    """Each individual `times` times, one after the other."""
    return [individual for individual in individuals for _ in range(times)]


@dataclass(frozen=True, kw_only=True)
class EvolutionConfig(TrainingConfig):
    """What both algorithms' hyper-parameters have in common."""

    clip_rewards: bool = False  # whole scores are compared: True is refused
    envs: Count = 32  # individuals that play at the same time; each takes 7 MB for its weights
    threads: Natural = 4  # that share them; with another number, another run
    population: Count = 100
    sigma: Positive = 0.02  # standard deviation of a perturbation
    episodes: Count = 1  # of an individual
    trials: Count = 10  # episodes that tell how good the agent is
    max_steps: Count = 1500  # of an episode, by the agent
    noise: Count = 2**26  # numbers in the table that perturbations are cut from

    def check(self) -> None:
        super().check()
        if self.clip_rewards:
            raise ValueError("evolution compares whole scores: clip_rewards must be False")


class Evolution(Trainer, Generic[Individual]):
    """Lets populations of networks play; one update is one generation.

    An individual is something short that `write` turns into weights.
    """

    config: EvolutionConfig
    delegates = True

    @abstractmethod
    def write(self, individual: Individual, weights: Tensor) -> None:
        """Puts the individual's weights (parameters,) in place; called in several threads."""

    def build(self) -> MnihNetwork:
        config, device = self.config, self.fabric.device
        network = self.new_network(len(screen(config.rom).actions))
        self.fabric.to_device(network)
        size = len(parameters_to_vector(network.parameters()))
        self.noise = NoiseTable(config.noise, size, config.seed, device)
        self.arena = Arena(
            network,
            config.rom,
            config.envs,
            self.threads,
            config.preprocessing,
            config.max_steps,
            device,
        )
        return network

    def begin(self, seed: int) -> None:
        self.arena.begin(seed)
        self.random = np.random.default_rng(seed)

    def close(self) -> None:
        self.arena.close()

    @property
    def games(self) -> Sequence[Environments]:
        return [runner.environments for runner in self.arena.runners]

    def play(self, individuals: Sequence[Individual]) -> tuple[Float[np.ndarray, "episodes"], int]:
        """The score of an episode of each, and the emulator frames played in all."""
        played = self.arena.play(individuals, self.write)
        frames = int(played.steps.sum()) * self.config.preprocessing.frame_skip
        return played.scores, frames

    def draw(self, count: int) -> Int[np.ndarray, "count"]:
        """Seeds of new perturbations."""
        return self.random.integers(2**31 - 1, size=count)

    def report(
        self,
        frames: int,
        population: Float[np.ndarray, "population"],
        agent: Float[np.ndarray, "trials"],
    ) -> Update:
        """The generation's row in the log; the agent's scores become the training's."""
        self.recent.clear()  # they are another agent's
        self.recent.extend(map(float, agent))
        values = {
            "population_mean": float(population.mean()),
            "population_max": float(population.max()),
            "population_std": float(population.std()),
            "weight_norm": float(parameters_to_vector(self.network.parameters()).norm()),
        }
        return Update(frames, values)
