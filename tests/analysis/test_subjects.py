"""Subjects of analyses: agents by name, pattern, file, network and recording, with their play."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import atari_zoo as zoo
from atari_zoo.analysis.controls import untrained
from atari_zoo.analysis.subjects import Subject, as_subjects
from atari_zoo.catalog.patterns import names_like
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.export.graph import network_to_onnx
from atari_zoo.converters.interchange import save_onnx
from atari_zoo.play import standard
from atari_zoo.recordings.header import Header

KEEP = ["screens", "frames", "ram", "outputs"]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cache of its own, and few steps of play."""
    monkeypatch.setenv("ATARI_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(standard, "STEPS", 20)


@pytest.fixture
def agent(random_agent: Any) -> Any:
    network = random_agent("Pong")
    network.card = network.card.replace(run="mine")
    return network


def names(given: Any) -> list[str]:
    return [subject.name for subject in as_subjects(given)]


def test_a_pattern_is_of_the_packages_last_checkpoints() -> None:
    assert names_like("*/Pong/*") == ["a2c/Pong/1", "apex/Pong/1", "dqn/Pong/1", "rainbow/Pong/1"]
    assert set(names_like("es/Seaquest/1@*")) == {f"es/Seaquest/1@{t}" for t in ("initial", "2.6M")}
    assert names_like("uber:a2c/Pong/*") == [f"uber:a2c/Pong/{run}" for run in (1, 2, 3)]
    with pytest.raises(zoo.UnknownModel, match="no model's name is like 'ppo/Pong/1'"):
        names_like("ppo/Pong/1")
    with pytest.raises(zoo.UnknownModel, match=r"is of [0-9]+ in other collections"):
        names_like("c51/Pong/*")


def test_standard_play_is_recorded_once(agent: Any, tmp_path: Path) -> None:
    first = zoo.standard_play(agent)
    (kept,) = (tmp_path / "cache" / "play").iterdir()
    written = kept.stat().st_mtime_ns
    again = zoo.standard_play(agent)
    assert kept.stat().st_mtime_ns == written
    by_hand = zoo.rollout(agent, steps=20, envs=1, seed=0, keep=KEEP)
    for played in (first, again):
        np.testing.assert_array_equal(np.asarray(played.ram[:]), by_hand.ram)
        np.testing.assert_array_equal(np.asarray(played.frames[:]), by_hand.frames[:])
    assert set(KEEP) - {"frames"} <= set(first.arrays) and "activations/fc" in first.arrays


def test_standard_play_is_of_these_weights(agent: Any, tmp_path: Path) -> None:
    zoo.standard_play(agent)
    agent.head.output.bias.data[1] += 1
    zoo.standard_play(agent)
    assert len(list((tmp_path / "cache" / "play").iterdir())) == 2
    agent.trunk.register_forward_hook(lambda *_: None)  # weights do not tell what it does now
    zoo.standard_play(agent)
    assert len(list((tmp_path / "cache" / "play").iterdir())) == 2


def test_who_is_meant(agent: Any, tmp_path: Path) -> None:
    played = zoo.rollout(agent, steps=6, envs=2, keep=KEEP)
    played.save(tmp_path / "play.zarr")
    played.save(tmp_path / "play.zip")
    save_onnx(network_to_onnx(agent), tmp_path / "agent.onnx")
    for given in (agent, played, (agent, played), tmp_path / "play.zarr", tmp_path / "play.zip"):
        assert names(given) == ["a2c/Pong/mine"]
    assert names(str(tmp_path / "agent.onnx")) == ["a2c/Pong/mine"]
    assert names(["a2c/Pong/1", agent, (str(tmp_path / "agent.onnx"), played)]) == [
        "a2c/Pong/1",
        "a2c/Pong/mine",
        "a2c/Pong/mine~2",
    ]
    assert names(["a2c/Pong/1", "a2c/pong/1", "*/Pong/1"]) == names_like("*/Pong/*")
    assert as_subjects(Subject(played, agent))[0].network is agent
    for nothing in ([], 3, [None]):
        with pytest.raises(ValueError, match=r"no agents|is no agent"):
            as_subjects(nothing)


def test_an_analysis_takes_them_in_any_form(agent: Any) -> None:
    @checked
    def count(agents: Sequence[Subject]) -> list[str]:
        return [subject.name for subject in agents]

    assert count(agent) == ["a2c/Pong/mine"]  # type: ignore[arg-type]
    assert count("*/Pong/1") == names_like("*/Pong/*")  # type: ignore[arg-type]


def test_moments_are_step_by_step(agent: Any) -> None:
    played = zoo.rollout(agent, steps=30, envs=3, keep=KEEP, layers=["fc"])
    played.arrays["starts"] = np.array(played.starts)
    played.starts[[0, 10, 25], [0, 1, 1]] = True
    subject = Subject(played, agent)
    assert subject.episodes.reshape(30, 3)[[0, 9, 10, 25, 29]].tolist() == [
        [0, 1, 4],
        [0, 1, 4],
        [0, 2, 4],
        [0, 3, 4],
        [0, 3, 4],
    ]
    moment = 7 * 3 + 2
    torch.testing.assert_close(subject.observations()[moment], played.observations(2)[7])
    np.testing.assert_array_equal(subject.ram[moment], played.ram[7, 2])
    assert subject.actions[moment] == played.actions[7, 2]
    assert subject.variables["ball_x"][moment] == played.variables.loc[(7, 2), "ball_x"]
    conv3 = zoo.activations(agent, played.observations(2), "conv3")["conv3"]
    torch.testing.assert_close(torch.from_numpy(subject.activations("conv3"))[moment], conv3[7])
    fc = zoo.activations(agent, played.observations(2), "fc")["fc"][7].numpy()
    np.testing.assert_allclose(subject.activations("fc")[moment], fc, atol=2e-3)


def test_the_network_is_the_one_that_played(agent: Any, random_agent: Any) -> None:
    played = zoo.rollout(agent, steps=4, envs=1, keep=KEEP)
    with pytest.raises(zoo.UnknownModel):
        _ = Subject(played).network
    with pytest.raises(ValueError, match="give both that belong together"):
        Subject(played, random_agent("Pong"))
    with pytest.raises(ValueError, match="but the recording is of Pong"):
        Subject(played, random_agent("Seaquest"))
    empty = zoo.Recording(Header(played.card, "Pong", played.preprocessing), {})
    with pytest.raises(ValueError, match="has no steps"):
        Subject(empty)


def test_an_untrained_network_is_what_training_begins_with() -> None:
    network = zoo.load("dqn/Pong/1")
    begun = untrained(network, seed=1)
    assert begun.card.tag == "untrained" and not begun.training
    same = zoo.load("dqn/Pong/1@initial").state_dict()
    assert all(torch.equal(same[name], value) for name, value in begun.state_dict().items())
    other = untrained(network, seed=2)
    assert not torch.equal(other.head.output.weight, begun.head.output.weight)


def test_another_architecture_is_initialised_as_torch_does() -> None:
    torch.manual_seed(0)
    body = torch.nn.Sequential(
        torch.nn.Conv2d(4, 3, 8, 8), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(300, 6)
    )
    network = zoo.wrap(body, "Pong")
    begun = untrained(network, seed=5)
    torch.manual_seed(5)
    convolution = torch.nn.Conv2d(4, 3, 8, 8)
    assert torch.equal(begun.graph[0].weight, convolution.weight)
    assert not torch.equal(begun.graph[0].weight, body[0].weight)
    body.register_parameter("scale", torch.nn.Parameter(torch.ones(1)))
    with pytest.raises(ValueError, match=r"does not know how 'graph.scale' is initialised"):
        untrained(network)


def test_steps_are_of_who_has_no_play(agent: Any) -> None:
    (subject,) = as_subjects(agent, steps=7)
    np.testing.assert_array_equal(
        subject.actions, zoo.rollout(agent, steps=7, envs=1, seed=0).actions[:, 0]
    )
    assert [len(as_subjects(agent, steps)[0].episodes) for steps in (None, 9)] == [20, 9]
    played = zoo.rollout(agent, steps=4, envs=1, keep=KEEP)
    assert len(as_subjects([played, agent], steps=7)[0].episodes) == 4
    with pytest.raises(ValueError, match="steps is 7, but all that is given was played already"):
        as_subjects(played, steps=7)


def test_play_without_actions_says_what_to_record(agent: Any) -> None:
    played = zoo.rollout(agent, steps=5, envs=2, keep=KEEP)
    played.arrays["actions"] = np.zeros((0, 2), int)
    with pytest.raises(ValueError, match=r"no actions in this recording of .*record play"):
        Subject(played, agent).actions  # noqa: B018
