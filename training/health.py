"""A run's health: which units have died since its network was new."""

from __future__ import annotations

import copy
import warnings
from collections import deque
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.living_units import living

ENOUGH = 512  # observations, before anything is said
MOST = 1024
SHARE = 1 / 3  # of a layer


class Health:
    """Compares the units of a run's network with those that it began with.

    beginning: the file of the weights before training.
    """

    def __init__(self, beginning: Path) -> None:
        self.beginning = beginning
        self.seen: deque[Tensor] = deque(maxlen=MOST)  # late observations, each (4, 84, 84)
        self.warned: set[str] = set()

    def see(self, observations: Tensor) -> None:
        """Remembers observations (envs, 4, 84, 84), for the comparison."""
        self.seen.extend(observations.cpu())

    def dead(self, network: MnihNetwork) -> dict[str, tuple[int, int]]:
        """Units of each ReLU layer that answered when new and do not now, and how many there are.

        network: on the CPU. Empty where too few observations were seen to tell.
        """
        if len(self.seen) < ENOUGH or not self.beginning.exists():
            return {}
        observations = torch.stack(list(self.seen))
        new = copy.deepcopy(network)
        new.load_state_dict(load_file(self.beginning))
        before, now = living(new, observations), living(network, observations)
        return {
            name: (int((before[name] & ~now[name]).sum()), len(before[name])) for name in before
        }

    def warn(self, network: MnihNetwork, frames: int) -> None:
        """Warns, once for each layer, where more than a third of it has died."""
        for name, (dead, units) in self.dead(network).items():
            if dead > units * SHARE and name not in self.warned:
                self.warned.add(name)
                warnings.warn(
                    f"{dead} of the {units} units of {name} have died in {frames} frames: they "
                    "answer to nothing the agent meets; a smaller learning rate, a longer warmup, "
                    "or another optimizer may keep them",
                    stacklevel=2,
                )
