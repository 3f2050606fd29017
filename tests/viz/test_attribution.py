"""Attribution: complete, of the number asked for, and put where the pixels are."""

from __future__ import annotations

from copy import deepcopy

import architectures
import numpy as np
import planted
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.testing import assert_close

import atari_zoo as zoo
from atari_zoo.converters import to_onnx
from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.network.foreign import ForeignNetwork
from atari_zoo.converters.network.receptive_fields import field_shares, receptive_field
from atari_zoo.viz.attribution.attribution import (
    attribute,
    attribute_layer,
    integrated_gradients,
    methods,
)

# of a few steps or samples; that it is told has a test of its own
pytestmark = pytest.mark.filterwarnings("ignore:.* misses the rise:UserWarning")
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
        "kernel_shap": {"samples": 100},
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
    options = {"kernel_shap": {"samples": 120}, "lime": {"samples": 60}, "rise": {"masks": 30}}
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


@pytest.mark.parametrize("layer", ["conv3", "fc"])
def test_few_steps_of_conductance_are_enough_behind_a_softmax(layer):
    """Captum's own takes each step's slope at one end, and misses the rise by one to three
    per cent here."""
    network, observations = (
        architectures.network("categorical"),
        architectures.observations(2).float() / 255,
    )
    with torch.no_grad():  # so that the softmax bends
        network.head.atoms[0].weight *= 40
        chosen = network(observations).argmax(dim=1)
        ends = (network(observations) - network(0 * observations)).gather(1, chosen[:, None])
    rise = ends[:, 0]
    found = attribute_layer(network, observations, layer, "conductance", steps=20)
    assert_close(found.flatten(1).sum(1), rise, atol=1e-6, rtol=2e-3)


def test_a_sum_that_misses_its_rise_is_told():
    """Ape-X's dense layer is one of two ways to the output."""
    network = architectures.network("dueling streams")
    observations = architectures.observations(2).float() / 255
    with pytest.warns(UserWarning, match="conductance at fc misses the rise by up to"):
        attribute_layer(network, observations, "fc", "conductance", steps=3)
    delta = attribute(network, observations, "layer_conductance", steps=3).delta
    assert delta is not None and delta.shape == (2,)
    with pytest.warns(UserWarning, match=r"^integrated_gradients misses the rise by up to \d"):
        attribute(network, observations, "integrated_gradients", steps=1)
    with pytest.raises(ValueError, match="grad_cam promises no sum"):
        attribute_layer(network, observations, "conv3", "grad_cam", return_convergence_delta=True)


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
        assert_close(sums, rise, atol=0.01 * float(rise.abs().max()), rtol=0)
        again, delta = attribute_layer(
            network, observations, layer, kind, 2, steps=200, return_convergence_delta=True
        )
        assert_close(again, found)
        assert_close(delta, sums - rise, atol=1e-5, rtol=0)
    if kind == "conductance" and layer == "fc":  # by hand, as all behind it is linear
        ends = zoo.activations(network, torch.cat([observations, 0 * observations]), ["fc"])["fc"]
        by_hand = (ends[:3] - ends[3:]) * network.head.output.weight[2].detach()
        assert_close(found, by_hand, atol=1e-5, rtol=1e-4)
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
    sums = by_hand.clamp(min=0).sum(dim=(1, 2, 3))
    assert_close(drawn.sum(dim=(1, 2, 3)), sums, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize(
    "method", ["grad_cam", "layer_gradient_x_activation", "layer_conductance", "internal_influence"]
)
def test_a_layers_map_lies_where_its_units_looked(method, same):
    """Each unit of conv3 is made to copy one pixel; one of them is lit, at the border too. Its mass
    is then spread about that pixel, within what the unit can see."""
    network = architectures.network("q", same=same)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        # the middle of the kernels, so that of the 36 x 36 pixels it is the middle one
        for index, offset in enumerate((5, 1, 1) if same else (1, 2, 1), start=1):
            weight = network.layers[f"conv{index}"].conv.weight
            weight[0, 3 if index == 1 else 0, offset, offset] = 1
        rows = network.trunk.maps[1]
        network.layers["fc"].linear.weight[0, : rows**2] = 1
        network.head.output.weight[0, 0] = 1
    for place in (0, 3, rows - 1):
        pixel = 8 * place + (3 if same else 17)
        lit = torch.zeros(1, 4, 84, 84)
        lit[0, 3, pixel, pixel] = 1
        maps = zoo.activations(network, lit, ["conv3"])["conv3"][0, 0]
        assert maps[place, place] == 1 == maps.sum()
        values = attribute(network, lit, method, target=0).values[0, 0]
        if method == "internal_influence":  # all units count alike, lit or not
            assert_close(values.sum(), torch.tensor(float(rows**2)))
            continue
        box = receptive_field(network, "conv3", place, place).seen
        # at a ReLU's edge half a step of conductance is lost
        assert_close(values.sum(), torch.tensor(1.0), atol=0.006, rtol=0)
        assert_close(values[box.slices].sum(), values.sum())
        middle = float((values.sum(1) * torch.arange(84)).sum() / values.sum())
        # where the screen's edge cuts the field, the middle of what is left
        assert middle == pytest.approx(pixel, abs=7 if same and place != 3 else 0.6)


@pytest.mark.parametrize("same", [False, True])
def test_maps_of_a_foreign_graph_lie_where_the_same_networks_do(same):
    """Whatever modules they are made of."""
    network = architectures.network("q", same=same)
    foreign = ForeignNetwork(to_onnx(network), network.card).eval()
    observations = architectures.observations(1).float() / 255
    for method, layer in (("grad_cam", "conv3"), ("layer_conductance", "conv3"), ("grad_cam", "")):
        theirs = attribute(foreign, observations, method, 2, layer=layer).values
        ours = attribute(network, observations, method, 2, layer="conv3").values
        assert_close(theirs, ours, atol=1e-4 * float(ours.abs().max()), rtol=1e-3)


def pooling() -> ForeignNetwork:
    """A convolution of 5 pixels every 2, a norm, and the largest of 3 every 2."""
    weights = {
        "kernel": np.random.default_rng(0).normal(size=(3, 4, 5, 5)).astype(np.float32),
        **{name: np.full(3, 0.5, np.float32) for name in ("scale", "shift", "mean", "variance")},
        "dense": np.ones((6, 3 * 20 * 20), np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["seen", "kernel"], ["a"], name="conv", strides=[2, 2]),
        helper.make_node(
            "BatchNormalization", ["a", "scale", "shift", "mean", "variance"], ["b"], name="norm"
        ),
        helper.make_node(
            "MaxPool", ["b"], ["c"], name="pool", kernel_shape=[3, 3], strides=[2, 2],
            pads=[1, 1, 1, 1],
        ),
        helper.make_node("Flatten", ["c"], ["d"], name="flat"),
        helper.make_node("Gemm", ["d", "dense"], ["e"], name="output", transB=1),
    ]  # fmt: skip
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("seen", ["batch", 4, 84, 84]), ("e", ["batch", 6]))
    ]
    filled = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "pooling", ends[:1], ends[1:], filled)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    return ForeignNetwork(model, ModelCard("dqn", "Pong")).eval()


