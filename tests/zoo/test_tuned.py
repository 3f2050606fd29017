"""Settings that were found fastest: kept by machine, taken where they fit, never against a word."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from fake_clocks import FakeClock

import atari_zoo as zoo
from atari_zoo.__main__ import main
from atari_zoo.bench import measuring
from atari_zoo.bench.cases import PLAY
from atari_zoo.converters.saving import save_as
from atari_zoo.machines import this_machine
from atari_zoo.models import model_of
from atari_zoo.play import tuned
from atari_zoo.play.plans import Plan
from atari_zoo.play.tuned import (
    TunedSettings,
    architecture_of,
    as_tuned,
    keep_tuned,
    libraries,
    tuned_file,
    tuned_settings,
)
from atari_zoo.sweeps.sweeps import sweep

AGENT = "a2c/Pong/1"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATARI_ZOO_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def network():
    return zoo.load(AGENT)


@pytest.fixture
def settings(network) -> TunedSettings:
    place = this_machine().name, architecture_of(network), "Pong", 4
    return TunedSettings(*place, exact=False, groups=1, threads=1, gain=1.2, made_with=libraries())


def test_settings_are_taken_where_they_fit(network, settings: TunedSettings) -> None:
    plan = Plan(steps=9, envs=4)
    assert as_tuned(plan, network) == (plan, "")
    keep_tuned([settings])
    found, line = as_tuned(plan, network)
    assert found == dataclasses.replace(plan, groups=1, threads=1)
    assert line == "tuned settings for 4 environments: --groups 1 --threads 1 (atari-zoo bench)"


@pytest.mark.parametrize(
    "words",
    [
        {"groups": 2},
        {"threads": 2},
        {"backend": "torch"},
        {"dtype": "bfloat16"},
        {"envs": 5},
        {"game": "Surround"},
        {"keep": ["ram"]},
        {"episodes": 2},  # in two environments
    ],
)
def test_a_word_of_ones_own_wins_and_other_play_is_left_alone(
    network, settings: TunedSettings, words: dict
) -> None:
    keep_tuned([settings])
    length = {} if "episodes" in words else {"steps": 1}
    plan = Plan(**{"envs": 4, **length, **words})
    if words.get("game"):
        network = zoo.load(AGENT)
        network.card = network.card.replace(game="Surround", action_meanings=())
        with pytest.raises(ValueError, match="Surround has"):
            as_tuned(plan, network)
        return
    assert as_tuned(plan, network) == (plan, "")


@pytest.mark.parametrize(
    "change",
    [{"machine": "another"}, {"made_with": "torch 1"}, {"architecture": "x"}, {"game": "Seaquest"}],
)
def test_settings_of_elsewhere_are_not_taken(network, settings, change: dict) -> None:
    keep_tuned([dataclasses.replace(settings, **change)])
    plan = Plan(steps=1, envs=4)
    assert as_tuned(plan, network) == (plan, "")


def test_new_settings_take_the_place_of_old_ones(settings: TunedSettings) -> None:
    other = dataclasses.replace(settings, envs=8)
    keep_tuned([settings, other])
    newer = dataclasses.replace(settings, groups=4, threads=None)
    keep_tuned([newer])
    assert sorted(tuned_settings(), key=lambda one: one.envs) == [newer, other]
    keep_tuned([dataclasses.replace(newer, groups=None)])  # the usual is as fast
    assert tuned_settings() == [other]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"settings": [{"a": 1}]}', '{"settings": 3}'])
def test_a_damaged_file_is_as_none(network, settings: TunedSettings, text: str) -> None:
    keep_tuned([settings])
    tuned_file().write_text(text)
    plan = Plan(steps=1, envs=4)
    assert tuned_settings() == [] and as_tuned(plan, network) == (plan, "")
    keep_tuned([settings])
    assert tuned_settings() == [settings]


@pytest.mark.parametrize("keep", [[], ["ram"]])
def test_threads_change_nothing_of_what_is_played(network, keep: list[str]) -> None:
    one, three = (
        zoo.rollout(network, steps=12, envs=3, seed=3, keep=["outputs", *keep], threads=count)
        for count in (1, 3)
    )
    np.testing.assert_array_equal(one.actions, three.actions)
    np.testing.assert_array_equal(one.outputs, three.outputs)
    assert not keep or np.array_equal(one.ram, three.ram)


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["atari-zoo", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


def test_bench_keeps_what_play_and_record_take(monkeypatch, capsys, tmp_path, settings) -> None:
    clock = FakeClock()
    speeds = {1: 1500.0, 2: 1000.0}  # by groups
    opener = clock.opener(lambda case: speeds.get(case.groups, 800.0) if case.what == PLAY else 2e3)
    monkeypatch.setattr(measuring, "ALL_OPENERS", dict.fromkeys(measuring.ALL_OPENERS, opener))
    real = measuring.Watch
    monkeypatch.setattr(measuring, "Watch", lambda **facts: real(**facts, clock=clock))
    monkeypatch.setattr(measuring, "same_outputs", lambda agent, usual: lambda a, b: True)
    words = "bench", AGENT, "--envs", 4, "--tune", "-o", tmp_path / "bench.json"
    assert run(monkeypatch, *words) == 0
    monkeypatch.undo()
    monkeypatch.setenv("ATARI_ZOO_CACHE", str(tmp_path / "cache"))
    printed = capsys.readouterr().out
    assert "to play in 4 environments: --groups 1, 1.50 times as fast" in printed
    assert f"kept in {tuned_file()}" in printed and (tmp_path / "bench.json").exists()
    assert [one.words for one in tuned_settings()] == ["--groups 1"]
    line = "tuned settings for 4 environments: --groups 1 (atari-zoo bench)"
    assert run(monkeypatch, "play", AGENT, "--steps", 3, "--envs", 4, "--json") == 0
    heard = capsys.readouterr()
    assert line in heard.err and json.loads(heard.out)["model"] == AGENT
    assert run(monkeypatch, "play", AGENT, "--steps", 3, "--envs", 4, "--groups", 2) == 0
    assert line not in capsys.readouterr().err
    record = (
        "record",
        AGENT,
        "--steps",
        3,
        "--envs",
        4,
        "--keep",
        "screens",
        "-o",
        tmp_path / "p.zarr",
    )
    assert run(monkeypatch, *record) == 0
    assert line in capsys.readouterr().err


@pytest.mark.parametrize("job", ["score", "record"])
def test_sweeps_take_them(monkeypatch, network, tmp_path, settings, job: str) -> None:
    keep_tuned([settings, dataclasses.replace(settings, exact=True)])
    save_as(model_of(AGENT), tmp_path / "agent.onnx")
    plans: list[Plan] = []

    def rollout(network, plan, **options):
        plans.append(plan)
        raise ValueError("played enough")

    monkeypatch.setattr(zoo, "rollout", rollout)
    given = {"steps": 3, "envs": 4}
    sweep(job, [tmp_path / "agent.onnx"], tmp_path / "swept", settings=given)
    assert [(plan.groups, plan.threads) for plan in plans] == [(1, 1)]


def test_a_sweep_says_so(monkeypatch, capsys, settings, tmp_path) -> None:
    keep_tuned([settings])
    words = "sweep", "score", "--models", AGENT, "--set", "steps=2", "-o", tmp_path / "s"
    assert run(monkeypatch, *words) == 0
    line = "tuned settings are taken where they fit: Pong, 4 environments, --groups 1 --threads 1"
    assert line in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, message",
    [
        (["a2x"], "no architecture 'a2x'; did you mean 'a2c'"),
        (["a2c", "Pnog"], "no game 'Pnog'; did you mean Pong"),
        ([AGENT, "Breakout"], "the network has 6 actions, but Breakout has 4"),
        (["a2c", "--envs", "0"], "envs is 0; it must be at least 1"),
        (["a2c", "--envs", "9999999"], "9,999,999 environments need about"),
        (["a2c", "--minutes", "-1"], "minutes is -1.0; expected more than 0"),
        (["a2c", "--backend", "openvino"], "no backend 'openvino'; there are"),
        (["a2c", "-o", "bench.jpg"], "bench.jpg: its name must end in .png"),
        (["a2c", "--device", "toaster"], "toaster"),
    ],
)
def test_bad_input_is_one_line(monkeypatch, capsys, words: list[str], message: str) -> None:
    assert run(monkeypatch, "bench", *words) == 2
    heard = capsys.readouterr()
    assert message in heard.err and len(heard.err.splitlines()) == 1 and not heard.out


def test_tuned_is_in_the_users_cache(tmp_path: Path) -> None:
    assert tuned_file() == tmp_path / "cache" / tuned.FILE
