"""The frozen graphs that the tests go through, and what is to be found in each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import frozen_graphs as g
from frozen_builder import Frozen

from atari_zoo.converters.network.networks import SAME, VALID

SMALL: dict[str, Any] = {"widths": (8, 12, 16), "units": 48, "actions": 5}


@dataclass(frozen=True)
class Case:
    """A maker and its options, and what is to be found in its graph."""

    make: Callable[..., Frozen]
    head: str
    options: dict[str, Any] = field(default_factory=dict)
    algorithm: str = ""
    paddings: Any = SAME
    flatten: str = "H, W, C"


CASES = {
    "a2c": Case(g.a2c, "actor-critic"),
    "apex": Case(g.apex, "dueling", flatten="C, H, W"),
    "ga": Case(g.ga, "policy"),
    "es": Case(g.es, "policy"),
    "dqn": Case(g.dqn, "q"),
    "rainbow": Case(g.rainbow, "categorical"),
    "impala": Case(g.impala, "actor-critic"),
    "a2c valid": Case(g.a2c, "actor-critic", SMALL | {"padding": "VALID"}, paddings=VALID),
    "a2c divides": Case(g.a2c, "actor-critic", SMALL | {"divides": True}),
    "a2c alone": Case(g.a2c, "policy", SMALL | {"value": False}),
    "apex NHWC": Case(g.apex, "dueling", SMALL | {"channels_first": False}),
    "ga conv": Case(g.ga, "policy", SMALL | {"patches": False}),
    "es conv": Case(g.es, "policy", SMALL | {"patches": False}),
    "es biases": Case(g.es, "policy", SMALL | {"normalised": False}),
    "dqn later": Case(g.dqn, "q", SMALL | {"division": "truediv"}),
    "dqn training": Case(g.dqn, "q", SMALL | {"leftovers": True}),
    "rainbow folded": Case(g.rainbow, "categorical", SMALL | {"folded": True}),
    "impala valid": Case(g.impala, "actor-critic", SMALL | {"padding": "VALID"}, paddings=VALID),
    "impala timed": Case(g.impala, "actor-critic", SMALL | {"baked": False}),
    "baselines": Case(g.baselines_a2c, "actor-critic", SMALL, "unknown", VALID),
}


@cache
def agent(case: str) -> Frozen:
    """A case's graph; the seven that have no options are of the published size."""
    return CASES[case].make(**CASES[case].options)


@cache
def small(case: str) -> Frozen:
    """A case's graph, its layers narrow."""
    return CASES[case].make(**SMALL | CASES[case].options)
