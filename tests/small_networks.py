"""Networks small enough for plain loops over their pixels, of weights large enough to matter."""

from __future__ import annotations

import torch
from torch import Tensor

from atari_zoo.converters.network.heads import Head
from atari_zoo.converters.network.networks import ConvShape, MnihNetwork, Trunk


def small_network(head: type[Head], side: int, width: int, units: int, actions: int) -> MnihNetwork:
    """Two convolutions and a dense layer over two frames of side x side pixels."""
    torch.manual_seed(0)
    convolutions = [ConvShape(width, (4, 4), (2, 2)), ConvShape(width, (3, 3), (1, 1))]
    made = MnihNetwork(Trunk(convolutions, units, (2, side, side)), head(units, actions)).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter *= 3
    return made


def pixels(side: int, count: int = 2) -> Tensor:
    """Random observations of such a network."""
    return torch.rand(count, 2, side, side, generator=torch.Generator().manual_seed(1))
