"""Attribution: complete, of the number asked for, and put where the pixels are."""

from __future__ import annotations

from copy import deepcopy

import architectures
import planted
import pytest
import torch
from torch.testing import assert_close

import atari_zoo as zoo
from atari_zoo.viz.attribution.attribution import (
    attribute,
    attribute_layer,
    integrated_gradients,
    methods,
)

unchecked = attribute.__wrapped__  # as users have it: without the tests' shape checks
COMPLETE = {of.name: of for of in methods() if of.complete}
# names of agents, and a target of each that no softmax stands before
AGENTS = {
    "a2c/Pong/1": "chosen",
    "apex/Seaquest/1": "margin",
    "dqn/Seaquest/1": "chosen",
    "rainbow/Seaquest/1": "atom:chosen:50",
    "es/Seaquest/1": "margin",
}


@pytest.fixture(scope="module")
def seen(random_agent):
    """An agent, and three observations of its game as floats."""
    network = random_agent("Pong")
    recording = zoo.rollout(network, steps=40, envs=1, keep=["screens"])
    return network, recording.observations()[[5, 20, 39]].float() / 255


@pytest.fixture(scope="module", params=AGENTS)
def agent(request):
    """A trained agent, two observations of its own play, and a target."""
    network = zoo.load(request.param)
    recording = zoo.rollout(network, steps=31, envs=1, keep=["screens"])
    return network, recording.observations()[[10, 30]].float() / 255, AGENTS[request.param]


def number(network, observations, target, at) -> torch.Tensor:
    """The target of `observations`, its actions being those chosen at the observations `at`."""
    rows = torch.arange(len(at))
    with torch.no_grad():
        chosen = network(at).argsort(dim=1, descending=True)
        outputs = network(observations)
        if target.startswith("atom"):
            atoms = network.head.atoms(network.trunk(observations))
            return atoms[rows, chosen[:, 0], int(target.split(":")[2])]
    mine = outputs[rows, chosen[:, 0]]
    return mine - outputs[rows, chosen[:, 1]] if target == "margin" else mine


@pytest.mark.parametrize("method", [name for name in COMPLETE if name != "lrp"])
def test_sums_and_deltas_make_the_rise_from_the_baseline(agent, method):
    network, observations, target = agent
    options = {
        "kernel_shap": {"samples": 100},
        "gradient_shap": {"samples": 10},
        "integrated_gradients": {"steps": 200},
    }.get(method, {})
    values, delta = attribute(network, observations, method, target, **options)
    black = torch.zeros_like(observations)
    ends = [number(network, x, target, observations) for x in (observations, black)]
    rise = ends[0] - ends[1]
    # float32 sums of 28224 terms, each several times the rise
    assert_close(values.sum(dim=(1, 2, 3)) - delta, rise, atol=2e-4, rtol=1e-4)
    if method in ("deeplift", "deep_shap", "kernel_shap"):  # exact, the others are integrals
        assert float(delta.abs().max()) < 1e-4 * float(rise.abs().max() + 1)
    if method == "integrated_gradients":
        assert float(delta.abs().max()) < 0.05 * float(rise.abs().max() + 1)


@pytest.mark.parametrize("baseline", ["previous", "still", "blurred", "mean"])
def test_is_complete_from_any_baseline(agent, baseline):
    network, observations, target = agent
    _, delta = attribute(network, observations, "deeplift", target, baseline)
    assert_close(delta, torch.zeros(2), atol=1e-4, rtol=0)


def test_more_steps_make_delta_smaller(seen):
    network, observations = seen
    few, many = (
        attribute(network, observations, steps=steps).delta.abs().mean() for steps in (5, 100)
    )
    assert many < few / 3


def test_of_a_linear_network_are_weight_times_pixel(seen):
    """Where ReLUs are taken out, all of these have one closed form: gradient times input."""
    network, observations = seen
    linear = deepcopy(network)
    for module in linear.modules():
        if hasattr(module, "relu"):
            module.relu = torch.nn.Identity()
    pixels = observations.clone().requires_grad_()
    (slope,) = torch.autograd.grad(linear(pixels)[:, 3].sum(), pixels)
    for method in ("integrated_gradients", "deeplift", "gradient_shap", "input_x_gradient"):
        values = attribute(linear, observations, method, 3).values
        assert_close(values, slope * observations, atol=1e-4, rtol=1e-3)
    for method in ("gradient", "smoothgrad", "guided_backprop"):
        assert_close(attribute(linear, observations, method, 3).values, slope, atol=1e-4, rtol=1e-3)


