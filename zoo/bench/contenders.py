"""Contenders: the emulator, the network, and a rollout of both, each opened to be stepped.

Each is a context, given an agent and a case; what it makes is gone when it is left.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ale_py.vector_env import AtariVectorEnv
from torch import Tensor

from atari_zoo.bench.cases import EMULATOR, EXACT, IDLE, NETWORK, PLAY, RECORDING, BenchCase
from atari_zoo.bench.stopwatch import Contender
from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.stateful import StatefulNetwork, state_size
from atari_zoo.games import Game
from atari_zoo.play.inference import Inference
from atari_zoo.play.int8_calibration import calibrated
from atari_zoo.play.plans import INT8, Plan
from atari_zoo.play.rules import rules
from atari_zoo.play.runner import Runner
from atari_zoo.threads import torch_threads

ENDLESS = 10**9  # steps of a rollout that is left before
EVERYTHING: dict[str, Any] = {"keep": ["frames", "ram", "outputs", "probabilities"]}


@dataclass(frozen=True)
class BenchAgent:
    """A network and the game that it plays, which is its card's if none is named."""

    network: Network
    game_name: str | None = None

    @cached_property
    def game(self) -> Game:
        """Raises ValueError if there is no such game, or the network cannot play it."""
        return rules(Plan(steps=1, game=self.game_name), self.network).game

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return next(self.network.parameters()).device


Opener = Callable[[BenchAgent, BenchCase], AbstractContextManager[Contender]]


@contextmanager
def emulating(agent: BenchAgent, case: BenchCase) -> Iterator[Contender]:
    """The vectorised emulator with random actions: nothing that plays can be faster."""
    draws = np.random.default_rng(0)
    with closing(vector_env(agent.game, case.envs, case.threads)) as emulator:
        emulator.reset()

        def step() -> int:
            emulator.step(draws.integers(len(agent.game.actions), size=case.envs))
            return case.envs

        yield Contender(step)


def vector_env(game: Game, envs: int, threads: int = 0) -> AtariVectorEnv:
    """ale-py's, as it comes: grey, 84x84, four frames stacked."""
    return AtariVectorEnv(
        game.rom, envs, num_threads=threads, stack_num=4, autoreset_mode="SameStep"
    )


@contextmanager
def thinking(agent: BenchAgent, case: BenchCase) -> Iterator[Contender]:
    """The network with nothing to play, as a rollout asks it; its actions reach the processor."""
    network = agent.network
    shape = (case.batch, *network.shape)
    seen = torch.randint(0, 256, shape, dtype=torch.uint8, device=agent.device)
    state = torch.zeros(case.batch, 0, device=agent.device)
    if isinstance(network, StatefulNetwork) and state_size(network):
        state = network.initial_state(case.batch).float()
    if case.dtype == INT8:
        calibrated(network, force=True)  # how fast, whatever it plays
    with torch_threads(case.threads):  # a session takes as many
        inference = Inference(network, dtype=case.dtype, backend=case.backend, batch=case.batch)

    @torch.inference_mode()
    def step() -> int:
        inference.step(seen, state)[0].argmax(1).cpu()
        return case.batch

    with closing(inference):
        yield Contender(step, threads_beside(inference.backend) or case.threads)


@contextmanager
def playing(agent: BenchAgent, case: BenchCase, **options: Any) -> Iterator[Contender]:
    """A rollout. options: of its plan, beside the case's."""
    plan = Plan(
        steps=ENDLESS,
        envs=case.envs,
        groups=case.groups or None,
        threads=case.threads or None,
        backend=case.backend or "auto",
        dtype=case.dtype or "float32",
        game=agent.game_name,
        **options,
    )
    with Runner(agent.network, plan) as runner:

        def step() -> int:
            runner.advance()
            return case.envs

        yield Contender(step, threads_beside(runner.backend), inside=not plan.keep)


def threads_beside(backend: str) -> int | None:
    """Threads of torch while that computes, as in a rollout; None for as many as there are."""
    return 1 if backend == "onnxruntime" else None


@contextmanager
def playing_exact(agent: BenchAgent, case: BenchCase) -> Iterator[Contender]:
    """A rollout from the emulators that show exact screens, of which it keeps next to nothing."""
    with playing(agent, case, keep=["ram"]) as contender:
        yield contender


@contextmanager
def playing_recorded(agent: BenchAgent, case: BenchCase) -> Iterator[Contender]:
    """The same with everything recorded, in a temporary folder."""
    layers = ["fc"] if "fc" in agent.network.layers else []
    with (
        tempfile.TemporaryDirectory() as folder,
        playing(agent, case, path=Path(folder) / "play.zarr", layers=layers, **EVERYTHING) as made,
    ):
        yield made


class IdleNetwork(AgentNetwork):
    """A network that does nothing: what is left is the emulator, and what lies around both."""

    def forward(self, observations: Tensor) -> Tensor:
        return torch.zeros(len(observations), self.actions, device=observations.device)


@contextmanager
def idling(agent: BenchAgent, case: BenchCase) -> Iterator[Contender]:
    """A rollout with that; raises ValueError where the network has no architecture with a name."""
    network = agent.network
    if not isinstance(network, AgentNetwork):
        raise ValueError("play without a network: the network has no architecture with a name")
    idle = IdleNetwork(network.trunk, network.head, network.card).eval()
    with playing(BenchAgent(idle, agent.game_name), case) as contender:
        yield contender._replace(threads=1)


OPENERS: dict[str, Opener] = {
    EMULATOR: emulating,
    NETWORK: thinking,
    PLAY: playing,
    EXACT: playing_exact,
    RECORDING: playing_recorded,
    IDLE: idling,
}
