"""Layers that a movie shows of a network, which may have dozens of them."""

from __future__ import annotations

import re
from typing import NamedTuple

import torch

from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.foreign import Network, observation_shape
from atari_zoo.converters.network.hooks import recorded
from atari_zoo.converters.network.outputs import OUTPUT, VALUE

# of architectures with a name
MAPS, DENSE, MEMORY = re.compile(r"conv\d+|block\d+"), "fc", "memory"
MOST_MAPS = 4


class ShownLayers(NamedTuple):
    """Names of layers with maps, of a dense one and of a memory, empty where there is none."""

    maps: list[str]
    dense: str = ""
    memory: str = ""

    @property
    def names(self) -> list[str]:
        """All, from the input to the output."""
        return [*self.maps, *filter(None, (self.dense, self.memory))]


def shown_layers(network: Network) -> ShownLayers:
    """Of an architecture with a name its convolutions or blocks, its dense layer and its memory. Of
    others the last layer of each size of map, four at most, and the last one of more units than
    there are actions."""
    if isinstance(network, AgentNetwork):
        there = [name for name in network.layers if MAPS.fullmatch(name)]
        rest = (name if name in network.layers else "" for name in (DENSE, MEMORY))
        return ShownLayers(there, *rest)
    names = [name for name in network.layers if name not in (OUTPUT, VALUE)]
    weight, count = next(network.parameters()), getattr(network, "batch", 0) or 1
    shape = observation_shape(network)
    black = torch.zeros(count, *shape, dtype=weight.dtype, device=weight.device)
    with torch.inference_mode(), recorded(network, names) as values:
        network(black)
    shapes = {name: values[name].shape[1:] for name in names if name in values}
    maps = {s[1:]: name for name, s in shapes.items() if len(s) == 3 and s[1] * s[2] > 1}
    dense = [name for name, s in shapes.items() if len(s) == 1 and s[0] > network.actions]
    last = [name for name in names if name in maps.values()][-MOST_MAPS:]
    return ShownLayers(last, dense[-1] if dense else "")
