"""Lanes: rollouts beside each other play as each would alone; errors and Ctrl-C end all of them."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import atari_zoo as zoo
from atari_zoo.emulator import lanes
from atari_zoo.emulator.lanes import LaneStopped, in_lanes, this_lane
from atari_zoo.play.noise import Noise
from atari_zoo.play.plans import Plan
from atari_zoo.play.robustness import noise_scores
from atari_zoo.sweeps.sweeps import sweep


@pytest.fixture(autouse=True)
def three_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "cores", lambda: 3)


def test_calls_are_shared_out_and_each_is_done_once() -> None:
    gate, names = threading.Barrier(3, timeout=20), []

    def call(number: int) -> int:
        if number < 3:
            gate.wait()  # only if three are done at once
        names.append(threading.current_thread().name)
        assert this_lane() is not None and this_lane().threads == 1
        inner = list(in_lanes([lambda: threading.current_thread().name] * 2))
        assert {name for _, name in inner} == {threading.current_thread().name}
        return number * number

    found = dict(in_lanes([lambda n=n: call(n) for n in range(7)]))
    assert found == {number: number * number for number in range(7)}
    assert len(set(names)) == 3 and this_lane() is None


def test_a_lone_call_stays_where_it_is() -> None:
    assert list(in_lanes([lambda: this_lane()])) == [(0, None)]
    assert list(in_lanes([lambda: this_lane()] * 2, lanes=1)) == [(0, None), (1, None)]


@pytest.mark.parametrize("how", ["error", "leaves"])
def test_who_stops_ends_the_others_in_their_middle(how: str) -> None:
    ended, begun, before = [], threading.Event(), threading.active_count()

    def endless() -> None:
        begun.set()
        try:
            while True:
                this_lane().check()
                time.sleep(0.01)
        except LaneStopped:
            ended.append(1)
            raise

    def short() -> int:
        begun.wait(10)
        if how == "error":
            raise KeyError("x")
        return 1

    calls = in_lanes([endless, short, endless])
    if how == "error":
        with pytest.raises(KeyError):
            list(calls)
    else:
        assert next(calls) == (1, 1)
        calls.close()
    assert 1 <= len(ended) <= 2 and threading.active_count() == before


def test_many_agents_score_as_each_would_alone(random_agent) -> None:
    networks = [random_agent("Breakout") for _ in range(4)] + [random_agent("Pong")]
    for number, network in enumerate(networks[:4]):
        network.head.output.bias.data += number * np.float32(0.1)
    options = {"steps": 60, "envs": 3, "seed": 2, "keep": ["outputs", "screens"]}
    together = zoo.rollout(networks, **options)
    for network, found in zip(networks, together, strict=True):
        alone = zoo.rollout(network, **options)
        assert alone.game == found.game
        for name in ("actions", "rewards", "outputs", "screens"):
            np.testing.assert_array_equal(getattr(found, name), getattr(alone, name), name)
    with pytest.raises(ValueError, match="has 4 actions, but"):
        zoo.rollout([networks[0], networks[4]], game="Pong", steps=1)


def test_a_sweep_scores_in_lanes(monkeypatch, tmp_path) -> None:
    models = ["dqn/Seaquest/1@initial", "es/Seaquest/1@initial", "a2c/Seaquest/1@initial"]
    real, seen = zoo.rollout, []

    def spy(*words, **options):
        seen.append(this_lane())
        return real(*words, **options)

    monkeypatch.setattr(zoo, "rollout", spy)
    settings = {"episodes": 1, "envs": 1, "action": "sample"}
    done = sweep("score", models, tmp_path / "scores", settings=settings)
    assert all(seen) and len(seen) == 3
    monkeypatch.undo()
    for outcome in done.outcomes:
        alone = zoo.rollout(zoo.load(outcome.task.model), episodes=1, envs=1, action="sample")
        assert outcome.result["returns"] == alone.returns.tolist()


def test_noise_is_scored_in_lanes_as_one_after_the_other(monkeypatch, random_agent) -> None:
    plan, agent = Plan(episodes=2, envs=2, seed=5), random_agent("Breakout")
    told = []
    (found,) = noise_scores(
        agent, plan, ["actions"], [0, 0.5], progress=lambda *counts: told.append(counts)
    )
    clean = zoo.rollout(agent, plan).returns.tolist()
    half = zoo.rollout(agent, plan, noise=Noise(actions=0.5)).returns.tolist()
    assert [list(some) for some in found.returns] == [clean, half] == [list(found.clean), half]
    assert told[-1] == (4, 4) and told == sorted(told)
