"""Play in int8: calibrated once on the agent's own play, compared, kept, refused if it differs."""

from __future__ import annotations

import copy
import dataclasses
import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from small_networks import small_network

import atari_zoo as zoo
from atari_zoo.__main__ import main
from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.network.heads import ActorCriticHead
from atari_zoo.converters.network.networks import MnihNetwork, Trunk, mnih_convolutions
from atari_zoo.downloads.cache import cached_play
from atari_zoo.games import game
from atari_zoo.play import int8_calibration
from atari_zoo.play.inference import Inference
from atari_zoo.play.int8_calibration import calibrated
from atari_zoo.play.int8_models import int8_file, keep_int8, kept_int8


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATARI_ZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(int8_calibration, "STEPS", 40)
        yield patch


@pytest.fixture(scope="module")
def network(own_cache) -> MnihNetwork:
    torch.manual_seed(0)
    trunk = Trunk(mnih_convolutions((8, 8, 8)), units=32)
    actions = game("Breakout").actions
    card = ModelCard("a2c", "Breakout", action_meanings=actions, action_rule="sample")
    return MnihNetwork(trunk, ActorCriticHead(32, len(actions)), card).eval()


@pytest.fixture(scope="module")
def model(network):
    return calibrated(network, force=True)


def by_hand(network: MnihNetwork, seen: torch.Tensor) -> torch.Tensor:
    """Outputs with kernels rounded to 255 steps of each output channel, values as they are."""
    state = {name: value.clone() for name, value in network.state_dict().items()}
    for name, value in state.items():
        if name.startswith("trunk.") and name.endswith("weight"):
            steps = value.flatten(1).abs().amax(1) / 127
            steps = steps.view(-1, *[1] * (value.ndim - 1))
            state[name] = (value / steps).round() * steps
    rounded = copy.deepcopy(network)
    rounded.load_state_dict(state)
    with torch.no_grad():
        return rounded(seen)


def test_outputs_are_those_of_rounded_weights(network, model) -> None:
    """The 256 steps of each layer's values are all that is between them: 1 % of the outputs."""
    played = zoo.rollout(network, steps=30, envs=2, seed=9, keep=["screens"])
    seen = played.observations(0)
    with closing(Inference(network, ["conv2", "fc"], dtype="int8")) as inference:
        found, layers = inference(seen)
    expected = by_hand(network, seen)
    spread = float(expected.std())
    assert inference.backend == "onnxruntime"
    assert 0 < (found - expected).abs().max() < 0.1 * spread + 0.02
    exact = zoo.activations(network, seen, ["conv2", "fc", "output"])
    for name in ("conv2", "fc"):
        error = (layers[name] - exact[name]).abs().mean() / exact[name].abs().mean()
        assert layers[name].shape == exact[name].shape and error < 0.03, name
    assert len(torch.unique(layers["conv2"])) <= 256


def test_agreement_is_of_play_that_the_ranges_were_not_taken_of(network, model) -> None:
    """Counted anew, by a loop: the same chance for both, argmax of outputs and noise."""
    play = zoo.rollout(
        network, steps=40, envs=8, seed=int8_calibration.SEED, keep=["screens", "outputs"]
    )
    inference, shares = Inference(network, dtype="int8"), []
    for env in range(4, 8):
        generator = torch.Generator().manual_seed(
            int8_calibration.Chooser(
                "sample", 0.0, int8_calibration.SEED, torch.device("cpu")
            ).generator.initial_seed()
        )
        gumbel = -torch.empty(40, network.actions).exponential_(generator=generator).log()
        first = (torch.from_numpy(play.outputs[:, env]) + gumbel).argmax(1)
        second = (inference(play.observations(env))[0] + gumbel).argmax(1)
        shares.append(float((first == second).float().mean()))
    assert model.shares == pytest.approx(shares) and model.frames == 160
    assert model.agreement == pytest.approx(np.mean(shares))


def test_it_is_kept_by_weights_and_card(network, model, own_cache) -> None:
    assert kept_int8(network) == model and calibrated(network, force=True) == model
    assert [one.name for one in cached_play("int8")] == [f"play:{int8_file(network).name}"]
    first = int8_file(network)
    other = dataclasses.replace(network.card, epsilon=0.5)
    network.card, card = other, network.card
    try:
        assert int8_file(network) != first
        with pytest.raises(ValueError, match="not calibrated in int8 yet"):
            kept_int8(network)
    finally:
        network.card = card
    first.write_bytes(first.read_bytes()[:1000])  # damaged: made anew, the same
    assert calibrated(network, force=True).shares == model.shares


