"""IMPALA's residual network in pictures, attribution and play: its layers inside layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from residual_networks import lively
from torch import Tensor, nn

import atari_zoo as zoo
from atari_zoo.analysis.first_convolutions import first_convolution
from atari_zoo.analysis.peaks import dead_units
from atari_zoo.converters import ImpalaNetwork, MnihNetwork, ModelCard
from atari_zoo.converters.network.activations import Activation
from atari_zoo.converters.network.heads import ActorCriticHead, PolicyHead
from atari_zoo.converters.network.hooks import recorded
from atari_zoo.converters.network.impala import ImpalaTrunk, impala_blocks
from atari_zoo.converters.network.networks import ConvShape, DenseShape, Trunk, mnih_convolutions
from atari_zoo.games import game
from atari_zoo.living_units import rectified
from atari_zoo.training.evolution.batched_networks import BatchedNetworks
from atari_zoo.viz import filters
from atari_zoo.viz.attribution.attribution import attribute
from atari_zoo.viz.objectives.values import Reference, value_reader, values_of
from atari_zoo.viz.pages.tour import _weights


def network(same: bool = False) -> ImpalaNetwork:
    card = ModelCard("impala", "Pong", action_meanings=game("Pong").actions)
    blocks = impala_blocks((4, 5), same=(84, 84) if same else None)
    made = ImpalaNetwork(ImpalaTrunk(blocks, 12), ActorCriticHead(12, 6), card)
    lively(made)
    return made


@pytest.fixture(params=[False, True], ids=["torch's pools", "TensorFlow's pools"])
def made(request: pytest.FixtureRequest) -> ImpalaNetwork:
    return network(request.param)


def pixels(count: int) -> Tensor:
    return torch.rand(count, 4, 84, 84, generator=torch.Generator().manual_seed(0))


def by_hand(made: ImpalaNetwork, seen: Tensor) -> dict[str, Tensor]:
    """Each named layer, from the weights and torch's functions alone."""
    weights, values, x = made.state_dict(), {}, seen

    def conv(name: str, x: Tensor) -> Tensor:
        place = f"trunk.{name}"
        return torch.conv2d(x, weights[f"{place}.weight"], weights[f"{place}.bias"], padding=1)

    for block in ("block1", "block2"):
        values[f"{block}.conv"] = x = conv(f"{block}.conv", x)
        shape = made.trunk.blocks[int(block[-1]) - 1]
        before, behind = (1, 1) if shape.padding else (0, 1)  # of an even number of places
        padded = nn.functional.pad(x, (before, behind, before, behind), value=-torch.inf)
        values[f"{block}.pool"] = x = torch.max_pool2d(padded, 3, 2)
        for residual in ("residual1", "residual2"):
            name = f"{block}.{residual}"
            x = x + conv(f"{name}.conv2", conv(f"{name}.conv1", x.relu()).relu())
            values[name] = x
        values[block] = values.pop(f"{block}.residual2")
    flat = x.relu().flatten(1)
    linear = nn.functional.linear
    values["fc"] = x = linear(flat, *(weights[f"trunk.fc.linear.{p}"] for p in ("weight", "bias")))
    values["fc"] = x = x.relu()
    for name in ("value", "output"):
        values[name] = linear(x, *(weights[f"head.{name}.{p}"] for p in ("weight", "bias")))
    return values


def test_every_layer_is_what_its_name_says(made: ImpalaNetwork) -> None:
    seen = pixels(3)
    with torch.no_grad(), recorded(made, list(made.layers)) as values:
        made(seen)
    expected = by_hand(made, seen)
    assert list(expected) == list(made.layers) and values.keys() == expected.keys()
    for name, value in values.items():
        torch.testing.assert_close(value, expected[name], atol=1e-4, rtol=1e-5)


