"""The vectorised emulator in processes of its own: the same games as in one, to the last bit."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from contextlib import closing

import numpy as np
import pytest
import torch

import atari_zoo as zoo
from atari_zoo.converters.cards import PREPROCESSINGS, Preprocessing
from atari_zoo.emulator import kept
from atari_zoo.emulator.cartridges import Cartridge
from atari_zoo.emulator.environments import Environments
from atari_zoo.emulator.native_frames import NativeFrames
from atari_zoo.emulator.native_processes import NativeProcesses
from atari_zoo.games import FULL_ACTIONS
from atari_zoo.play import runner
from atari_zoo.play.groups import worth_processes
from atari_zoo.play.plans import Plan
from atari_zoo.play.runner import Runner

CPU = torch.device("cpu")
SHORT = dataclasses.replace(PREPROCESSINGS["vector"], max_frames=60)  # episodes of 15 steps
STICKY = dataclasses.replace(SHORT, sticky=0.25, size=(42, 50), noops=5)


@pytest.mark.parametrize(
    "game, seen",
    [
        (Cartridge("breakout"), SHORT),
        (Cartridge("pong"), STICKY),
        (Cartridge("seaquest", actions=FULL_ACTIONS), SHORT),
    ],
)
@pytest.mark.parametrize("processes", [2, 3])
def test_games_are_those_of_one_process(
    game: Cartridge, seen: Preprocessing, processes: int
) -> None:
    draws, ends = np.random.default_rng(0), 0
    with (
        closing(NativeFrames(game, 3, seen, CPU)) as one,
        closing(NativeProcesses(game, 3, seen, CPU, processes)) as apart,
    ):
        assert len(apart.workers.processes) == processes
        expected, found = one.reset(2**31 - 2), apart.reset(2**31 - 2)
        for step in range(40):
            for name, value in expected._asdict().items():
                np.testing.assert_array_equal(getattr(found, name), value, f"{step} {name}")
                assert getattr(found, name).dtype == value.dtype or name == "lives"
            actions = draws.integers(len(game.actions) or 3, size=3)
            one.send(actions)
            apart.send(actions)
            expected, found = one.recv(), apart.recv()
            ends += int(expected.truncated.sum())
        assert ends
        again = apart.reset(None)
        assert again.frames.shape == found.frames.shape and not again.truncated.any()


def test_a_process_that_dies_is_told_and_the_others_end() -> None:
    games = NativeProcesses(Cartridge("pong"), 2, SHORT, CPU, 2)
    games.reset(0)
    dead, other = games.workers.processes
    os.kill(dead, signal.SIGKILL)
    with pytest.raises(RuntimeError, match="an emulator failed: its process ended"):
        _step_twice(games)  # an order to it may be lost without a word
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and _alive(other):
        time.sleep(0.05)
    assert not _alive(other)


def _step_twice(games: NativeProcesses) -> None:
    for _ in range(2):
        games.send(np.zeros(2, int))
        games.recv()


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_many_environments_play_as_in_one_process(random_agent, monkeypatch) -> None:
    network = random_agent("Breakout")
    whole = zoo.rollout(network, steps=30, envs=3, seed=5, keep=["screens", "outputs"])
    monkeypatch.setattr(runner, "worth_processes", lambda plan, envs, cores: True)
    plan = Plan(steps=30, envs=3, seed=5, keep=["screens", "outputs"], threads=2)
    with Runner(network, plan) as going:
        kinds = {type(group.environments._frames) for group in going._groups}
        while going.advance():
            pass
        apart = going.recording()
    assert kinds == {NativeProcesses}
    for name in ("actions", "rewards", "lives", "screens", "outputs"):
        np.testing.assert_array_equal(getattr(apart, name)[:], getattr(whole, name)[:])


@pytest.mark.parametrize(
    "length, envs, cores, expected",
    [
        ({"steps": 100}, 32, 2, True),
        ({"steps": 100}, 15, 2, False),  # few begin soon
        ({"steps": 1}, 256, 1, False),  # one core does one thing
        ({"steps": 10_000}, 32, 2, False),  # long play
        ({"steps": 10_000}, 256, 16, True),
        ({"episodes": 32}, 32, 2, True),
        ({"episodes": 320}, 32, 2, False),
    ],
)
def test_processes_are_begun_where_that_saves_time(
    length: dict, envs: int, cores: int, expected: bool
) -> None:
    assert worth_processes(Plan(envs=envs, **length), envs, cores) is expected


@pytest.mark.parametrize("worth", [True, False])
def test_a_rollout_does_so(random_agent, monkeypatch, worth: bool) -> None:
    asked: list[bool] = []

    class Asked(Environments):
        def __init__(self, *words, apart: bool, **options) -> None:
            asked.append(apart)
            raise ValueError("enough")

    monkeypatch.setattr(kept, "Environments", Asked)
    monkeypatch.setattr(runner, "worth_processes", lambda plan, envs, cores: worth)
    with pytest.raises(ValueError, match="enough"):
        Runner(random_agent("Pong"), Plan(steps=1))
    assert asked == [worth]