def test_one_that_disagrees_is_refused_unless_forced(network, model) -> None:
    keep_int8(network, dataclasses.replace(model, shares=(0.9, 0.96, 0.94, 0.92)))
    message = r"in int8 the same action .* 93\.0% of 160 frames .*less than 95%.*--force"
    try:
        with pytest.raises(ValueError, match=message):
            zoo.rollout(network, steps=2, dtype="int8")
        played = zoo.rollout(network, steps=2, envs=2, dtype="int8", force_int8=True)
        assert played.options["int8"]["agreement"] == pytest.approx(0.93)
        assert played.options["dtype"] == "int8" and "scaling" not in played.options
    finally:
        keep_int8(network, model)


def test_play_is_the_same_in_any_groups_and_on_a_disk(network, model, tmp_path: Path) -> None:
    options = {"steps": 20, "envs": 5, "dtype": "int8", "force_int8": True, "layers": ["fc"]}
    one, other = (zoo.rollout(network, groups=count, **options) for count in (1, 3))
    np.testing.assert_array_equal(one.actions, other.actions)
    path = tmp_path / "play.zarr"
    zoo.rollout(network, path=path, **options | {"steps": 12})
    resumed = zoo.rollout(network, path=path, resume=True, **options)
    np.testing.assert_array_equal(resumed.actions, one.actions)
    with pytest.raises(ValueError, match="another way of playing"):
        zoo.rollout(network, path=path, resume=True, **options | {"dtype": "float32"})


@pytest.mark.parametrize(
    "options, message",
    [
        ({"backend": "torch"}, "torch has no int8 here"),
        ({"noise": zoo.Noise(observation=0.1)}, "no noise on either"),
        ({"noise": zoo.Noise(parameters=0.1)}, "no noise on either"),
        ({"preprocessing": {"grey": "float", "rounding": "none"}}, "takes observations as bytes"),
    ],
)
def test_what_int8_has_not_is_told(network, model, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        zoo.rollout(network, steps=2, envs=1, dtype="int8", force_int8=True, **options)


def test_networks_without_int8_are_told(network, own_cache) -> None:
    hook = network.trunk.conv1.register_forward_hook(lambda *_: None)
    with pytest.raises(ValueError, match="hooks or interventions"):
        zoo.rollout(network, steps=1, dtype="int8")
    hook.remove()
    nameless = small_network(ActorCriticHead, 84, 4, 8, 6)
    nameless.card = nameless.card.replace(game="")
    with pytest.raises(ValueError, match="card names no game"):
        calibrated(nameless)


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["atari-zoo", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


def test_the_command_line_tells_the_agreement(monkeypatch, capsys, own_cache, tmp_path) -> None:
    words = "a2c/Pong/1", "--dtype", "int8", "--steps", 3, "--envs", 2
    assert run(monkeypatch, "play", *words, "--force", "--threads", 99, "--json") == 0
    heard = capsys.readouterr()
    assert "in int8 the same action as in float32 in " in heard.err
    assert "99 threads on " in heard.err and json.loads(heard.out)["model"] == "a2c/Pong/1"
    network = zoo.load("a2c/Pong/1")
    keep_int8(network, dataclasses.replace(kept_int8(network), shares=(0.5,)))
    for verb in ("play", "record"):
        assert (
            run(monkeypatch, verb, *words, *(["-o", tmp_path / "p.zarr"] * (verb != "play"))) == 2
        )
        heard = capsys.readouterr()
        assert "a2c/Pong/1: in int8 the same action as in float32 in 50.0%" in heard.err
        assert len(heard.err.splitlines()) == 1 and not (tmp_path / "p.zarr").exists()
    assert run(monkeypatch, "record", *words, "--force", "-o", tmp_path / "p.zarr") == 0
    assert run(monkeypatch, "play", "a2c/Pong/1", "--envs", 10**7, "--steps", 1) == 2
    assert "10,000,000 environments need about" in capsys.readouterr().err
