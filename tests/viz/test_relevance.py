"""LRP: relevance is conserved, and is what the rule's formula, in plain loops, says."""

from __future__ import annotations

import architectures
import numpy as np
import pytest
import torch
from captum.attr import LRP
from captum.attr._utils.lrp_rules import EpsilonRule, GammaRule
from torch import nn
from torch.testing import assert_close

from atari_zoo.converters.network.heads import QHead
from atari_zoo.converters.network.networks import ConvShape, MnihNetwork, Trunk
from atari_zoo.viz.attribution.attribution import attribute
from atari_zoo.viz.attribution.methods.relevance import RULES

EPSILON = 1e-6
# targets before any softmax
TARGETS = {
    name: "atom:chosen:3" if "categorical" in name else "margin" for name in architectures.HEADS
}


def without_biases(network):
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias") and "embedding" not in name:
                parameter.zero_()
    return network


def tiny(frames=2) -> MnihNetwork:
    """One convolution, one dense layer, two actions, biases everywhere; 5x5 pixels."""
    torch.manual_seed(0)
    trunk = Trunk([ConvShape(3, (3, 3), (2, 2), (1, 0, 1, 0))], 4, (frames, 5, 5))
    made = MnihNetwork(trunk, QHead(4, 2)).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter *= 2
        trunk.fc.linear.bias += 0.5  # so that some of its four units are not silent
    return made


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("head", architectures.HEADS)
def test_without_biases_the_relevance_sums_to_the_target(head, rule):
    network = without_biases(architectures.network(head, same=True))
    observations = architectures.observations(2).float() / 255
    values, delta = attribute(network, observations, "lrp", TARGETS[head], rule=rule, epsilon=1e-9)
    size = values.abs().sum(dim=(1, 2, 3))
    assert (size > 0).all()
    assert (delta.abs() < 2e-3 * size).all(), delta / size


def shared_out(inputs, weights, bias, relevance, change):
    """R_j = sum over k of x_j w_jk / z_k R_k, a loop over every pair."""
    found = np.zeros_like(inputs)
    for k in range(len(weights)):
        z = sum(inputs[j] * change(weights[k, j]) for j in range(len(inputs))) + change(bias[k])
        z += EPSILON if z >= 0 else -EPSILON
        for j in range(len(inputs)):
            found[j] += inputs[j] * change(weights[k, j]) / z * relevance[k]
    return found


def unrolled(network, pixels):
    """The convolution as a matrix (outputs, pixels), found by its answers to single pixels."""
    conv = nn.Sequential(*list(network.trunk.conv1.children())[:-1])
    with torch.no_grad():
        bias = conv(torch.zeros_like(pixels))[0].flatten()
        basis = torch.eye(pixels[0].numel()).reshape(-1, *pixels.shape[1:])
        columns = conv(basis).flatten(1) - bias
    return columns.T.double().numpy(), bias.double().numpy()


PLAIN, POSITIVE = (lambda w: w), (lambda w: max(w, 0.0))
CHANGES = {
    "epsilon": (PLAIN, PLAIN),
    "gamma": (lambda w: w + 0.5 * max(w, 0.0),) * 2,
    "zplus": (POSITIVE, POSITIVE),
    "epsilon-plus": (POSITIVE, PLAIN),
}


@pytest.mark.parametrize("rule", RULES)
def test_is_the_formula_in_plain_loops(rule):
    network = tiny()
    pixels = torch.rand(1, 2, 5, 5, generator=torch.Generator().manual_seed(1))
    matrix, bias = unrolled(network, pixels)
    dense, out = network.trunk.fc.linear, network.head.output
    layers = [(matrix, bias)] + [
        (layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy())
        for layer in (dense, out)
    ]
    values = [pixels.flatten().double().numpy()]
    for weights, offset in layers[:2]:
        values.append(np.maximum(weights @ values[-1] + offset, 0))
    outputs = layers[2][0] @ values[2] + layers[2][1]
    relevance = np.array([outputs[0], 0.0])
    in_conv, in_dense = CHANGES[rule]
    for (weights, offset), x, change in zip(
        layers[::-1], values[::-1], (in_dense, in_dense, in_conv), strict=True
    ):
        relevance = shared_out(x, weights, offset, relevance, change)
    found = attribute(network, pixels, "lrp", 0, rule=rule, epsilon=EPSILON, gamma=0.5).values
    expected = torch.from_numpy(relevance).float().reshape(pixels.shape)
    assert float(expected.abs().sum()) > 0.1
    # a sum near zero in float32, divided by: a few parts in ten thousand
    assert_close(found, expected, atol=1e-4 * float(expected.abs().max()), rtol=1e-3)


