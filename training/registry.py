"""The algorithms that train here, by name; each module is imported when it is asked for."""

from __future__ import annotations

import dataclasses
from importlib import import_module
from typing import Any

from atari_zoo.training.presets import PRESETS
from atari_zoo.training.trainers import Trainer, TrainingConfig

TRAINERS = {
    "a2c": "A2C",
    "impala": "IMPALA",
    "dqn": "DQN",
    "rainbow": "Rainbow",
    "apex": "ApeX",
    "es": "ES",
    "ga": "GA",
}

MODULES = {
    "a2c": "atari_zoo.training.on_policy.a2c",
    "impala": "atari_zoo.training.on_policy.impala",
    "dqn": "atari_zoo.training.off_policy.dqn",
    "rainbow": "atari_zoo.training.off_policy.rainbow",
    "apex": "atari_zoo.training.off_policy.apex",
    "es": "atari_zoo.training.evolution.es",
    "ga": "atari_zoo.training.evolution.ga",
}


def trainer(algorithm: str) -> type[Trainer]:
    """The class that trains `algorithm`; ValueError if there is none."""
    if algorithm not in TRAINERS:
        raise ValueError(f"no trainer for '{algorithm}'; there are {', '.join(TRAINERS)}")
    return getattr(import_module(MODULES[algorithm]), TRAINERS[algorithm])


def config(algorithm: str, preset: str = "workstation", **changes: Any) -> TrainingConfig:
    """The hyper-parameters of a preset, with `changes` (None: as in the preset).

    Raises ValueError if the algorithm, the preset, or a changed name is unknown.
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
    return made(**presets[preset] | given)
