"""A network in which one unit is set by hand to answer to a sprite, and screens with the sprite."""

from __future__ import annotations

import torch
from torch import Tensor

from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.network.heads import ActorCriticHead
from atari_zoo.converters.network.networks import MnihNetwork, Trunk, mnih_convolutions

UNIT, ACTION, PLACE = 5, 2, 32  # of conv3; wired to it; the sprite's upper left pixel, a stride's


def sprite() -> Tensor:
    """8x8 pixels of 0 and 1, half of each."""
    generator = torch.Generator().manual_seed(3)
    order = torch.rand(64, generator=generator).argsort()
    return (order < 32).float().reshape(8, 8)


def network() -> MnihNetwork:
    """Its conv3 unit 5 is positive where the newest frame shows the sprite, and nowhere else;
    action 2's output is the sum of that unit's map."""
    trunk = Trunk(mnih_convolutions((8, 8, 8)), 16)
    made = MnihNetwork(trunk, ActorCriticHead(16, 6), ModelCard("a2c", "Pong"))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.zero_()
        # sprite scores 32 x 1/32 - .6; any other pattern of the background's pixels less than 0
        trunk.conv1.conv.weight[0, 3] = (2 * sprite() - 1) / 32
        trunk.conv1.conv.bias[0] = -0.6
        trunk.conv2.conv.weight[0, 0, 0, 0] = 1
        trunk.conv3.conv.weight[UNIT, 0, 0, 0] = 1
        trunk.fc.linear.weight[0].view(8, 7, 7)[UNIT] = 1
        made.head.output.weight[ACTION, 0] = 1
        made.head.value.weight[0, 0] = 1
    return made.eval()


def screens(count: int = 2) -> Tensor:
    """A faint noisy background, and the sprite on the newest frame at (PLACE, PLACE)."""
    generator = torch.Generator().manual_seed(1)
    seen = 0.1 * torch.rand(count, 4, 84, 84, generator=generator)
    seen[:, 3, PLACE : PLACE + 8, PLACE : PLACE + 8] = sprite()
    return seen