def test_smoothgrad_is_the_mean_of_gradients_under_noise(seen):
    network, observations = seen
    found = attribute(network, observations, "smoothgrad", 1, seed=7, samples=6, noise=0.2).values
    draws = torch.randn(6, 4, 84, 84, generator=torch.Generator().manual_seed(7))
    total = torch.zeros_like(observations)
    for draw in draws:
        pixels = (observations + 0.2 * draw).requires_grad_()
        (slope,) = torch.autograd.grad(network(pixels)[:, 1].sum(), pixels)
        total += slope
    assert_close(found, total / 6, atol=1e-5, rtol=1e-4)


def test_gradient_shap_nears_integrated_gradients(seen):
    """From one reference its expectation is that integral."""
    network, observations = seen
    one = observations[:1]
    near = attribute(network, one, "gradient_shap", 1, samples=600).values
    integral = attribute(network, one, "integrated_gradients", 1, steps=100).values
    assert (near - integral).norm() < 0.1 * integral.norm()


def test_deep_shap_is_the_mean_of_deeplift(seen):
    network, observations = seen
    references = observations[None].expand(3, -1, -1, -1, -1)
    several = attribute(network, observations, "deep_shap", 1, references)
    named = attribute(network, observations, "deep_shap", 1, "observations")
    each = [attribute(network, observations, "deeplift", 1, one).values for one in observations]
    assert_close(several.values, torch.stack(each).mean(0), atol=1e-5, rtol=1e-4)
    assert_close(named.values, several.values)
    assert_close(several.delta, torch.zeros(3), atol=1e-4, rtol=0)


@pytest.mark.parametrize("method", [of.name for of in methods()])
def test_an_observation_gets_the_same_in_any_company(seen, method):
    network, observations = seen
    options = {
        "occlusion": {"size": 12, "stride": 12},
        "kernel_shap": {"samples": 60},
        "lime": {"samples": 60},
        "rise": {"masks": 60},
    }.get(method, {})
    all_three = attribute(network, observations, method, seed=3, **options).values
    alone = attribute(network, observations[1:2], method, seed=3, **options).values[0]
    assert all_three.shape in ((3, 4, 84, 84), (3, 1, 84, 84))
    size = float(alone.abs().max())
    assert size > 0
    assert_close(all_three[1], alone, atol=1e-4 * size, rtol=0)


@pytest.mark.parametrize("method", [of.name for of in methods() if of.stochastic])
def test_the_seed_decides(seen, method):
    network, observations = seen
    options = {"kernel_shap": {"samples": 60}, "lime": {"samples": 60}, "rise": {"masks": 30}}
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one, same, other = (
        attribute(network, observations[:1], method, seed=seed, **options.get(method, {})).values
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), state), "it drew from the global generator"


@pytest.mark.parametrize(
    "method", "integrated_gradients deeplift gradient_shap lrp input_x_gradient deep_shap".split()
)
def test_the_mass_falls_on_what_a_planted_unit_detects(method):
    network, observations = planted.network(), planted.screens()
    assert network(observations).argmax(dim=1).tolist() == [planted.ACTION] * 2
    mass = attribute(network, observations, method).values.abs()
    at = slice(planted.PLACE, planted.PLACE + 8)
    share = mass[:, 3, at, at].sum(dim=(1, 2)) / mass.sum(dim=(1, 2, 3))
    assert (share >= 0.9).all(), share


@pytest.mark.parametrize("method", ["greydanus", "occlusion", "feature_ablation", "kernel_shap"])
def test_the_peak_lies_on_what_a_planted_unit_detects(method):
    network, observations = planted.network(), planted.screens(1)
    options = {"kernel_shap": {"cells": 4, "samples": 300}}.get(method, {})
    map_ = attribute(network, observations, method, **options).values[0, 0]
    row, column = divmod(int(map_.argmax()), 84)
    reach = 21 if method == "kernel_shap" else 7  # a cell, or a window, of these
    assert planted.PLACE - reach <= row < planted.PLACE + 8 + reach
    assert planted.PLACE - reach <= column < planted.PLACE + 8 + reach


def test_sums_of_frames(seen):
    network, observations = seen
    found = attribute(network, observations, "input_x_gradient")
    assert found.delta is None
    assert_close(found.per_frame()[1, 2], found.values[1, 2].sum())