@pytest.mark.parametrize("rule", ["epsilon", "gamma"])
def test_is_captums_where_captum_has_the_rules(rule):
    """Flatten, which Captum refuses, gets a rule that hands the relevance on. Captum's gamma leaves
    biases as they are, unlike that of Montavon et al.: without any the two agree."""
    network = tiny()
    if rule == "gamma":
        without_biases(network)
        with torch.no_grad():
            network.trunk.fc.linear.weight.abs_()  # or all of its units are silent
    modules = [
        network.trunk.conv1.pad,
        network.trunk.conv1.conv,
        nn.ReLU(),
        nn.Flatten(),
        network.trunk.fc.linear,
        nn.ReLU(),
        network.head.output,
    ]
    pixels = torch.rand(3, 2, 5, 5, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        padded = modules.pop(0)(pixels)
    plain = nn.Sequential(*modules)
    for module in plain:
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.rule = EpsilonRule() if rule == "epsilon" else GammaRule(0.25)
        elif isinstance(module, nn.Flatten):
            module.rule = EpsilonRule()
    theirs = LRP(plain).attribute(padded.requires_grad_(), target=1)[:, :, 1:, 1:]
    ours = attribute(network, pixels, "lrp", 1, rule=rule, epsilon=1e-9).values
    assert float(ours.abs().sum()) > 0.1
    assert_close(ours, theirs, atol=1e-5, rtol=1e-3)


def test_delta_is_what_the_sum_misses():
    network = tiny()
    pixels = torch.rand(2, 2, 5, 5, generator=torch.Generator().manual_seed(3))
    values, delta = attribute(network, pixels, "lrp", 1)
    with torch.no_grad():
        assert_close(values.sum(dim=(1, 2, 3)) - delta, network(pixels)[:, 1], atol=1e-5, rtol=1e-5)


def test_the_network_is_left_as_it_was():
    network = tiny()
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    attribute(network, torch.rand(1, 2, 5, 5), "lrp", rule="zplus")
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)


EVERY_WEIGHT = [name for name in architectures.HEADS if "implicit" not in name]


@pytest.mark.parametrize("head", [name for name in EVERY_WEIGHT if "categorical" not in name])
@pytest.mark.parametrize("same", [False, True])
def test_captums_own_takes_a_network_as_it_is(head, same):
    """It shares out as ours does, twice in a row, and leaves no rule behind."""
    network = architectures.network(head, same=same)
    pixels = architectures.observations(2).float() / 255
    with torch.no_grad():  # no sum near zero, by which the two divide in other ways
        for parameter in network.parameters():
            parameter.abs_()
    ours = attribute(network, pixels, "lrp", 1, epsilon=1e-9).values
    pixels.requires_grad_()
    for _ in range(2):
        theirs = LRP(network).attribute(pixels, target=1)
    assert_close(ours, theirs.detach(), atol=1e-5 * float(ours.max()), rtol=1e-3)
    assert not any("_relevance_rule" in vars(module) for module in network.modules())


def test_captums_own_is_refused_where_it_would_be_wrong():
    """The softmax of C51 has no rule."""
    with pytest.raises(TypeError, match=r"Expectation.* has no rule defined"):
        LRP(architectures.network("categorical")).attribute(torch.rand(1, 4, 84, 84), target=1)


def test_a_module_may_have_another_rule():
    network = architectures.network("q")
    network.trunk.flatten.rule = rule = GammaRule(0.5)
    assert network.trunk.flatten.rule is rule