def test_nothing_is_computed_beyond_the_layer_that_is_asked_for(made: ImpalaNetwork) -> None:
    ran: list[str] = []
    for name in ("block1", "block2", "fc"):
        part = made.trunk.get_submodule(name)
        part.register_forward_hook(lambda _m, _i, _o, name=name: ran.append(name))
    expected = by_hand(made, pixels(2))["block1.residual1"]
    references = [Reference("block1.residual1"), Reference("block1.conv")]
    with torch.no_grad(), value_reader(made, references) as read:
        values = read(pixels(2))
    assert ran == ["block1"]
    torch.testing.assert_close(values[references[0]], expected, atol=1e-4, rtol=1e-5)
    found = values_of(made, [Reference("fc")], pixels(2))  # what enters its ReLU
    assert ran == ["block1", "block1", "block2", "fc"] and (found[Reference("fc")] < 0).any()


def test_attribution_reaches_the_screen(made: ImpalaNetwork) -> None:
    seen = pixels(1)
    found = attribute(made, seen, "integrated_gradients", "value", steps=200)
    with torch.no_grad():
        whole = by_hand(made, seen)["value"] - by_hand(made, torch.zeros_like(seen))["value"]
    torch.testing.assert_close(found.values.sum(), whole.sum(), atol=0.05, rtol=0.02)
    for layer in ("block1", "block2.residual1"):
        maps = attribute(made, seen, "grad_cam", "chosen", layer=layer)
        assert maps.values.shape == (1, 1, 84, 84) and maps.values.abs().sum() > 0


def test_pictures_of_the_first_convolution(made: ImpalaNetwork) -> None:
    found = first_convolution(made)
    assert found is not None and found[1] is made.trunk.first is made.trunk.block1.conv
    assert filters.filter_picture(made).shape[2] == 3


def test_a_layer_that_holds_layers_is_not_counted_twice(made: ImpalaNetwork) -> None:
    counts = _weights(made)
    assert sum(counts.values()) == sum(weight.numel() for weight in made.parameters())
    assert counts["block1"] == 2 * (4 * 4 * 9 + 4)  # its last residual block alone


def test_what_ends_in_a_relu_is_told(made: ImpalaNetwork) -> None:
    """A residual block begins with one; its sum may be negative and still say something."""
    assert rectified(made) == ["fc"]
    values = torch.tensor([[-1.0, -2.0, 3.0], [-3.0, -2.0, 3.0]])
    assert dead_units(made, "block1", values).tolist() == [False, True, True]
    assert dead_units(made, "fc", values).tolist() == [True, True, True]


def test_it_plays(made: ImpalaNetwork) -> None:
    play = zoo.rollout(made, steps=12, envs=2, seed=0, keep=["frames", "outputs"])
    assert play.outputs is not None and play.outputs.shape == (12, 2, 6)
    seen = play.observations(1)
    expected = by_hand(made, torch.as_tensor(np.asarray(seen)).float() / 255)["output"]
    found = torch.from_numpy(np.asarray(play.outputs[:, 1])).float()
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)  # kept in half floats


def test_hooks_before_any_activation_function() -> None:
    elu = Activation("elu", (1.0,))
    trunk = Trunk([ConvShape(4, (8, 8), (4, 4), activation=elu)], [DenseShape(8, elu)])
    made = MnihNetwork(trunk, PolicyHead(8, 6))
    lively(made)
    with torch.no_grad():
        with recorded(made, ["conv1", "fc"], before_relu=True) as before:
            made(pixels(2))
        with recorded(made, ["conv1", "fc"]) as after:
            made(pixels(2))
    for name in ("conv1", "fc"):
        assert not torch.allclose(before[name], after[name])
        torch.testing.assert_close(nn.functional.elu(before[name]), after[name])


def test_many_copies_are_run_of_relus_alone() -> None:
    shapes = [
        ConvShape(s.channels, s.kernel, s.stride, activation=Activation("tanh"))
        for s in mnih_convolutions((4, 4, 4))
    ]
    made = MnihNetwork(Trunk(shapes, 8), PolicyHead(8, 6))
    with pytest.raises(ValueError, match=r"this is Mnih et al\. \(2015\), tanh"):
        BatchedNetworks(made, 2, "cpu")