@pytest.mark.parametrize("kind", ["gradient_x_activation", "conductance"])
@pytest.mark.parametrize("layer", ["conv1", "conv3", "fc"])
def test_layers_have_attributions_of_their_own_size(seen, layer, kind):
    network, observations = seen
    found = attribute_layer(network, observations, layer, kind, 2, steps=200)
    with torch.no_grad():
        assert found.shape == zoo.activations(network, observations, [layer])[layer].shape
        rise = (network(observations) - network(torch.zeros_like(observations)))[:, 2]
    if kind == "conductance":  # complete at any layer
        sums = found.flatten(1).sum(1)
        assert_close(sums, rise, atol=0.05 * float(rise.abs().max()), rtol=0)
    elif layer == "fc":  # by hand: what the last layer makes of each unit
        units = zoo.activations(network, observations, ["fc"])["fc"]
        assert_close(found, units * network.head.output.weight[2], atol=1e-5, rtol=1e-4)


def test_grad_cam_by_hand(seen):
    network, observations = seen
    maps = network.trunk.conv1(observations).detach()
    maps = network.trunk.conv2(maps).detach().requires_grad_()
    x = network.trunk.fc(network.trunk.flatten(network.trunk.conv3(maps)))
    (slope,) = torch.autograd.grad(network.head(x)[:, 4].sum(), maps)
    by_hand = (slope.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1, keepdim=True).detach()
    found = attribute_layer(network, observations, "conv2", "grad_cam", 4)
    assert_close(found, by_hand, atol=1e-5, rtol=1e-4)
    drawn = attribute(network, observations, "grad_cam", 4, layer="conv2", rectify=True).values
    assert drawn.shape == (3, 1, 84, 84)
    assert (drawn >= 0).all()
    share = 81 / 7056  # bilinear: what is spread over the screen's pixels keeps about its sum
    assert_close(drawn.mean(), by_hand.clamp(min=0).mean() * share, rtol=0.1, atol=0)


@pytest.mark.parametrize("head", architectures.HEADS)
@pytest.mark.parametrize("method", ["smoothgrad", "guided_backprop", "grad_cam"])
def test_works_on_every_head(head, method):
    network = architectures.network(head, same=True)
    observations = architectures.observations(2).float() / 255
    values = attribute(network, observations, method).values
    assert torch.isfinite(values).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "deeplfit"}, "no method 'deeplfit'; did you mean 'deeplift'"),
        ({"method": "gradient", "steps": 4}, "gradient has no option 'steps'; it has none"),
        ({"method": "lrp", "rule": "x"}, "no rule 'x'; there are epsilon, gamma"),
        ({"steps": 0}, "steps is 0; it must be at least 1"),
        ({"method": "gradient", "baseline": "mean"}, "gradient compares with no baseline"),
        ({"baseline": "observations"}, "with one baseline, not 3; deep_shap and gradient_shap"),
        ({"baseline": "white"}, "no baseline 'white'; there are black, mean"),
        ({"baseline": torch.zeros(4, 80, 80)}, r"baseline is \(4, 80, 80\); expected \(4, 84, 84"),
        ({"baseline": torch.zeros(4, 84, 84).byte()}, r"the baseline is torch\.uint8"),
        ({"method": "greydanus", "target": "value"}, "measures all outputs, not 'value'"),
        ({"method": "grad_cam", "layer": "fc"}, "layer 'fc' has no maps"),
        ({"method": "grad_cam", "layer": "conv9"}, "no layer 'conv9'; this network has conv1"),
        ({"method": "rise", "keep": 1.0}, "keep 1.0; expected"),
        ({"method": "lime", "samples": 1}, "samples is 1; it must be at least 2"),
        ({"method": "kernel_shap", "cells": 0}, "cells is 0; expected 1 to 84"),
        ({"method": "occlusion", "size": 2, "stride": 3}, "size is 2 and stride 3"),
        ({"method": "occlusion", "frames": "all"}, "frames is 'all'; expected 'together' or"),
        ({"method": "sarfa", "target": "value"}, "sarfa explains an action"),
        ({"method": "sarfa", "variant": "x"}, "variant is 'x'"),
        ({"method": "greydanus", "side": "x"}, "side is 'x'; expected 'actor' or 'critic'"),
    ],
)
def test_refuses_what_is_not_there(seen, arguments, message):
    with pytest.raises(ValueError, match=message):
        attribute(*seen, **arguments)


def test_refuses_observations_out_of_range(seen):
    network, observations = seen
    with pytest.raises(ValueError, match=r"expected 0\.\.1: divide bytes by 255"):
        attribute(network, observations * 255)


def test_refuses_bytes(seen):
    network, observations = seen
    with pytest.raises(ValueError, match=r"torch\.uint8; gradients need floats"):
        unchecked(network, (observations * 255).to(torch.uint8))


def test_integrated_gradients_of_actions(seen):
    network, observations = seen
    one = integrated_gradients(network, observations, torch.tensor([0, 5, 2]), steps=8)
    assert_close(one.values[1], integrated_gradients(network, observations, 5, steps=8).values[1])
