"""Receptive fields: the very pixels that a gradient reaches, of every place of every layer."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from atari_zoo.converters.network.heads import DuelingHead, QHead
from atari_zoo.converters.network.networks import SAME, ConvShape, MnihNetwork, Trunk
from atari_zoo.converters.network.networks import mnih_convolutions as mnih
from atari_zoo.converters.network.receptive_fields import (
    Box,
    field_shares,
    map_size,
    receptive_field,
)

# odd ones too: no two numbers alike, and a kernel that overlooks every third row
ODD = (
    ConvShape(3, (5, 7), (3, 2), (1, 2, 3, 0)),
    ConvShape(3, (2, 3), (3, 2), (1, 0, 0, 2)),
    ConvShape(3, (3, 2), (1, 2), (1, 1, 2, 1)),
)
NETWORKS = {"VALID": mnih((4, 4, 4)), "SAME": mnih((4, 4, 4), SAME), "odd": ODD}


def network(convolutions) -> MnihNetwork:
    """Every weight positive: no ReLU stops a gradient, and none cancels another."""
    trunk = Trunk(convolutions, units=8)
    made = MnihNetwork(trunk, QHead(8, actions=3))
    for layer in made.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.constant_(layer.weight, 1)
            nn.init.zeros_(layer.bias)
    return made


def reached(made: MnihNetwork, layer: str, places) -> list[Box]:
    """The smallest boxes around the pixels whose gradient is not zero."""
    pixels = torch.ones(1, 4, 84, 84, dtype=torch.float64, requires_grad=True)
    values = pixels
    for index in range(1, int(layer[-1]) + 1):
        values = made.double().layers[f"conv{index}"](values)
    boxes = []
    for row, column in places:
        (gradient,) = torch.autograd.grad(values[0, 0, row, column], pixels, retain_graph=True)
        rows, columns = (gradient[0].abs().sum(0).sum(axis).nonzero() for axis in (1, 0))
        top, left = int(rows.min()), int(columns.min())
        boxes.append(Box(top, left, int(rows.max()) - top + 1, int(columns.max()) - left + 1))
    return boxes


@pytest.mark.parametrize("layer", ["conv1", "conv2", "conv3"])
@pytest.mark.parametrize("padding", NETWORKS)
def test_is_what_the_gradient_reaches(padding, layer):
    """In the first and last two rows and columns, and in the middle ones."""
    made = network(NETWORKS[padding])
    size = map_size(made, layer)
    rows, columns = ({0, 1, count // 2, count - 2, count - 1} for count in size)
    places = [(row, column) for row in sorted(rows) for column in sorted(columns)]
    fields = [receptive_field(made, layer, *place) for place in places]
    assert [field.seen for field in fields] == reached(made, layer, places)


@pytest.mark.parametrize(
    ("padding", "layer", "start", "size"),
    [
        ("VALID", "conv1", 0, 8),
        ("VALID", "conv2", 0, 20),
        ("VALID", "conv3", 0, 36),
        ("SAME", "conv1", -2, 8),
        ("SAME", "conv2", -6, 20),
        ("SAME", "conv3", -14, 36),
    ],
)
def test_whole_fields_are_those_of_the_published_networks(padding, layer, start, size):
    made = network(NETWORKS[padding])
    stride = 4 if layer == "conv1" else 8
    for place in range(3):
        whole = receptive_field(made, layer, place, place).whole
        assert whole == Box(start + stride * place, start + stride * place, size, size)


def test_the_field_reaches_beyond_the_screen_only_where_there_is_padding():
    corner = receptive_field(network(NETWORKS["SAME"]), "conv3", 0, 10)
    assert corner.whole == Box(-14, 66, 36, 36)
    assert corner.seen == Box(0, 66, 22, 18)
    middle = receptive_field(network(NETWORKS["SAME"]), "conv3", 5, 5)
    assert middle.whole == middle.seen == Box(26, 26, 36, 36)


@pytest.mark.parametrize("layer", ["fc", "advantage_fc", "value", "advantage", "output"])
def test_layers_without_a_map_see_the_whole_screen(layer):
    made = MnihNetwork(Trunk(units=None), DuelingHead(3136, actions=3, units=8))
    field = receptive_field(made, layer)
    assert field.whole == field.seen == Box(0, 0, 84, 84)
    assert map_size(made, layer) == (1, 1)


@pytest.mark.parametrize("padding", NETWORKS)
def test_map_sizes_are_those_of_real_outputs(padding):
    made = network(NETWORKS[padding])
    values = torch.zeros(1, 4, 84, 84)
    for layer in ("conv1", "conv2", "conv3"):
        values = made.layers[layer](values)
        assert map_size(made, layer) == tuple(values.shape[2:])


@pytest.mark.parametrize(
    ("layer", "row", "column", "message"),
    [
        ("conv4", 0, 0, "no layer 'conv4'; this network has conv1, conv2, conv3, fc, output"),
        ("conv3", 7, 0, r"conv3 has no place \(7, 0\); its map has rows 0 to 6 and columns 0 to 6"),
        ("conv1", 3, -1, r"no place \(3, -1\)"),
        ("fc", 0, 1, r"fc has no place \(0, 1\); its map has rows 0 to 0"),
    ],
)
def test_refuses_what_is_not_there(layer, row, column, message):
    with pytest.raises(ValueError, match=message):
        receptive_field(network(NETWORKS["VALID"]), layer, row, column)


def test_the_box_cuts_out_its_pixels():
    screen = torch.arange(84 * 84).view(84, 84)
    assert_close(screen[Box(2, 3, 4, 5).slices], screen[2:6, 3:8])


@pytest.mark.parametrize("layer", ["conv1", "conv2", "conv3"])
@pytest.mark.parametrize("padding", NETWORKS)
def test_shares_of_a_field_are_the_gradients_where_all_weights_are_one(padding, layer):
    """There each way from a pixel to the unit counts once."""
    made = network(NETWORKS[padding]).double()
    rows, columns = field_shares(made, layer)
    size = map_size(made, layer)
    assert (rows.shape, columns.shape) == ((84, size[0]), (84, size[1]))
    pixels = torch.ones(1, 4, 84, 84, dtype=torch.float64, requires_grad=True)
    values = pixels
    for index in range(1, int(layer[-1]) + 1):
        values = made.layers[f"conv{index}"](values)
    for row, column in ((0, 0), (0, size[1] - 1), (size[0] - 1, 1), (size[0] // 2, size[1] // 2)):
        (ways,) = torch.autograd.grad(values[0, 0, row, column], pixels, retain_graph=True)
        expected = (ways[0, 0] / ways[0, 0].sum()).float()
        assert_close(torch.outer(rows[:, row], columns[:, column]), expected)


def test_a_layer_without_a_map_has_no_shares():
    with pytest.raises(ValueError, match="layer 'fc' has no map; take a convolution"):
        field_shares(network(NETWORKS["VALID"]), "fc")
