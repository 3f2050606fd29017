"""Agents that see otherwise than in four grey frames of 84x84: what they are given while they play,
and what a recording gives again, from its frames or from the emulator's screens."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

import atari_zoo as zoo
from atari_zoo.cli.app import app
from atari_zoo.converters import save_onnx, to_onnx
from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.network.heads import QHead
from atari_zoo.converters.network.networks import MnihNetwork, Trunk
from atari_zoo.converters.preprocessings import (
    Preprocessing,
    as_preprocessing,
    preprocessing_changed,
)

SEEN: dict[str, str | Mapping[str, Any]] = {
    "colour": {"grey": "colour", "max_pool": "rgb", "stack": 2, "size": (60, 64)},
    "baby-a3c": "baby-a3c",
    "window": {
        "name": "dopamine",
        "resize": "linear",
        "size": (110, 84),
        "window": (18, 102, 0, 84),
    },
    "eight": {"stack": 8, "stack_start": "copies", "frame_skip_least": 1, "rounding": "none"},
    "native": {"size": (64, 72), "stack": 1},
}


class Seeing(nn.Module):
    """Remembers what it was shown, and answers to it."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc = nn.Linear(shape[0] * 36, 6)
        self.shown: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.shown.append(x.clone())
        return self.fc(nn.functional.adaptive_avg_pool2d(x, 6).flatten(1) * 20)


@pytest.mark.parametrize("kind", SEEN)
@pytest.mark.parametrize("keep", ["screens", "frames"])
def test_what_was_seen_is_rebuilt(kind: str, keep: str) -> None:
    preprocessing = as_preprocessing(SEEN[kind])
    module = Seeing(preprocessing.shape)
    network = zoo.wrap(module, "Pong", preprocessing=SEEN[kind])
    module.shown.clear()
    play = zoo.rollout(network, steps=70, envs=2, seed=3, keep=[keep], groups=1, epsilon=0.2)
    shown = torch.stack(module.shown[:70], dim=1)  # (env, step, ...)
    assert shown.shape[2:] == preprocessing.shape
    for env in range(2):
        found = play.observations(env)
        found = found.float() / 255 if found.dtype == torch.uint8 else found
        torch.testing.assert_close(found, shown[env], atol=1e-7, rtol=0)
    assert len(np.unique(shown[0, -1].numpy())) > 3
    older = play.observations(0)[20:, : preprocessing.channels]
    newer = play.observations(0)[20:, -preprocessing.channels :]
    assert preprocessing.stack == 1 or not older.equal(newer)


def test_a_drawn_frame_skip_repeats_with_its_seed() -> None:
    network = zoo.wrap(Seeing((1, 80, 80)), "Pong", preprocessing="baby-a3c")
    plays = [zoo.rollout(network, steps=20, envs=1, seed=seed, keep=["ram"]) for seed in (1, 1, 2)]
    first, again, other = (play.ram[...] for play in plays)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_noise_of_a_frame_keeps_its_three_colours_together() -> None:
    module = Seeing((6, 60, 64))
    network = zoo.wrap(module, "Pong", preprocessing=SEEN["colour"])
    module.shown.clear()
    noise = {"observation": 0.5, "place": "frame"}
    zoo.rollout(network, steps=9, envs=1, groups=1, noise=zoo.Noise(**noise))
    before, after = module.shown[-2], module.shown[-1]
    torch.testing.assert_close(before[:, 3:], after[:, :3])


def test_parts_are_options(tmp_path) -> None:
    """What is asked for lands in the card and the header; a network of other shape is refused."""
    network = MnihNetwork(Trunk(shape=(1, 80, 80)), QHead(512, 6), ModelCard(game="Pong"))
    save_onnx(to_onnx(network), tmp_path / "seen.onnx")
    file, out = str(tmp_path / "seen.onnx"), str(tmp_path / "out.onnx")
    words = ["--preprocessing", "dopamine", "--resize", "linear", "--size", "80x80", "--stack", "1"]
    done = CliRunner().invoke(app, ["convert", file, "-o", out, *words])
    assert done.exit_code == 0, done.output
    expected = Preprocessing(
        name="dopamine, resize=linear, size=80x80, stack=1",
        noops=0, fire_reset=False, sticky=0.25, resize="linear", size=(80, 80), stack=1,
    )  # fmt: skip
    assert zoo.load(out).card.preprocessing == expected
    for given, more in ((file, words), (out, [])):
        plays = tmp_path / f"play{len(more)}.zarr"
        asked = ["record", given, "--steps", "3", "--envs", "1", *more, "-o", str(plays)]
        done = CliRunner().invoke(app, asked)
        assert done.exit_code == 0, done.output
        assert zoo.open_recording(plays).preprocessing == expected
    for agent, parts, message in (
        (out, ["--crop", "0,300,0,160"], "within the screen of 210x160"),
        (out, ["--size", "80"], "size is (80,); expected 2 whole numbers"),
        (out, ["--crop", "all"], "--crop is 'all'; expected whole numbers"),
        ("a2c/Pong/1", ["--stack", "2"], "makes (2, 84, 84)"),
    ):
        done = CliRunner().invoke(app, ["play", agent, "--steps", "3", *parts])
        assert isinstance(done.exception, ValueError) and message in str(done.exception)
    told = json.loads(CliRunner().invoke(app, ["info", out, "--json"]).stdout)
    assert told["preprocessing"]["size"] == [80, 80]


