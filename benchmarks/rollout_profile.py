"""Where the processor's time goes while an agent plays: emulator, network, and all else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
from rollout_peers import PEERS
from rows import Row, in_turns, row
from torch import Tensor

import atari_zoo as zoo
from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.games import Game
from atari_zoo.threads import torch_threads

CEILING = "AtariVectorEnv alone"


class Idle(MnihNetwork):
    """A network that does nothing: what is left is the emulator, and what lies around both."""

    def forward(self, observations: Tensor) -> Tensor:
        return torch.zeros(len(observations), self.actions)


def profiled(of: Game, network: MnihNetwork, envs: int, steps: int, repeats: int) -> Iterator[Row]:
    """A step's time on all cores together, beside the emulator's and beside play without
    thinking."""
    idle = Idle(network.trunk, network.head, network.card).eval()
    with torch_threads(1), PEERS[CEILING](of, network, envs) as ceiling:
        contenders = {
            "whole": partial(_play, network, envs),
            CEILING: ceiling,
            "a network that does nothing": partial(_play, idle, envs),
        }
        spent = {name: partial(_cost, c, envs, steps) for name, c in contenders.items()}
        found = in_turns(spent, repeats)
    for peer in list(contenders)[1:]:
        case = f"{of.name}, {envs} envs, processor's time of a step"
        yield row("rollout", case, peer, found["whole"], found[peer], "ms")


def _play(network: MnihNetwork, envs: int, steps: int) -> None:
    zoo.rollout(network, steps=steps, envs=envs)


def _cost(contender: Callable[[int], object], envs: int, steps: int) -> float:
    """Milliseconds of a step, of what starting takes cleared by a second, longer run."""
    taken = []
    for count in (steps, 3 * steps):
        before = time.process_time()
        contender(count)
        taken.append(time.process_time() - before)
    return 1000 * (taken[1] - taken[0]) / (2 * steps * envs)
