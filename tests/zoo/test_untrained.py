"""Models before training, made again from their seeds."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import atari_zoo as zoo
from atari_zoo.catalog.catalog import find
from atari_zoo.converters.cards import ModelCard
from atari_zoo.games import game
from atari_zoo.training import registry
from atari_zoo.untrained.untrained import UNTRAINED, initial_network
from atari_zoo.verification import verify_model

SMALL = {
    "rom": "seaquest",
    "seed": 3,
    "envs": 2,
    "batch": 2,
    "noise": 4_000_000,
    "threads": 1,
    "virtual_batch": 16,
}


@pytest.mark.parametrize("algorithm", registry.TRAINERS)
def test_it_is_the_first_checkpoint_of_a_run_with_that_seed(algorithm: str, tmp_path: Path) -> None:
    known = registry.trainer(algorithm).Config.__dataclass_fields__
    changes = {name: value for name, value in SMALL.items() if name in known}
    trainer = registry.trainer(algorithm)(
        tmp_path, registry.config(algorithm, **changes), accelerator="cpu"
    )
    trainer.close()
    torch.rand(5)  # what was drawn before makes no difference
    card = ModelCard(
        algorithm,
        "Seaquest",
        action_meanings=game("Seaquest").actions,
        preprocessing=trainer.config.preprocessing,
    )
    virtual_batch = getattr(trainer.config, "virtual_batch", 0)
    made = initial_network(card, 3, virtual_batch)
    kept = load_file(tmp_path / "checkpoints/000000000000.safetensors")
    assert made.state_dict().keys() == kept.keys()
    for name, weight in made.state_dict().items():
        assert torch.equal(weight, kept[name]), name
    other = initial_network(card, 4).state_dict()
    assert any(not torch.equal(weight, kept[name]) for name, weight in other.items())


def test_every_algorithm_that_trains_has_one() -> None:
    assert list(UNTRAINED) == list(registry.TRAINERS)
    with pytest.raises(ValueError, match="no trainer for 'ppo'; there are a2c, impala"):
        initial_network(ModelCard("ppo", "Pong"), 0)


SEEDS = {"a2c/Seaquest/3": 1}  # run 1 again, with another optimizer


def test_every_starter_run_has_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATARI_ZOO_OFFLINE", "1")
    agents = resources.files("atari_zoo").joinpath("data/agents")
    for row in json.loads(agents.joinpath("catalog.json").read_text()):
        if row["card"]["tag"]:
            continue
        final = zoo.load(find_name(row["card"]))
        began = zoo.load(f"{final.card.name}@initial")
        assert (began.card.tag, began.card.frames, began.card.scores) == ("initial", 0, {})
        same = ("algorithm", "game", "run", "action_rule", "action_meanings", "preprocessing")
        for part in same:
            assert getattr(began.card, part) == getattr(final.card, part)
        assert not began.training and type(began.head) is type(final.head)
        shapes = {name: weight.shape for name, weight in began.state_dict().items()}
        assert shapes == {name: weight.shape for name, weight in final.state_dict().items()}
        assert row["seed"] == SEEDS.get(final.card.name, int(final.card.run))
    first, third = (zoo.load(f"a2c/Seaquest/{run}@initial").state_dict() for run in (1, 3))
    assert all(torch.equal(first[name], third[name]) for name in first)


def find_name(card: dict[str, str]) -> str:
    return f"{card['algorithm']}/{card['game']}/{card['run']}"


def test_it_is_drawn_alike_whatever_else_is_drawn() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    one = zoo.load("dqn/Pong/1@initial")
    assert torch.equal(torch.rand(3), expected)
    two = zoo.load("DQN/pong/1@initial")
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, two.state_dict()[name])


def test_it_plays_verifies_and_has_its_runs_log() -> None:
    network = zoo.load("rainbow/Seaquest/1@initial")
    recording = zoo.rollout(network, steps=8, envs=2)
    assert recording.actions.shape == (8, 2)
    assert all(row["difference"] < 1e-4 for row in verify_model("dqn/Pong/1@initial"))
    logs = [zoo.training_log(f"dqn/Seaquest/1{tag}") for tag in ("", "@2M", "@initial")]
    for log in logs[1:]:
        np.testing.assert_array_equal(log["score"], logs[0]["score"])
    tags = {at.tag: at for at in zoo.checkpoints("dqn/Seaquest/1")}
    assert list(tags) == ["initial", "2M", "final"] and tags["initial"].path == ""
    with pytest.raises(ValueError, match="made again from its seed"):
        _ = find("dqn/Pong/1@initial").path
