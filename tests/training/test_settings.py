"""Hyper-parameters that cannot be: one line before the work begins, and nothing left behind."""

from __future__ import annotations

import copy
import dataclasses
import math
from pathlib import Path

import pytest

from atari_zoo.training import registry
from atari_zoo.training.presets import PRESETS

NAMES = [(name, preset) for name in registry.TRAINERS for preset in PRESETS[name]]


@pytest.mark.parametrize("algorithm, preset", NAMES)
def test_presets_hold_what_is_asked_of_them(algorithm: str, preset: str) -> None:
    registry.config(algorithm, preset).check()


@pytest.mark.parametrize("algorithm", registry.TRAINERS)
def test_every_number_has_its_range(algorithm: str, tmp_path: Path) -> None:
    """No hyper-parameter takes another type, NaN, or a number below all of its kind."""
    make, config = registry.trainer(algorithm), registry.config(algorithm)
    tried = 0
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        wrong = ["abc", [1], -1, math.nan, True] if type(value) in (int, float) else [[1]]
        if type(value) is float:
            wrong.append(math.inf)
        for other in wrong:
            changed = copy.copy(config)
            object.__setattr__(changed, field.name, other)  # past the tests' own check of types
            with pytest.raises(ValueError, match=f"^{field.name} is [^\n]*; expected [^\n]*$"):
                make(tmp_path / "run", changed, "cpu")
            tried += 1
    assert tried > 50 and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "algorithm, change, message",
    [
        ("a2c", {"envs": 0}, "envs is 0; expected a whole number of at least 1"),
        ("a2c", {"learning_rate": 0}, "learning_rate is 0; expected a number above 0"),
        ("es", {"learning_rate": 1e31}, "learning_rate is 1e.31; expected a number above 0"),
        ("a2c", {"discount": 1.5}, "discount is 1.5; expected a number from 0 to 1"),
        ("a2c", {"optimizer": "sgd"}, "no optimizer 'sgd'; there are adam, rmsprop, rmsprop-tf"),
        ("impala", {"batch": 0}, "batch is 0; expected a whole number of at least 1 or None"),
        ("impala", {"batch": 3}, "32 environments make no whole batches of 3"),
        ("dqn", {"log_every": 0}, "log_every is 0; expected"),
        ("dqn", {"epsilon_steps": 0}, "epsilon_steps is 0; expected"),
        ("dqn", {"loss": "l1"}, "no loss 'l1'; there are mse, huber"),
        ("es", {"population": 5}, "make it even"),
    ],
)
def test_a_setting_is_refused_by_name(
    algorithm: str, change: dict[str, object], message: str, tmp_path: Path
) -> None:
    config = registry.config(algorithm, **change)
    with pytest.raises(ValueError, match=message):
        registry.trainer(algorithm)(tmp_path / "run", config, "cpu")
    assert not list(tmp_path.iterdir())


def test_whole_numbers_are_numbers() -> None:
    config = registry.config("a2c", learning_rate=1, preprocessing="deepmind")
    config.check()
    assert config.preprocessing.name == "deepmind"
    with pytest.raises(ValueError, match="no preprocessing 'deepmnid'; there are vector"):
        registry.config("a2c", preprocessing="deepmnid")


@pytest.mark.parametrize("hours", [math.nan, -1.0])
def test_hours_are_a_number(hours: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"hours is {hours}; expected"):
        registry.trainer("a2c")(tmp_path / "run", registry.config("a2c"), "cpu", hours=hours)


def test_a_run_that_could_not_begin_does_not_bind_the_next(tmp_path: Path) -> None:
    """Only the device tells how many threads share the environments."""
    make = registry.trainer("a2c")
    with pytest.raises(ValueError, match="4 environments cannot be shared by 3"):
        make(tmp_path, registry.config("a2c", envs=4, threads=3), "cpu")
    make(tmp_path, registry.config("a2c", envs=4, threads=2), "cpu").close()
