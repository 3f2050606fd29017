"""Environments that serve the next rollout too: it plays as if they were new."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import atari_zoo as zoo
from atari_zoo.emulator import kept
from atari_zoo.emulator.environments import Environments
from atari_zoo.emulator.kept import environments_kept
from atari_zoo.play import runner

ARRAYS = ("actions", "rewards", "lives", "starts", "screens")
# of ale-py's own vectorised emulators, and of those in processes
FORMS = {"native": {}, "rendered": {"preprocessing": "dopamine"}}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Environments]:
    """All that were opened, in order."""
    found: list[Environments] = []

    class Noted(Environments):
        def __init__(self, *words: Any, **named: Any) -> None:
            super().__init__(*words, **named)
            self.closed = 0
            found.append(self)

        def close(self) -> None:
            self.closed += 1
            super().close()

    monkeypatch.setattr(kept, "Environments", Noted)
    return found


@pytest.mark.parametrize("form", FORMS)
def test_play_is_as_from_new_ones(
    form: str, random_agent: Callable[..., Any], made: list[Environments]
) -> None:
    agent = random_agent("Seaquest")
    plans = [{"steps": 25, "envs": 4, "seed": seed} | FORMS[form] for seed in (3, 0, 3)]
    alone = [zoo.rollout(agent, **plan) for plan in plans]
    opened = len(made)
    assert opened == 6 and all(environments.closed == 1 for environments in made)
    with environments_kept(), environments_kept():
        together = [zoo.rollout(agent, **plan) for plan in plans]
        assert len(made) == opened + 2 and not any(e.closed for e in made[opened:])
    assert all(environments.closed == 1 for environments in made)
    for one, other in zip(alone, together, strict=True):
        for name in ARRAYS[:4]:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert not np.array_equal(alone[0].actions, alone[1].actions)


def test_only_those_alike_are_taken(
    random_agent: Callable[..., Any], made: list[Environments]
) -> None:
    agent = random_agent("Pong")
    with environments_kept():
        zoo.rollout(agent, steps=2, envs=2)
        first = len(made)
        zoo.rollout(agent, steps=2, envs=2, preprocessing={"frame_skip": 3})
        zoo.rollout(agent, steps=2, envs=4)
        exact = zoo.rollout(agent, steps=2, envs=2, keep=["frames"])
        assert len(made) == first * 4  # two groups each
        again = zoo.rollout(agent, steps=2, envs=2, keep=["frames"])
        np.testing.assert_array_equal(exact.frames[:], again.frames[:])
        assert len(made) == first * 5  # those that show raw screens are always new


def test_what_failed_is_closed(
    random_agent: Callable[..., Any], made: list[Environments], monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = random_agent("Pong")

    def fail(*words: Any, **named: Any) -> None:
        raise RuntimeError("in the middle")

    with environments_kept():
        with monkeypatch.context() as broken:
            broken.setattr(runner.Tally, "add_step", fail)
            with pytest.raises(RuntimeError, match="in the middle"):
                zoo.rollout(agent, steps=5, envs=2)
        assert made and all(environments.closed == 1 for environments in made)
        before = len(made)
        zoo.rollout(agent, steps=2, envs=2)
        assert len(made) == 2 * before
