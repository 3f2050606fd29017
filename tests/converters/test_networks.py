"""The network and its heads against their formulas, written out with torch.nn.functional."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from architectures import HEADS, layer_values, network, observations

from atari_zoo.converters.network.heads import CategoricalHead, ImplicitQuantileHead
from atari_zoo.converters.network.networks import MnihNetwork


def trunk_by_hand(model: MnihNetwork, seen: torch.Tensor, same: bool) -> dict[str, torch.Tensor]:
    p = dict(model.named_parameters())
    pads = ((2, 2, 2, 2), (1, 2, 1, 2), (1, 1, 1, 1)) if same else ((0, 0, 0, 0),) * 3
    x, values = seen.float() / 255, {}
    for i, (stride, pad) in enumerate(zip((4, 2, 1), pads, strict=True), start=1):
        weight, bias = p[f"trunk.conv{i}.conv.weight"], p[f"trunk.conv{i}.conv.bias"]
        x = values[f"conv{i}"] = F.relu(F.conv2d(F.pad(x, pad), weight, bias, stride))
    values["flat"] = x.flatten(1)
    if "trunk.fc.linear.weight" in p:
        values["fc"] = F.relu(
            values["flat"] @ p["trunk.fc.linear.weight"].T + p["trunk.fc.linear.bias"]
        )
    return values


@pytest.mark.parametrize("same", [False, True], ids=["valid", "same"])
def test_trunk_is_the_papers(same: bool) -> None:
    model, seen = network("q", same=same), observations()
    values, expected = layer_values(model, seen), trunk_by_hand(model, seen, same)
    sizes = (21, 11, 11) if same else (20, 9, 7)
    for name, size in zip(("conv1", "conv2", "conv3"), sizes, strict=True):
        assert values[name].shape[2:] == (size, size)
    for name in ("conv1", "conv2", "conv3", "fc"):
        torch.testing.assert_close(values[name], expected[name], atol=1e-5, rtol=1e-5)


def test_bytes_and_floats_are_the_same_observation() -> None:
    model, seen = network("q"), observations()
    torch.testing.assert_close(model(seen), model(seen.float() / 255))


def test_gradients_reach_a_float_observation() -> None:
    seen = (observations(1).float() / 255).requires_grad_()
    network("q")(seen).sum().backward()
    assert seen.grad is not None and seen.grad.abs().sum() > 0


@pytest.mark.parametrize("head", ["dueling", "dueling streams"])
def test_dueling(head: str) -> None:
    model, seen = network(head), observations()
    values = layer_values(model, seen)
    advantage = values["advantage"]
    expected = values["value"] + advantage - advantage.sum(1, keepdim=True) / 6
    torch.testing.assert_close(model(seen), expected)
    p, flat = dict(model.named_parameters()), trunk_by_hand(model, seen, same=False)
    source = flat.get("fc")
    if source is None:  # each stream has a layer of its own, and `fc` names the value's
        source = F.relu(flat["flat"] @ p["head.fc.linear.weight"].T + p["head.fc.linear.bias"])
    torch.testing.assert_close(values["fc"], source, atol=1e-5, rtol=1e-5)
    value = source @ p["head.value.weight"].T + p["head.value.bias"]
    torch.testing.assert_close(values["value"], value, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("head", ["categorical", "categorical dueling", "categorical streams"])
def test_categorical(head: str) -> None:
    model, seen = network(head), observations()
    assert isinstance(model.head, CategoricalHead)
    values = layer_values(model, seen)
    logits, support = values["atoms"], model.head.output.support
    expected = torch.zeros(3, 6)
    for sample in range(3):
        for action in range(6):
            weights = [math.exp(x) for x in logits[sample, action].tolist()]
            returns = zip(weights, support.tolist(), strict=True)
            expected[sample, action] = sum(w * z for w, z in returns) / sum(weights)
    torch.testing.assert_close(model(seen), expected, atol=1e-4, rtol=1e-4)
    if "dueling" in head or "streams" in head:
        advantage = values["advantage"]
        summed = values["value"] + advantage - advantage.mean(1, keepdim=True)
        torch.testing.assert_close(logits, summed)
    else:  # Dopamine's layout: the atoms of one action lie together
        fc = trunk_by_hand(model, seen, same=False)["fc"]
        p = dict(model.named_parameters())
        flat = fc @ p["head.atoms.0.weight"].T + p["head.atoms.0.bias"]
        torch.testing.assert_close(logits, flat.view(3, 6, 51), atol=1e-5, rtol=1e-5)


def test_quantiles() -> None:
    model, seen = network("quantile"), observations()
    quantiles = layer_values(model, seen)["quantiles"]
    assert quantiles.shape == (3, 6, 25)
    torch.testing.assert_close(model(seen), quantiles.sum(2) / 25)


def test_implicit_quantiles() -> None:
    model, seen = network("implicit quantile"), observations()
    assert isinstance(model.head, ImplicitQuantileHead)
    p, flat = dict(model.named_parameters()), trunk_by_hand(model, seen, same=False)["flat"]
    rows = []
    for k in range(8):  # tau = (k + 1/2) / 8
        cosines = torch.tensor([math.cos(math.pi * i * (k + 0.5) / 8) for i in range(1, 17)])
        embedding = F.relu(
            p["head.embedding.linear.weight"] @ cosines + p["head.embedding.linear.bias"]
        )
        hidden = F.relu(
            (flat * embedding) @ p["head.fc.linear.weight"].T + p["head.fc.linear.bias"]
        )
        rows.append(hidden @ p["head.quantiles.0.weight"].T + p["head.quantiles.0.bias"])
    torch.testing.assert_close(model(seen), sum(rows) / 8, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("head", HEADS)
def test_layers_end_in_one_number_for_each_action(head: str) -> None:
    model = network(head, actions=4)
    values = layer_values(model, observations())
    assert list(values) == [n for n in values if n in model.layers] and set(values) == set(
        model.layers
    )
    assert list(model.layers)[:3] == ["conv1", "conv2", "conv3"] and "fc" in model.layers
    assert values["output"].shape == (3, 4) and model.actions == 4


@pytest.mark.parametrize("head", HEADS)
def test_every_relu_is_its_own_and_leaves_its_input_alone(head: str) -> None:
    # Captum's DeepLIFT and guided backprop are silently wrong on shared or functional ReLUs
    relus = [m for m in network(head).modules() if isinstance(m, torch.nn.ReLU)]
    assert len(relus) == len(set(map(id, relus))) >= 4
    assert not any(relu.inplace for relu in relus)
