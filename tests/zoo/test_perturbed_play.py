"""Play without some of the frames, and with noise that is relative to the weights."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import atari_zoo as zoo
from atari_zoo.cli.app import app
from atari_zoo.observations import with_present
from atari_zoo.play.added_noise import with_parameter_noise


@pytest.mark.parametrize("backend", ["torch", "onnxruntime"])
@pytest.mark.parametrize("past", [(2,), (3, 1)])
def test_the_agent_sees_the_present_frame_in_their_place(random_agent, past, backend) -> None:
    network = random_agent("Pong", rule="argmax")
    played = zoo.rollout(
        network, steps=12, envs=2, seed=3, forget=past, backend=backend, keep=["screens", "outputs"]
    )
    for env in range(2):
        seen = played.observations(env).clone()
        assert not torch.equal(seen[:, 0], seen[:, 3]), "the game stands still"
        for number in past:
            for moment in range(12):
                seen[moment, 3 - number] = seen[moment, 3]
        with torch.no_grad():
            expected = network(seen)
        np.testing.assert_allclose(played.outputs[:, env], expected, atol=1e-3)
        np.testing.assert_array_equal(played.actions[:, env], played.outputs[:, env].argmax(1))
    assert played.options["forget"] == list(past)


def test_frames_of_three_colours_are_put_together() -> None:
    seen = torch.arange(2 * 12 * 4).reshape(2, 12, 2, 2)
    changed = with_present(seen, [2], channels=3)
    assert torch.equal(changed[:, 3:6], seen[:, 9:12])
    others = [0, 1, 2, *range(6, 12)]
    assert torch.equal(changed[:, others], seen[:, others])
    with pytest.raises(ValueError, match="no frame 4 before the present one; expected 1 to 3"):
        with_present(seen, [4], channels=3)


def test_forgetting_goes_on_where_it_stopped(random_agent, tmp_path) -> None:
    network, options = random_agent(), {"envs": 2, "forget": [1], "keep": ["screens", "outputs"]}
    zoo.rollout(network, steps=64, path=tmp_path / "play", **options)
    resumed = zoo.rollout(network, steps=80, path=tmp_path / "play", resume=True, **options)
    whole = zoo.rollout(network, steps=80, **options)
    np.testing.assert_array_equal(resumed.actions, whole.actions)
    with pytest.raises(ValueError, match="another way of playing"):
        zoo.rollout(network, steps=90, path=tmp_path / "play", resume=True, envs=2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"forget": [4]}, "forget has 4; a2c/Pong/1 sees 4 frames, of which it can forget 1 to 3"),
        ({"forget": [0]}, "forget has 0"),
        (
            {"forget": [1], "recompute": ["fc"], "keep": ["screens"]},
            "without some frames or in fewer bits cannot be recomputed",
        ),
    ],
)
def test_what_cannot_be_forgotten_is_told(random_agent, options, said) -> None:
    with pytest.raises(ValueError, match=said):
        zoo.rollout(random_agent(), steps=3, **options)


def test_the_command_line_forgets(tmp_path) -> None:
    words = (
        "record a2c/Pong/1 --steps 8 --envs 1 --forget-frame 1 --forget-frame 3 --relative-noise"
    )
    words += f" --parameter-noise 0.1 --keep screens -o {tmp_path / 'play.zarr'} --json"
    done = CliRunner().invoke(app, words.split())
    assert done.exit_code == 0, done.output
    options = zoo.open_recording(tmp_path / "play.zarr").options
    assert options["forget"] == [1, 3] and options["noise"]["relative"] is True
    assert json.loads(done.output.strip().splitlines()[-1])


@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("level", [0.1, 0.5])
def test_relative_noise_has_the_spread_of_each_layer_that_it_says(
    random_agent, kernels, level
) -> None:
    network = random_agent()
    with torch.no_grad():
        for number, module in enumerate(network.modules()):
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.weight.mul_(10 ** (number % 3 - 1))  # layers of other spreads
    noise = zoo.Noise(parameters=level, relative=True, kernels=kernels)
    noisy = with_parameter_noise(network, noise, 1)
    modules = dict(noisy.named_modules())
    for place, module in network.named_modules():
        if not isinstance(module, nn.Conv2d | nn.Linear):
            continue
        spread = float(np.std(module.weight.detach().numpy()))
        added = (modules[place].weight - module.weight).detach()
        if isinstance(module, nn.Linear) and kernels:
            assert not added.any(), place
            continue
        error = 4 / (2 * added.numel()) ** 0.5  # four standard errors of a spread
        measured = float(added.std(correction=0))
        assert measured == pytest.approx(level * spread, rel=error), place
        bias = (modules[place].bias - module.bias).detach()
        assert bool(bias.any()) is not kernels
        if not kernels and len(bias) > 100:
            error = 4 / (2 * len(bias)) ** 0.5
            assert float(bias.std()) == pytest.approx(level * spread, rel=error), place


def test_absolute_noise_is_of_one_spread(random_agent) -> None:
    network = random_agent()
    noisy = with_parameter_noise(network, zoo.Noise(parameters=0.3), 1)
    for layer in ("conv1", "conv3"):
        added = noisy.layers[layer].conv.weight - network.layers[layer].conv.weight
        assert float(added.detach().std()) == pytest.approx(0.3, rel=0.05)