def test_a_map_behind_a_pool_lies_by_its_middles():
    foreign, seen = pooling(), torch.rand(1, 4, 84, 84)
    rows, columns = field_shares(foreign, "pool")
    assert rows.shape == columns.shape == (84, 20)
    assert_close(rows.sum(dim=0), torch.ones(20))
    middles = (rows * torch.arange(84.0)[:, None]).sum(dim=0)
    # place r pools convolutions 2r - 1 to 2r + 1, of which k sees pixels 2k to 2k + 4
    assert_close(middles[1:], 4 * torch.arange(1.0, 20) + 2, atol=1e-3, rtol=0)
    assert attribute(foreign, seen, "grad_cam").values.shape == (1, 1, 84, 84)
    with pytest.raises(ValueError, match="layer 'flat' has no map; take a convolution"):
        field_shares(foreign, "flat")


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
        ({"method": "lime", "samples": 1}, "samples is 1, too few to tell 49 cells apart; give at"),
        ({"method": "kernel_shap", "samples": 97}, "to tell 49 cells apart; give at least 98"),
        ({"method": "kernel_shap", "cells": 0}, "cells is 0; expected 1 to 84"),
        ({"method": "occlusion", "size": 2, "stride": 3}, "size is 2 and stride 3"),
        ({"method": "occlusion", "size": 85}, "size is 85 and stride 3; expected size of 1 to 84"),
        ({"steps": 1.5}, "steps is 1.5; expected a whole number, such as 50"),
        ({"steps": True}, "steps is True; expected a whole number"),
        ({"method": "smoothgrad", "noise": float("nan")}, "noise is nan; expected a finite number"),
        ({"method": "smoothgrad", "noise": -0.1}, "noise is -0.1; it must be at least 0"),
        ({"method": "grad_cam", "layer": 3}, "layer is 3; expected a word"),
        ({"method": "grad_cam", "rectify": 1}, "rectify is 1; expected yes or no"),
        ({"method": "lrp", "epsilon": 0.0}, "epsilon is 0.0 and gamma 0.25; expected above 0"),
        ({"baseline": torch.full((4, 84, 84), 255.0)}, r"baseline's numbers are in 255\.\.255"),
        ({"baseline": torch.full((4, 84, 84), torch.nan)}, "baseline's numbers hold numbers that"),
        ({"method": "layer_conductance", "layer": "value"}, "'value' does not lead to what is"),
        ({"method": "occlusion", "frames": "all"}, "frames is 'all'; expected 'together' or"),
        ({"method": "sarfa", "target": "value"}, "sarfa explains an action"),
        ({"method": "sarfa", "variant": "x"}, "variant is 'x'"),
        ({"method": "greydanus", "side": "x"}, "side is 'x'; expected 'actor' or 'critic'"),
    ],
)
def test_refuses_what_is_not_there(seen, arguments, message):
    with pytest.raises(ValueError, match=message):
        attribute(*seen, **arguments)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda seen: seen * 255, r"expected 0\.\.1: divide bytes by 255"),
        (lambda seen: seen - 0.5, r"observations are in -0\..*; expected 0\.\.1"),
        (lambda seen: seen / seen, "observations hold numbers that are not finite"),
        (
            lambda seen: seen[..., :80],
            r"observations are \(3, 4, 84, 80\); expected \(batch, 4, 84",
        ),
        (lambda seen: seen.permute(0, 2, 3, 1), r"observations are \(3, 84, 84, 4\); expected"),
        (lambda seen: seen[0, 0], r"observations are \(84, 84\); expected"),
        (lambda seen: seen.numpy().astype("O"), "observations are an array of object"),
    ],
)
def test_refuses_observations_that_are_none(seen, spoil, message):
    network, observations = seen
    for ask in (attribute, lambda *given: attribute_layer(*given, "conv3")):
        with pytest.raises(ValueError, match=message):
            ask(network, spoil(observations * 0 if "finite" in message else observations))


