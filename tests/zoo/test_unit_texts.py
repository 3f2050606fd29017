"""Texts that name units, against lists written by hand."""

from __future__ import annotations

import pytest
import torch

from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.network.heads import CategoricalHead, ImplicitQuantileHead
from atari_zoo.converters.network.networks import MnihNetwork, Trunk, mnih_convolutions
from atari_zoo.units.numbering import layer_shape
from atari_zoo.units.texts import chosen_units, parse_units


@pytest.fixture(scope="module")
def network() -> MnihNetwork:
    head = CategoricalHead(9, actions=6, support=torch.linspace(-1, 1, 5))
    trunk = Trunk(mnih_convolutions((4, 5, 6)), units=9)
    return MnihNetwork(trunk, head, ModelCard("c51", "Pong")).eval()


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("conv3:2", [2]),
        ("fc:1,5", [1, 5]),
        ("fc:1,5..7,5,0", [1, 5, 6, 7, 0]),
        ("conv2", [0, 1, 2, 3, 4]),
        ("conv2:*", [0, 1, 2, 3, 4]),
        ("output:fire", [1]),
        ("output:FIRE,NOOP", [1, 0]),
        ("atoms:1,2", [1 * 5 + 2]),
        ("atoms:0..1,4", [4, 9]),
    ],
)
def test_units_are_numbered(network: MnihNetwork, text: str, units: list[int]) -> None:
    assert parse_units(text, network) == (text.partition(":")[0], units)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fc:1,9", "no unit 9 in fc; expected 0 to 8"),
        ("conv3:6", "no unit 6 in conv3; expected 0 to 5"),
        ("conv9:1", "no layer 'conv9'; there are conv1, conv2, conv3, fc, atoms, output"),
        ("atoms:1", "atoms has 6 x 5 units: expected 2 indices, not 1"),
        ("output:JUMP", "no unit in output is called 'JUMP'; there are NOOP, FIRE"),
    ],
)
def test_what_is_not_there_is_told(network: MnihNetwork, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_units(text, network)


def test_several_texts_of_a_layer_are_one_list(network: MnihNetwork) -> None:
    found = chosen_units(["fc:3", "conv1:0", "fc:2..4"], network)
    assert found == {"fc": [3, 2, 4], "conv1": [0]}


def test_a_dense_layer_of_many_quantiles_has_the_shape_of_its_units() -> None:
    trunk = Trunk(mnih_convolutions((2, 2, 2)), units=None)
    head = ImplicitQuantileHead(trunk.features, 6, units=7, cosines=3, samples=5)
    made = MnihNetwork(trunk, head).eval()
    shapes = {layer: layer_shape(layer, made) for layer in ("conv3", "fc", "quantiles", "output")}
    assert shapes == {"conv3": (2, 7, 7), "fc": (7,), "quantiles": (6, 5), "output": (6,)}
