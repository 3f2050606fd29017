"""Folders of `atari-zoo train` as models: any algorithm's, the last checkpoint's weights."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import atari_zoo as zoo
from atari_zoo.converters import ConversionError, to_onnx, to_torch
from atari_zoo.converters.algorithms import ALGORITHMS
from atari_zoo.converters.cards import PREPROCESSINGS, ModelCard
from atari_zoo.converters.environment_ids import game_of_rom
from atari_zoo.games import games
from atari_zoo.training import registry
from atari_zoo.training.runs import RunFolder
from atari_zoo.training.trained_agents import trained_agent
from atari_zoo.untrained.untrained import UNTRAINED


def run_of(algorithm: str, place: Path, rom: str = "seaquest", actions: int = 18) -> Path:
    """A run with two checkpoints of random weights, as its trainer writes them."""
    config = registry.config(algorithm, rom=rom, seed=5, preprocessing=PREPROCESSINGS["deepmind"])
    folder = RunFolder(place, algorithm, config)
    for seed, frames in ((0, 0), (1, 400_000)):
        torch.manual_seed(seed)
        folder.save(frames, UNTRAINED[algorithm](actions).state_dict(), {})
    folder.release()
    return place


@pytest.mark.parametrize("algorithm", registry.TRAINERS)
def test_every_algorithms_run_loads_as_its_trainer_has_it(algorithm: str, tmp_path: Path) -> None:
    run = run_of(algorithm, tmp_path / "run")
    last = run / "checkpoints" / "000000400000.safetensors"
    expected = trained_agent(run, last)  # the trainer's own network, filled with the weights
    network = zoo.load(run)
    assert type(network.head) is type(expected.head) and not network.training
    state = network.state_dict()
    for name, weight in load_file(last).items():
        assert torch.equal(state[name], weight), name
    ours, theirs = network.card, expected.card
    same = "algorithm game run action_meanings action_rule preprocessing frames name".split()
    assert {name: getattr(ours, name) for name in same} == {
        name: getattr(theirs, name) for name in same
    }
    assert ours.action_rule == ALGORITHMS[algorithm].action_rule
    observations = torch.randint(0, 256, (4, 4, 84, 84), dtype=torch.uint8)
    # the same weights in the same modules, but through ONNX and back
    torch.testing.assert_close(network(observations), expected(observations), atol=1e-5, rtol=1e-5)


def test_it_plays_by_its_own_preprocessing(tmp_path: Path) -> None:
    run = run_of("a2c", tmp_path / "run", "pong", 6)
    played = zoo.rollout(zoo.load(run), steps=4, envs=1)
    assert (played.game, played.preprocessing) == ("Pong", PREPROCESSINGS["deepmind"])


def test_a_given_card_goes_before_what_the_run_tells(tmp_path: Path) -> None:
    card = to_torch(to_onnx(run_of("dqn", tmp_path / "run"), ModelCard(run="9"))).card
    assert (card.name, card.format) == ("dqn/Seaquest/9", "zoo-run")


def test_games_are_named_by_their_roms() -> None:
    assert [game_of_rom(game.rom) for game in games()] == [game.name for game in games()]


BAD = {
    "no weights": (lambda run: [f.unlink() for f in (run / "checkpoints").iterdir()], "no weights"),
    "cut": (
        lambda run: (run / "checkpoints/000000400000.safetensors").write_bytes(b"\0" * 20),
        "safetensors",
    ),
    "another network": (
        lambda run: save_file(
            {"weight": torch.zeros(3)}, run / "checkpoints/000000400000.safetensors"
        ),
        "run",
    ),
    "no seed": (
        lambda run: (run / "config.json").write_text('{"algorithm": "a2c", "rom": "pong"}'),
        "no configuration of a run",
    ),
    "algorithm": (
        lambda run: (run / "config.json").write_text('{"algorithm": "x", "rom": "pong"}'),
        "no configuration of a run",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_damaged_run_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    damage, message = BAD[case]
    run = run_of("a2c", tmp_path / "run", "pong", 6)
    damage(run)
    with pytest.raises(ConversionError, match=message) as caught:
        zoo.load(run)
    assert str(run) in str(caught.value) and "\n" not in str(caught.value)


def test_a_configuration_is_whole_before_any_checkpoint(tmp_path: Path) -> None:
    config = registry.config("a2c", rom="pong")
    folder = RunFolder(tmp_path, "a2c", config)
    assert not (tmp_path / "config.json").exists()
    folder.save(0, UNTRAINED["a2c"](6).state_dict(), {})
    there = json.loads((tmp_path / "config.json").read_text())
    told = {"algorithm": "a2c"} | dataclasses.asdict(config)
    assert there == json.loads(json.dumps(told))  # which has lists for tuples
    folder.release()
    RunFolder(tmp_path, "a2c", config).release()  # and is gone on with