def test_one_observation_and_an_array_are_taken(seen):
    network, observations = seen
    batch = attribute(network, observations[1:2], target=3, steps=5).values
    for form in (observations[1], observations[1].numpy(), observations[1:2].double().numpy()):
        assert torch.equal(attribute(network, form, target=3, steps=5).values, batch)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gradients_are_taken_where_they_are_off(seen, mode):
    """As in most evaluation loops; also of what was made in there."""
    network, observations = seen
    names = "integrated_gradients deeplift lrp guided_backprop smoothgrad gradient_shap grad_cam"
    expected = {name: attribute(network, observations[:1], name).values for name in names.split()}
    layer = attribute_layer(network, observations[:1], "fc", "conductance", steps=5)
    with mode():
        made, other = observations[:1] * 1, zoo.load("a2c/Pong/1")
        for name, values in expected.items():
            assert_close(attribute(network, made, name).values, values)
        found = attribute_layer(network, made, "fc", "conductance", steps=5)
        assert attribute(other, made, "gradient", baseline="black").values.abs().sum() > 0
        assert torch.is_inference_mode_enabled() == (mode is torch.inference_mode)
    assert_close(found, layer)


def test_a_network_that_diverged_is_refused(seen):
    network = deepcopy(seen[0])
    with torch.no_grad():
        network.layers["fc"].linear.weight[3, 5] = torch.nan
    with pytest.raises(ValueError, match=r"weights in 'trunk\.fc\.linear\.weight' are not finite"):
        attribute(network, seen[1])
    with pytest.raises(ValueError, match="are not finite"):
        attribute_layer(network, seen[1], "conv3")
    with torch.no_grad():
        network.layers["fc"].linear.weight[:] = 3e38  # finite, but what follows is not
    with pytest.raises(ValueError, match="its outputs are not finite numbers"):
        attribute(network, seen[1])


def test_bytes_are_the_floats_that_they_stand_for(seen):
    network, observations = seen
    pixels = (observations * 255).to(torch.uint8)
    expected = attribute(network, pixels.float() / 255)
    assert attribute(network, pixels).values.equal(expected.values)


def test_integrated_gradients_of_actions(seen):
    network, observations = seen
    one = integrated_gradients(network, observations, torch.tensor([0, 5, 2]), steps=8)
    assert_close(one.values[1], integrated_gradients(network, observations, 5, steps=8).values[1])
