"""The values of the named layers, against the submodules run one after the other."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import pytest
import torch
from torch import Tensor

import atari_zoo as zoo
from atari_zoo.catalog.model_lists import ModelList
from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.network.hooks import recorded


@pytest.fixture
def observations() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (7, 4, 84, 84), generator=generator, dtype=torch.uint8)


def by_hand(network, observations: Tensor) -> dict[str, Tensor]:
    trunk, head = network.trunk, network.head
    values = {"conv1": torch.relu(trunk.conv1.conv(observations.float() / 255))}
    values["conv2"] = torch.relu(trunk.conv2.conv(values["conv1"]))
    values["conv3"] = torch.relu(trunk.conv3.conv(values["conv2"]))
    values["fc"] = torch.relu(trunk.fc.linear(values["conv3"].flatten(1)))
    values["value"] = head.value(values["fc"])
    values["output"] = head.output(values["fc"])
    return values


def hooks(network) -> int:
    return sum(len(module._forward_hooks) for module in network.modules())


@torch.no_grad()
def test_every_layer_is_what_its_module_computes(random_agent, observations):
    network = random_agent()
    expected = by_hand(network, observations)
    found = zoo.activations(network, observations)
    assert list(found) == list(expected) == list(network.layers)
    for name, values in expected.items():
        # the same operations on the same batch
        torch.testing.assert_close(found[name], values, atol=0, rtol=0, msg=name)
    assert found["conv3"].min() == 0 < found["conv3"].max()
    assert hooks(network) == 0


@pytest.mark.parametrize("batch", [1, 3, 7, 100])
def test_the_size_of_a_batch_does_not_matter(random_agent, observations, batch):
    network = random_agent()
    whole = zoo.activations(network, observations, ["conv3", "output"])
    parts = zoo.activations(network, observations, ["conv3", "output"], batch=batch)
    for name in whole:
        # other batch sizes, other order of float32 sums of at most 3136 terms
        torch.testing.assert_close(parts[name], whole[name], atol=1e-4, rtol=1e-5)


def test_floats_and_bytes_are_the_same(random_agent, observations):
    network = random_agent()
    bytes_, floats = (
        zoo.activations(network, x, ["fc"])["fc"] for x in (observations, observations / 255)
    )
    torch.testing.assert_close(bytes_, floats)


def test_a_layer_asked_for_twice_is_given_once(random_agent, observations):
    found = zoo.activations(random_agent(), observations, ["fc", "fc"])
    assert found["fc"].shape == (7, 512)


def test_an_unknown_layer_names_those_there_are(random_agent, observations):
    network = random_agent()
    message = "no layer 'conv9'; this network has conv1, conv2, conv3, fc, value, output"
    with pytest.raises(ValueError, match=message):
        zoo.activations(network, observations, ["conv1", "conv9"])
    assert hooks(network) == 0


def test_hooks_go_when_the_network_fails(random_agent):
    network = random_agent()
    network.trunk.fc.linear.weight.data = torch.zeros(512, 3)
    with pytest.raises(RuntimeError):
        zoo.activations(network, torch.zeros(1, 4, 84, 84), ["conv1", "fc"])
    assert hooks(network) == 0


def test_observations_may_be_one_or_an_array_but_not_others(random_agent, observations):
    network = random_agent()
    expected = zoo.activations(network, observations[:1], ["fc"])["fc"]
    for form in (observations[0], observations[0].numpy()):
        assert zoo.activations(network, form, ["fc"])["fc"].equal(expected)
    for wrong, message in (
        (torch.zeros(1, 3, 84, 84), r"are \(1, 3, 84, 84\); expected \(batch, 4, 84, 84\)"),
        (observations.float(), r"expected 0\.\.1: divide bytes by 255"),
        (observations.long(), r"are torch\.int64; expected floats in 0\.\.1, or bytes"),
    ):
        with pytest.raises(ValueError, match=message):
            zoo.activations(network, wrong, ["fc"])


def test_recorded_holds_the_newest_pass(random_agent, observations):
    network = random_agent()
    with torch.no_grad(), recorded(network, ["output"]) as values:
        network(observations[:2])
        second = network(observations[2:])
        assert values["output"].equal(second)
    network(observations[:1])
    assert values["output"].equal(second)


def test_names_and_recordings_serve_as_networks_and_observations_do() -> None:
    played = zoo.rollout("a2c/Pong/1", steps=3, envs=2, seed=1, keep=["screens"])
    network = zoo.load("a2c/Pong/1")
    again = zoo.rollout(network, steps=3, envs=2, seed=1)
    assert np.array_equal(played.actions, again.actions)
    both = zoo.rollout(["a2c/Pong/1", network], steps=3, envs=2, seed=1)
    assert all(np.array_equal(each.actions, again.actions) for each in both)
    found = zoo.activations("a2c/Pong/1", played, "fc")["fc"]
    for env in range(2):
        expected = zoo.activations(network, played.observations(env), ["fc"])["fc"]
        assert torch.equal(found[:, env], expected)


def test_what_is_shown_is_short_and_says_the_name() -> None:
    played = zoo.rollout("a2c/Pong/1", steps=3, envs=2, seed=1)
    assert repr(played.card) == "<ModelCard a2c/Pong/1>"
    assert repr(played).startswith("<Recording of a2c/Pong/1 in Pong: 3 steps in 2 environments; ")
    assert zoo.__version__ == version("atari-zoo")


def test_a_list_of_models_shows_a_table() -> None:
    models = zoo.list_models(collection="starter")
    assert isinstance(models, list) and models[0].name == "a2c/Pong/1"
    lines = repr(models).splitlines()
    assert lines[0].split() == "model frames trained score preprocessing".split()
    assert lines[1].split() == ["a2c/Pong/1", "11,600,000", "18.5", "vector"]
    assert lines[-1] == f"and {len(models) - 20} more"
    odd = ModelList([ModelCard(tag="<b>")])
    assert "&lt;b&gt;" in odd._repr_html_() and "<b>" not in odd._repr_html_()


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_observations_of_another_precision_serve(dtype: torch.dtype) -> None:
    seen = torch.rand(2, 4, 84, 84, dtype=torch.float64).to(dtype)
    network = zoo.load("a2c/Pong/1")
    found = zoo.activations(network, seen, "fc")["fc"]
    assert torch.equal(found, zoo.activations(network, seen.float(), "fc")["fc"])
