"""The algorithms that train here, by name; each module is imported when it is asked for."""

from __future__ import annotations

import dataclasses
from importlib import import_module
from typing import Any

from atari_zoo.converters.cards import preprocessing_named
from atari_zoo.training.presets import PRESETS
from atari_zoo.training.trainers import Trainer, TrainingConfig

# the module below this package, and its class
TRAINERS = {
    "a2c": ("on_policy.a2c", "A2C"),
    "impala": ("on_policy.impala", "IMPALA"),
    "dqn": ("off_policy.dqn", "DQN"),
    "rainbow": ("off_policy.rainbow", "Rainbow"),
    "apex": ("off_policy.apex", "ApeX"),
    "es": ("evolution.es", "ES"),
    "ga": ("evolution.ga", "GA"),
}


def trainer(algorithm: str) -> type[Trainer]:
    """The class that trains `algorithm`; ValueError if there is none."""
    if algorithm not in TRAINERS:
        raise ValueError(f"no trainer for '{algorithm}'; there are {', '.join(TRAINERS)}")
    module, name = TRAINERS[algorithm]
    return getattr(import_module(f"atari_zoo.training.{module}"), name)


def config(algorithm: str, preset: str = "workstation", **changes: Any) -> TrainingConfig:
    """The hyper-parameters of a preset, with `changes` (None: as in the preset).

    The preprocessing may be given by its name. Raises ValueError if the algorithm, the preset, or
    a changed name is unknown, or a value is of another kind or out of its range.
    """
    made = trainer(algorithm).Config
    presets = PRESETS[algorithm]
    if preset not in presets:
        raise ValueError(f"{algorithm} has no preset '{preset}'; there are {', '.join(presets)}")
    names = [field.name for field in dataclasses.fields(made)]
    unknown = [name for name in changes if name not in names]
    if unknown:
        raise ValueError(f"{algorithm} has no '{unknown[0]}'; there are {', '.join(names)}")
    given = {name: value for name, value in changes.items() if value is not None}
    if isinstance(given.get("preprocessing"), str):
        given["preprocessing"] = preprocessing_named(given["preprocessing"])
    return made(**presets[preset] | given)
