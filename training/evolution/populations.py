"""A population plays: each individual an episode, many at the same time.

Games are stepped together; an individual sits at one of them, its weights in the batch beside
the others'. Where an episode ends, the next individual takes the place, and the emulator's
automatic reset begins its episode: with no-ops drawn from the game's own generator, which goes
on from one episode to the next (to seed a game anew takes as long as 200 steps). So who plays
from which start depends on the number of games and on who ended when; both are the same in a
repeated run.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from atari_zoo.converters.cards import Preprocessing
from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.emulator.environments import Environments
from atari_zoo.training.evolution.batched_networks import BatchedNetworks

Individual = TypeVar("Individual")
# puts an individual's weights (parameters,) in place; called in several threads
Write = Callable[[Individual, Tensor], None]


class EpisodeResults(NamedTuple):
    """How the episodes went, in the order in which they were asked for."""

    scores: Float[np.ndarray, "episodes"]
    steps: Int[np.ndarray, "episodes"]  # of the agent


class EpisodeRunner:
    """Plays episodes of individuals: some games, and as many networks."""

    def __init__(
        self,
        network: MnihNetwork,
        rom: str,
        count: int,
        preprocessing: Preprocessing,
        device: torch.device,
        threads: int,
    ) -> None:
        self.environments = Environments(rom, count, preprocessing, device, threads=threads)
        self.networks = BatchedNetworks(network, count, device)

    @torch.no_grad()
    def play(self, individuals: Sequence[Individual], write: Write[Individual]) -> EpisodeResults:
        """An episode of each of the individuals."""
        scores, steps = np.zeros(len(individuals)), np.zeros(len(individuals), np.int64)
        waiting = iter(range(len(individuals)))
        # whose episode is played at each game; -1 where nobody is left to play
        playing = np.full(self.environments.count, -1)

        def seat(games: Int[np.ndarray, "free"]) -> None:
            for game in games:
                playing[game] = next(waiting, -1)
                if playing[game] >= 0:
                    write(individuals[playing[game]], self.networks.weights[game])

        observations = self.environments.reset(None)
        seat(np.arange(self.environments.count))
        while (busy := playing >= 0).any():
            actions = self.networks(observations).argmax(1)
            step = self.environments.step(actions.cpu().numpy())
            observations = step.observations
            scores[playing[busy]] += step.rewards[busy]
            steps[playing[busy]] += 1
            seat(np.flatnonzero(busy & (step.terminated | step.truncated)))
        return EpisodeResults(scores, steps)


class Arena:
    """`workers` threads, an `EpisodeRunner` each, that share `envs` games.

    network: what the individuals look like, but for their weights.
    max_steps: of an episode, after which it is cut off.

    Raises ValueError if the games cannot be shared evenly.
    """

    def __init__(
        self,
        network: MnihNetwork,
        rom: str,
        envs: int,
        workers: int,
        preprocessing: Preprocessing,
        max_steps: int,
        device: torch.device,
    ) -> None:
        share, rest = divmod(envs, workers)
        if rest or not share:
            raise ValueError(f"{envs} environments cannot be shared by {workers} workers")
        cut = min(preprocessing.max_frames, max_steps * preprocessing.frame_skip)
        preprocessing = dataclasses.replace(preprocessing, max_frames=cut)
        threads = max(1, (os.cpu_count() or 1) // workers)
        self.runners = [
            EpisodeRunner(network, rom, share, preprocessing, device, threads)
            for _ in range(workers)
        ]
        self.pool = ThreadPoolExecutor(workers, initializer=_one_core)

    def begin(self, seed: int) -> None:
        """Seeds the games."""

        def reset(worker: int) -> None:
            environments = self.runners[worker].environments
            environments.reset(seed + worker * environments.count)

        list(self.pool.map(reset, range(len(self.runners))))

    def play(self, individuals: Sequence[Individual], write: Write[Individual]) -> EpisodeResults:
        """An episode of each individual; its score is not clipped."""
        workers = len(self.runners)

        def share(worker: int) -> EpisodeResults:
            return self.runners[worker].play(individuals[worker::workers], write)

        scores, steps = np.zeros(len(individuals)), np.zeros(len(individuals), np.int64)
        for worker, played in enumerate(self.pool.map(share, range(workers))):
            scores[worker::workers], steps[worker::workers] = played
        return EpisodeResults(scores, steps)

    def close(self) -> None:
        """Ends the threads and the emulators."""
        self.pool.shutdown()
        for runner in self.runners:
            runner.environments.close()


def _one_core() -> None:
    torch.set_num_threads(1)
