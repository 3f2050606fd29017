"""What the agent would have seen: the recorded play again, with other bytes in the memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

import atari_zoo as zoo
from atari_zoo.converters.cards import PREPROCESSINGS
from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.play.counterfactuals import edited_states
from atari_zoo.viz.attribution.attribution import attribute

LIVES, OXYGEN = 59, 102  # in Seaquest's memory (Anand et al., 2019, arXiv:1906.08226)
OXYGEN_ROWS = slice(66, 72)  # of 84: the bar at the bottom of the screen


@pytest.fixture(scope="module")
def played() -> zoo.Recording:
    network = zoo.load("dqn/Seaquest/1")
    return zoo.rollout(network, steps=160, envs=2, seed=4, keep=["frames", "screens"])


@pytest.mark.parametrize("preprocessing", ["vector", "deepmind", "tf", "dopamine"])
def test_with_nothing_changed_it_is_the_observation(
    preprocessing: str, random_agent: Callable[..., MnihNetwork]
) -> None:
    how = dataclasses.replace(
        PREPROCESSINGS[preprocessing], max_frames=300, sticky=0.25, fire_after_life_loss=True
    )
    recording = zoo.rollout(
        random_agent("Breakout"), steps=120, envs=2, seed=2, preprocessing=how, keep=["frames"]
    )
    assert recording.over.any() and (np.diff(recording.lives, axis=0) < 0).any()
    tried = 0
    for env in range(2):
        seen = recording.observations(env)
        numbers = np.arange(len(seen))
        since = numbers - np.maximum.accumulate(np.where(recording.starts[:, env], numbers, 0))
        for step in np.flatnonzero(since >= how.stack)[::9].tolist():
            again = zoo.counterfactual(recording, step, {}, env)
            expected = seen[step : step + 1]
            expected = expected.float() / 255 if expected.dtype == torch.uint8 else expected
            assert again.dtype == torch.float32 and torch.equal(again, expected), (env, step)
            tried += 1
    assert tried > 8


def test_less_oxygen_shortens_its_bar_and_nothing_else(played: zoo.Recording) -> None:
    step = 100
    full = zoo.counterfactual(played, step, {}, 1)
    less = zoo.counterfactual(played, step, {OXYGEN: 4}, 1)
    changed = (less - full).abs()[0].amax(0) > 0.02
    rows = torch.nonzero(changed.any(1))[:, 0]
    assert changed.sum() > 20
    assert OXYGEN_ROWS.start <= rows.min() and rows.max() < OXYGEN_ROWS.stop, rows


def test_it_is_a_baseline_and_the_credit_goes_where_it_differs(played: zoo.Recording) -> None:
    network = zoo.load("dqn/Seaquest/1")
    seen = played.observations(1)[100:101].float() / 255
    other = zoo.counterfactual(played, 100, {OXYGEN: 4}, 1)
    of = attribute(network, seen, method="integrated_gradients", baseline=other)
    assert (of.values[:, :, : OXYGEN_ROWS.start] == 0).all() and of.values.abs().sum() > 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"step": 160}, "step is 160; expected 0 to 159"),
        ({"step": 3}, "step 3 is 3 after its episode's first; expected at least 4"),
        ({"env": 2}, "env is 2; expected 0 to 1"),
        ({"ram": {128: 0}}, "an address of the RAM is 128; expected 0 to 127"),
        ({"ram": {0: 256}}, "a byte of the RAM is 256; expected 0 to 255"),
    ],
)
def test_what_cannot_be_asked(played: zoo.Recording, arguments: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        zoo.counterfactual(played, **{"step": 100, "ram": {}} | arguments)


def test_play_from_elsewhere_is_refused(played: zoo.Recording) -> None:
    watched = zoo.Recording(played.header, {"screens": played.screens, "starts": played.starts})
    with pytest.raises(ValueError, match="no actions and rewards in this recording"):
        zoo.counterfactual(watched, 100, {})
    other = zoo.rollout(zoo.load("a2c/Pong/1"), steps=160, envs=1, seed=4)
    other.header.seed, other.rewards = 5, played.rewards[:, :1] * 0 + 1
    with pytest.raises(ValueError, match="does not repeat from seed 5 after step 0"):
        zoo.counterfactual(other, 100, {})


class TestEditedStates:
    def test_with_nothing_changed_they_are_the_observations(self, played: zoo.Recording) -> None:
        steps = [5, 6, 30, 100]
        found = edited_states(played, steps, {}, 1)
        assert found.fates == ("held",) * 4 and found.steps.tolist() == steps
        assert torch.equal(found.observations, played.observations(1)[steps].float() / 255)

    def test_they_are_the_counterfactuals_one_by_one(self, played: zoo.Recording) -> None:
        steps, ticks = [40, 90, 91, 120], []
        found = edited_states(
            played, steps, {OXYGEN: 4}, 1, 2, progress=lambda *tick: ticks.append(tick)
        )
        assert ticks == [(1, 4), (2, 4), (3, 4), (4, 4)] and len(found.steps) >= 3
        for place, step in enumerate(found.steps.tolist()):
            alone = zoo.counterfactual(played, step, {OXYGEN: 4}, 1)
            assert torch.equal(found.observations[place : place + 1], alone), step

    def test_values_may_be_told_from_the_memory(self, played: zoo.Recording) -> None:
        same = edited_states(played, [60], lambda ram: {OXYGEN: int(ram[OXYGEN])}, 1, 3)
        assert same.fates == ("held",)

    def test_what_does_not_hold_is_discarded_and_told(self, played: zoo.Recording) -> None:
        every = iter([{address: 255} for address in range(128)])
        found = edited_states(played, range(10, 138), lambda ram: next(every), 1)
        fates = dict(enumerate(found.fates))
        assert fates[OXYGEN] == "held" and fates[35] == "over"
        assert {"held", "slipped", "over"} == set(fates.values())
        assert len(found.observations) == len(found.steps) == found.fates.count("held")

    def test_an_illegal_instruction_is_noticed_and_harms_no_other_state(self, capfd) -> None:
        """Pong's byte 34 is a pointer into its program."""
        network = zoo.load("a2c/Pong/1")
        played = zoo.rollout(network, steps=60, envs=1, seed=4, keep=["screens"])
        edits = iter([{}, {34: 0}, {34: 1}, {}])
        found = edited_states(played, [20, 40, 45, 50], lambda ram: next(edits))
        assert found.fates == ("held", "illegal", "illegal", "held")
        seen = played.observations(0)[[20, 50]].float() / 255
        assert found.steps.tolist() == [20, 50] and torch.equal(found.observations, seen)
        assert "Illegal" not in capfd.readouterr().err

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({"steps": [160]}, "step is 160; expected 0 to 159"),
            ({"steps": [3]}, "step 3 is 3 after its episode's first"),
            ({"ram": {128: 0}}, "an address of the RAM is 128"),
            ({"ram": {0: 256}}, "a byte of the RAM is 256"),
        ],
    )
    def test_what_cannot_be_asked(self, played: zoo.Recording, arguments: dict, said: str) -> None:
        with pytest.raises(ValueError, match=said):
            edited_states(played, **{"steps": [100], "ram": {}} | arguments)
