"""Interventions: what a changed network computes, by hand from the weights, and that it is changed
wherever it runs."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from recurrent_agents import recurrent_network
from torch import Tensor, nn

import atari_zoo as zoo
from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.convert import to_onnx, to_torch
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.export.weights import save_npz, save_safetensors, to_sb3_state_dict
from atari_zoo.converters.network.heads import (
    ActorCriticHead,
    CategoricalHead,
    DuelingHead,
    Head,
    ImplicitQuantileHead,
    QHead,
    QuantileHead,
)
from atari_zoo.converters.network.networks import MnihNetwork, Trunk, mnih_convolutions
from atari_zoo.interventions import KINDS, Intervention, ablated, intervened, intervening
from atari_zoo.play.inference import Inference

UNIT = "conv3:2"
HEADS: dict[str, Head] = {
    "actor": ActorCriticHead(16, 6),
    "q": QHead(16, 6),
    "dueling": DuelingHead(16, 6),
    "categorical": CategoricalHead(16, 6, torch.linspace(-1, 1, 5)),
    "quantile": QuantileHead(16, 6, 7),
}


def agent(head: Head | None = None, units: int | None = 16) -> MnihNetwork:
    """A small one whose layers all matter."""
    torch.manual_seed(3)
    trunk = Trunk(mnih_convolutions((8, 8, 8)), units)
    network = MnihNetwork(
        trunk, head or ActorCriticHead(16, 6), ModelCard("a2c", "Pong", action_rule="argmax")
    )
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.orthogonal_(module.weight, 2)
            nn.init.uniform_(module.bias, -0.1, 0.1)
    return network.eval()


@pytest.fixture(scope="module")
def seen() -> Tensor:
    return torch.rand((12, 4, 84, 84), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def network() -> Iterator[MnihNetwork]:
    made = agent()
    before = {name: value.clone() for name, value in made.state_dict().items()}
    yield made
    after = made.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(m._forward_hooks for m in made.modules()), "hooks are left on the network"


def layers_of(network, seen: Tensor) -> dict[str, Tensor]:
    return zoo.activations(network, seen)


def above(network: MnihNetwork, conv3: Tensor) -> dict[str, Tensor]:
    """What stands on the third convolution, from the weights alone."""
    linear, head = network.layers["fc"].linear, network.head
    fc = (conv3.flatten(1) @ linear.weight.T + linear.bias).clamp(min=0)
    found = {"fc": fc, "output": fc @ head.output.weight.T + head.output.bias}
    return {n: v.detach() for n, v in found.items()}


@torch.no_grad()
def test_a_silenced_unit_is_that_unit_with_its_weights_zeroed(network, seen) -> None:
    intact = layers_of(network, seen)
    planted = agent()
    with torch.no_grad():  # the unit's filter and bias are 0: it computes 0 by hand
        planted.layers["conv3"].conv.weight[2] = 0
        planted.layers["conv3"].conv.bias[2] = 0
    expected = layers_of(planted, seen)
    with ablated(network, UNIT):
        found = layers_of(network, seen)
    for layer in ("conv1", "conv2"):
        assert torch.equal(found[layer], intact[layer]), layer
    others = [unit for unit in range(8) if unit != 2]
    assert torch.equal(found["conv3"][:, others], intact["conv3"][:, others])
    assert (found["conv3"][:, 2] == 0).all() and (intact["conv3"][:, 2] > 0).any()
    for layer in network.layers:
        assert torch.equal(found[layer], expected[layer]), layer
    assert not torch.equal(found["output"], intact["output"])


@torch.no_grad()
@pytest.mark.parametrize("kind", list(KINDS))
def test_each_kind_is_what_plain_arithmetic_makes_of_the_map(network, seen, kind) -> None:
    intact = layers_of(network, seen)
    given = {
        "mean": {"play": seen},
        "resample": {"play": seen, "seed": 5},
        "patch": {"play": seen, "moment": 7},
        "scale": {"amount": -1.5},
        "steer": {"amount": 0.5},
    }.get(kind, {})
    maps, one = intact["conv3"].clone(), intact["conv3"][:, 2]
    if kind == "mean":
        for row in range(7):
            for column in range(7):
                maps[:, 2, row, column] = sum(one[:, row, column].tolist()) / len(seen)
    elif kind == "patch":
        maps[:, 2] = one[7]
    elif kind == "scale":
        maps[:, 2] = one * -1.5
    elif kind == "steer":
        maps[:, 2] = one + 0.5
    else:
        maps[:, 2] = 0
    with intervening(network, Intervention(UNIT, kind, **given)):
        found = layers_of(network, seen)
    if kind == "resample":  # each map is one of those that there were, whole
        for moment in range(len(seen)):
            assert any(torch.equal(found["conv3"][moment, 2], other) for other in one), moment
        maps[:, 2] = found["conv3"][:, 2]
    torch.testing.assert_close(found["conv3"], maps, atol=1e-5, rtol=1e-5)
    for layer, expected in above(network, maps).items():
        torch.testing.assert_close(found[layer], expected, atol=1e-4, rtol=1e-4)
    assert torch.equal(found["conv2"], intact["conv2"])


@torch.no_grad()
def test_resampled_moments_are_as_likely_and_play_repeats() -> None:
    network, many = (
        agent(),
        torch.rand((600, 4, 84, 84), generator=torch.Generator().manual_seed(2)),
    )
    play = many[:10]
    pool = layers_of(network, play)["fc"][:, 0]
    assert len(pool.unique()) == 10
    drawn = {}
    for seed in (0, 1):
        changed = intervened(network, Intervention("fc:0", "resample", play=play, seed=seed))
        drawn[seed] = zoo.activations(changed, many, "fc")["fc"][:, 0]
    again = intervened(network, Intervention("fc:0", "resample", play=play, seed=0))
    reversed_ = zoo.activations(again, many.flip(0), "fc", batch=256)["fc"][:, 0].flip(0)
    assert torch.equal(drawn[0], reversed_), "a draw depends on what else is in the batch"
    assert 0.02 < float((drawn[0] == drawn[1]).float().mean()) < 0.25  # one in ten by chance
    counts = torch.stack([(drawn[0] == value).sum() for value in pool]).float()
    chi_squared = float(((counts - 60) ** 2 / 60).sum())
    assert chi_squared < 27.9  # .999 of 9 degrees of freedom


def test_the_mean_of_a_direction_is_pushed_along_it(network, seen) -> None:
    direction = torch.linspace(-1, 1, 16)
    push = Intervention("fc", "steer", amount=2, direction=direction.tolist())
    intact = layers_of(network, seen)["fc"]
    with intervening(network, push):
        found = layers_of(network, seen)["fc"]
    torch.testing.assert_close(found, intact + 2 * direction)


def test_of_two_the_later_one_takes_what_the_first_left(network, seen) -> None:
    intact = layers_of(network, seen)["fc"][:, 3]
    with (
        intervening(network, Intervention("fc:3", "steer", amount=1)),
        intervening(network, Intervention("fc:3", "scale", amount=2)),
    ):
        assert network.card.name == "a2c/Pong/1@fc:3+1+fc:3*2"
        found = layers_of(network, seen)["fc"][:, 3]
    torch.testing.assert_close(found, (intact + 1) * 2)


def test_leaving_restores_the_network_also_after_an_error(network, seen) -> None:
    card, intact = network.card, layers_of(network, seen)
    with ablated(network, UNIT, "fc:1,5"):
        assert network.card.name == "a2c/Pong/1@conv3:2=0+fc:1,5=0"
    with pytest.raises(RuntimeError), ablated(network, UNIT, "fc:1,5"):
        raise RuntimeError
    with pytest.raises(ValueError, match="no unit 99"), ablated(network, UNIT, "fc:99"):
        pass
    assert network.card is card
    found = layers_of(network, seen)
    assert all(torch.equal(found[layer], intact[layer]) for layer in intact)


def test_a_copy_is_changed_and_the_network_is_not(network, seen) -> None:
    intact = layers_of(network, seen)
    changed = intervened(network, UNIT)
    with ablated(network, UNIT):
        inside = layers_of(network, seen)
    for layer, value in layers_of(changed, seen).items():
        assert torch.equal(value, inside[layer]), layer
    assert torch.equal(layers_of(network, seen)["output"], intact["output"])
    assert (network.card.name, changed.card.name) == ("a2c/Pong/1", "a2c/Pong/1@conv3:2=0")


EXPORTED = [
    Intervention("conv1:0"),
    Intervention("fc:1,5", "scale", amount=0.5),
    Intervention("fc", "steer", amount=0.1),
    Intervention("output:FIRE", "steer", amount=-2),
]


@torch.no_grad()
@pytest.mark.parametrize("head", list(HEADS))
def test_onnxruntime_computes_the_same_at_every_layer(seen, head) -> None:
    changed = intervened(agent(HEADS[head]), *EXPORTED)
    more = Intervention("conv2:3", "mean", play=seen)
    changed = (
        intervened(changed, more, Intervention("value", "scale", amount=2))
        if ("value" in changed.layers)
        else intervened(changed, more)
    )
    layers = list(changed.layers)
    expected = layers_of(changed, seen)
    assert Inference(changed).backend == "onnxruntime"
    found = Inference(changed, layers, backend="onnxruntime")
    outputs, values = found(seen)
    torch.testing.assert_close(outputs, expected["output"], atol=1e-4, rtol=1e-4)
    for layer in layers:
        torch.testing.assert_close(values[layer], expected[layer], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_file_of_a_changed_network_is_changed(network, seen) -> None:
    changed = intervened(network, UNIT, Intervention("fc:3", "scale", amount=0.5))
    again = to_torch(to_onnx(changed))
    torch.testing.assert_close(again(seen), changed(seen), atol=1e-4, rtol=1e-4)
    assert again.card.name == changed.card.name == "a2c/Pong/1@conv3:2=0+fc:3*0.5"
    drawn = intervened(network, Intervention(UNIT, "resample", play=seen))
    with pytest.raises(ConversionError, match="conv3 draws anew for each observation"):
        to_onnx(drawn)


def test_weights_alone_are_refused(network, tmp_path) -> None:
    changed = intervened(network, UNIT)
    for write in (lambda n: save_npz(n, tmp_path / "a.npz"), to_sb3_state_dict):
        with pytest.raises(ConversionError, match="an intervention changes conv3"):
            write(changed)
    with pytest.raises(ConversionError, match="an intervention changes conv3"):
        save_safetensors(changed, tmp_path / "a.safetensors")


@torch.no_grad()
def test_units_of_many_quantiles_are_silenced_at_all_of_them(seen) -> None:
    trunk = Trunk(mnih_convolutions((8, 8, 8)), None)
    network = agent(ImplicitQuantileHead(trunk.features, 6, 16, 5, 4), None)
    intact = layers_of(network, seen)["fc"]
    with ablated(network, "fc:3"):
        found = layers_of(network, seen)["fc"]
        runtime = Inference(network, ["fc"], backend="onnxruntime")
        again = runtime(seen)[1]["fc"]
    assert intact.shape == (12, 4, 16) and intact[:, :, 3].any()
    expected = intact.clone()
    expected[:, :, 3] = 0
    assert torch.equal(found, expected)
    torch.testing.assert_close(again, expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_one_number_of_two_axes_is_changed(seen) -> None:
    network = agent(HEADS["categorical"])
    intact = layers_of(network, seen)["atoms"]
    with intervening(network, Intervention("atoms:1,2", "scale", amount=3)):
        found = layers_of(network, seen)["atoms"]
    expected = intact.clone()
    expected[:, 1, 2] *= 3
    assert torch.equal(found, expected)


class TestPlay:
    """In the emulator."""

    @pytest.fixture(scope="class")
    def player(self) -> MnihNetwork:
        return agent()

    def test_torch_and_onnxruntime_play_the_same(self, player) -> None:
        play = {
            backend: zoo.rollout(
                intervened(player, *EXPORTED),
                steps=60,
                envs=2,
                seed=4,
                backend=backend,
                keep=["outputs", "screens"],
            )
            for backend in ("torch", "onnxruntime")
        }
        ours, theirs = play.values()
        np.testing.assert_array_equal(ours.actions, theirs.actions)
        np.testing.assert_array_equal(ours.screens, theirs.screens)
        np.testing.assert_allclose(ours.outputs, theirs.outputs, atol=1e-3)
        intact = zoo.rollout(player, steps=60, envs=2, seed=4, keep=["outputs"])
        assert not np.allclose(intact.outputs[0], ours.outputs[0], atol=1e-2)

    @pytest.mark.parametrize("kind", ["zero", "resample"])
    @pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
    def test_what_is_recorded_is_the_changed_networks(self, player, kind, dtype, tmp_path) -> None:
        seen = torch.rand((9, 4, 84, 84))
        given = {"play": seen} if kind == "resample" else {}
        options = {"steps": 20, "envs": 2, "seed": 4, "dtype": dtype}
        keep = {"keep": ["screens", "outputs"], "layers": ["fc"]}
        with ablated(player, "fc:0..9", kind=kind, **given):
            played = zoo.rollout(player, **options, **keep, path=tmp_path / "play.zarr")
            with torch.no_grad():
                again = player(played.observations(1))
            repeated = zoo.rollout(player, **options, **keep)
        tolerance = 1e-4 if dtype == "float32" else 0.2
        if kind == "zero":
            assert not np.asarray(played.activations["fc"][:, :, :10]).any()
        if kind == "zero" or dtype == "float32":
            np.testing.assert_allclose(played.outputs[:, 1], again.numpy(), atol=tolerance)
        np.testing.assert_array_equal(played.outputs, repeated.outputs)
        word = "0" if kind == "zero" else "resampled0#[0-9a-f]{6}"
        name = zoo.open_recording(tmp_path / "play.zarr").card.name
        assert re.fullmatch(rf"a2c/Pong/1@fc:0\.\.9={word}", name)

    def test_drawn_changes_are_played_by_torch(self, player) -> None:
        drawn = intervened(player, Intervention(UNIT, "resample", play=torch.rand(3, 4, 84, 84)))
        assert Inference(drawn).backend == "torch"
        with pytest.raises(ValueError, match="use backend='torch'"):
            Inference(drawn, backend="onnxruntime")

    def test_its_play_is_another_agents(self, player) -> None:
        changed = intervened(player, UNIT)
        played = zoo.rollout(changed, steps=5, envs=1, keep=["screens"])
        with pytest.raises(ValueError, match="is not what"):
            Subject(played, player)
        with pytest.raises(ValueError, match="an intervention changes conv3"):
            zoo.rollout(changed, steps=5, keep=["screens"], recompute=["fc"])
        with pytest.raises(zoo.UnknownModel):
            zoo.load(changed.card.name)

    def test_a_memory_forgets_what_it_was_to_hold(self) -> None:
        network = recurrent_network()
        intact = zoo.rollout(network, steps=12, envs=1, keep=["screens", "outputs"])
        with ablated(network, "memory"):
            played = zoo.rollout(network, steps=12, envs=1, keep=["outputs"])
        expected = network.head.output.bias.detach().numpy()
        np.testing.assert_allclose(played.outputs[:, 0], np.tile(expected, (12, 1)), atol=1e-6)
        assert np.ptp(intact.outputs, axis=0).max() > 0.01
        held = Intervention("memory:3", "mean", play=intact)
        mean = zoo.activations(network, intact, "memory")["memory"][:, 0].mean(0)
        with intervening(network, held):
            again = zoo.rollout(network, steps=12, envs=1, layers=["memory"])
        np.testing.assert_allclose(again.activations["memory"][:, 0, 3], mean[3], atol=1e-3)

    def test_a_foreign_network_is_changed_too(self) -> None:
        class Body(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                torch.manual_seed(0)
                self.body = nn.Sequential(nn.Conv2d(4, 8, 8, 4), nn.ReLU(), nn.MaxPool2d(2))
                self.policy = nn.Linear(800, 6)

            def forward(self, seen: Tensor) -> Tensor:
                return self.policy(self.body(seen / 255).flatten(1))

        module = Body()
        network = zoo.wrap(module, "Pong", input_range="0..255")
        with ablated(network, "body.1:3"):
            played = zoo.rollout(network, steps=6, envs=2, keep=["screens", "outputs"])
        with torch.no_grad():
            module.body[0].weight[3] = 0
            module.body[0].bias[3] = 0
            expected = module(played.observations(0).float())
        np.testing.assert_allclose(played.outputs[:, 0], expected, atol=1e-4)
        with pytest.raises(ValueError, match=r"no unit 8 in body\.1; expected 0 to 7"):
            intervened(network, "body.1:8")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("conv3:99",), "no unit 99 in conv3; expected 0 to 7"),
        (("conv9:0",), "no layer 'conv9'; there are conv1, conv2, conv3, fc, value, output"),
        ((UNIT, "gone"), "no kind of intervention 'gone'; there are zero, mean, resample"),
        ((UNIT, "mean"), "'mean' of conv3:2 needs play="),
        ((UNIT, "patch", np.zeros(3)), "'patch' of conv3:2 needs moment="),
        ((UNIT, "scale"), "'scale' of conv3:2 needs amount="),
        ((UNIT, "zero", np.zeros(3)), "'zero' of conv3:2 has no play"),
    ],
)
def test_what_cannot_be_done_is_told(given, said) -> None:
    with pytest.raises(ValueError, match=said):
        intervened(agent(), Intervention(*given))


def test_what_play_and_directions_do_not_have_is_told(seen) -> None:
    with pytest.raises(ValueError, match="no moment 12 in that play; expected 0 to 11"):
        intervened(agent(), Intervention(UNIT, "patch", seen, moment=12))
    short = Intervention("fc", "steer", amount=1, direction=[1.0, 2.0])
    with pytest.raises(ValueError, match="a direction of 2 numbers for fc, which is 16 units"):
        intervened(agent(), short)
    with pytest.raises(ValueError, match="no units to ablate"), ablated(agent()):
        pass


def test_a_module_that_runs_twice_is_refused() -> None:
    shared = nn.ReLU()
    parts = {"first": nn.Conv2d(4, 1, 4, 4), "relu": shared, "flat": nn.Flatten()}
    body = nn.Sequential(OrderedDict(parts | {"dense": nn.Linear(441, 6), "again": shared}))
    network = zoo.wrap(body, "Pong")
    with pytest.raises(ValueError, match="relu is one module that runs 2 times for an observation"):
        intervened(network, "relu")
    intervened(network, "first:0")