def test_sticky_actions_are_a_part_that_convert_takes(tmp_path) -> None:
    """Those that play have them as an option of play, once."""
    out = str(tmp_path / "out.onnx")
    done = CliRunner().invoke(app, ["convert", "a2c/Pong/1", "-o", out, "--sticky", "0.25"])
    assert done.exit_code == 0, done.output
    seen = zoo.load(out).card.preprocessing
    usual = zoo.load("a2c/Pong/1").card.preprocessing
    assert seen == preprocessing_changed(usual, {"sticky": 0.25})
    done = CliRunner().invoke(app, ["convert", "a2c/Pong/1", "-o", out, "--force", "--sticky", "2"])
    assert isinstance(done.exception, ValueError) and "sticky is 2" in str(done.exception)
    words = ["record", out, "--steps", "3", "--envs", "1", "--sticky", "0.5"]
    done = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "play.zarr")])
    assert done.exit_code == 0, done.output
    assert zoo.open_recording(tmp_path / "play.zarr").preprocessing.sticky == 0.5


def test_a_counterfactual_in_colour_is_what_was_seen() -> None:
    network = zoo.wrap(Seeing((6, 60, 64)), "Pong", preprocessing=SEEN["colour"])
    play = zoo.rollout(network, steps=9, envs=1, keep=["screens"])
    again = zoo.counterfactual(play, 6, {})
    torch.testing.assert_close(again[0], play.observations(0)[6].float() / 255)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"stack_start": "ones"}, "no stack_start 'ones'"),
        ({"frame_skip": 0}, "frame_skip is 0"),
        ({"sticky": 7.0}, "sticky is 7.0"),
        ({"reset": "gently"}, "no reset 'gently'"),
        ({"stack": 2}, "makes .2, 84, 84."),
    ],
)
def test_what_the_vectorised_emulator_would_pass_over_is_refused(parts, message, tmp_path) -> None:
    """When it is played, and before a card says so."""
    network = zoo.load("a2c/Pong/1")
    with pytest.raises(ValueError, match=message):
        zoo.rollout(network, steps=1, envs=1, preprocessing=parts)
    with pytest.raises(ValueError, match=message):
        zoo.models.convert("a2c/Pong/1", preprocessing=parts)


def test_play_is_gone_on_with_whatever_its_preprocessing_was_called(tmp_path) -> None:
    path, network = tmp_path / "play.zarr", zoo.load("a2c/Pong/1")
    older = dataclasses.replace(network.card.preprocessing, name="vector, changed", sticky=0.25)
    zoo.rollout(network, steps=3, envs=1, path=path, preprocessing=older)
    play = zoo.rollout(network, steps=5, envs=1, path=path, resume=True, sticky=0.25)
    assert len(play.starts) == 5


def test_the_original_form_holds_its_own_observations_alone(tmp_path) -> None:
    network = zoo.wrap(Seeing((1, 80, 80)), "Pong", preprocessing="baby-a3c")
    play = zoo.rollout(network, steps=3, envs=1, keep=["screens"], layers=["fc"])
    with pytest.raises(ValueError, match=r"observations are \(1, 80, 80\).*holds \(4, 84, 84\)"):
        play.save(tmp_path / "play.npz")
    assert not list(tmp_path.iterdir())


def test_onnxruntime_is_asked_of_no_network_that_it_cannot_play() -> None:
    network = zoo.wrap(Seeing((4, 84, 84)), "Pong")
    with pytest.raises(ValueError, match="this has none: use backend='torch'"):
        zoo.rollout(network, steps=1, envs=1, backend="onnxruntime")
