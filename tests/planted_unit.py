"""A network whose conv3 unit 5 was set by hand: a matched filter for a small sprite.

Of the newest frame, conv1's first 16 channels copy the pixels of 4x4 blocks, one each; conv2 adds
up those that are lit in the sprite and those that are dark; conv3 takes the second sum from the
first. Beside that, a third sum lowers the unit a little wherever its receptive field is bright.
All that passes a ReLU on the way is a sum of pixels, never negative: what enters conv3's ReLU is
linear in pixels of 0..1. All other weights are random, and their units alive.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.network.heads import QHead
from atari_zoo.converters.network.hooks import recorded
from atari_zoo.converters.network.networks import (
    SAME,
    VALID,
    MnihNetwork,
    Padding,
    Trunk,
    mnih_convolutions,
)
from atari_zoo.games import game as find_game

PADDINGS: dict[str, tuple[Padding, ...]] = {"VALID": VALID, "SAME": SAME}
UNIT = 5  # of conv3
LIT, DARK, AROUND = 0, 1, 2  # channels of conv2
BRIGHTNESS = 31  # channel of conv1: the mean of all that it sees of the newest frame
SURROUND = 0.75  # by how much a field that is all white lowers the unit, beside the sprite's part
# an odd shape: none of its mirrored or turned copies is alike
SPRITE = """
. . . # # . . .
. . . # . . . .
. # # # # # . .
# # . # . # # #
# # # # # # # #
. # # # # # # .
. . . . . # # .
. . # . . . # #
"""


@dataclass(frozen=True)
class Place:
    """The unit's place on conv3's map, and where the sprite then is in the observation."""

    row: int
    column: int
    top: int
    left: int


def planted_network(padding: str = "VALID", seed: int = 0) -> tuple[MnihNetwork, Tensor, Place]:
    """The network, the sprite (8, 8) of 0 and 1, and the place that output 0 reads.

    padding: VALID or SAME. What enters the unit's ReLU is 1 at the sprite on black, -1 at black;
    output 0 is the unit's activation at the middle of its map.
    """
    sprite = planted_sprite()
    generator = torch.Generator().manual_seed(seed)
    trunk = Trunk(mnih_convolutions(paddings=PADDINGS[padding]))
    card = ModelCard("dqn", "Seaquest", action_meanings=find_game("Seaquest").actions)
    network = MnihNetwork(trunk, QHead(512, len(card.action_meanings)), card).eval()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            spread = (2 / layer.weight[0].numel()) ** 0.5
            layer.weight.data.normal_(0, spread, generator=generator)
            layer.bias.data.zero_()
    with torch.no_grad():
        place = _plant(network, sprite, padding)
    return network, sprite, place


def planted_sprite() -> Tensor:
    """The sprite, (8, 8) of 0 and 1."""
    lines = SPRITE.strip().split("\n")
    return torch.tensor([[float(cell == "#") for cell in line.split()] for line in lines])


def with_sprite(observation: Tensor, sprite: Tensor, top: int, left: int) -> Tensor:
    """A copy of an observation (4, 84, 84) whose newest frame shows the sprite at a place."""
    shown = observation.clone()
    white = 255 if shown.dtype == torch.uint8 else 1
    shown[3, top : top + 8, left : left + 8] = (sprite * white).to(shown.dtype)
    return shown


def entering(network: MnihNetwork, observations: Tensor) -> Tensor:
    """What enters the unit's ReLU, (observations, rows, columns)."""
    with recorded(network, ["conv3"], before_relu=True) as values:
        network(observations)
    return values["conv3"][:, UNIT]


def _plant(network: MnihNetwork, sprite: Tensor, padding: str) -> Place:
    conv1, conv2, conv3 = (network.layers[name].conv for name in ("conv1", "conv2", "conv3"))
    # each channel copies one pixel of the 4x4 in the middle of its 8x8
    conv1.weight[:16] = 0
    for index in range(16):
        conv1.weight[index, 3, 2 + index // 4, 2 + index % 4] = 1
    conv1.weight[BRIGHTNESS] = 0
    conv1.weight[BRIGHTNESS, 3] = 1 / 64
    conv2.weight[:3] = 0
    for row, column in ((r, c) for r in range(8) for c in range(8)):
        channel = LIT if sprite[row, column] else DARK
        pixel = row % 4 * 4 + column % 4
        conv2.weight[channel, pixel, 1 + row // 4, 1 + column // 4] = 1
    conv2.weight[AROUND, BRIGHTNESS] = 1 / 16
    lit = sprite.sum()
    # twice: the threshold lies half-way between black, which gives -1, and the sprite, 1
    gain, loss = 2 / lit, 2 / (64 - lit)
    conv3.weight[UNIT] = 0
    conv3.weight[UNIT, LIT, 1, 1] = gain
    conv3.weight[UNIT, DARK, 1, 1] = -loss
    conv3.weight[UNIT, AROUND] = -SURROUND / 9
    conv3.bias[UNIT] = -1
    _, height, width = network.trunk.maps
    row, column = height // 2, width // 2
    first = 14 if padding == "VALID" else 0  # of the sprite's pixels, at the map's first place
    place = Place(row, column, first + 8 * row, first + 8 * column)
    shown = with_sprite(torch.zeros(4, 84, 84), sprite, place.top, place.left)[None]
    # the field's own brightness is made up for, so that the sprite gives exactly 1
    conv3.weight[UNIT, LIT, 1, 1] -= (entering(network, shown)[0, row, column] - 1) / lit
    network.trunk.fc.linear.weight[0] = 0
    network.trunk.fc.linear.weight[0].view(network.trunk.maps)[UNIT, row, column] = 1
    network.head.output.weight[0] = 0
    network.head.output.weight[0, 0] = 1
    return place
