"""The methods of attribution that there are, and the facts of each."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.registration import Registry
from atari_zoo.viz.attribution.scores import TargetScore

UNIT = "in units of what is explained"  # of values that say nothing else of theirs
BATCH = 64  # observations at a time: bounds the memory, and on a CPU no size is faster


@dataclass(frozen=True)
class Case:
    """What a method is given.

    observations: (batch, frames, height, width), floats, on the network's device.
    references: (batch, references, frames, height, width): what each is compared with.
    seed: of the method's randomness. All observations get the same draws, so that what one gets
        does not depend on its company; they are made on the CPU, so that devices agree.
    """

    network: Network
    score: TargetScore
    observations: Float[Tensor, "batch frames height width"]
    references: Float[Tensor, "batch references frames height width"]
    seed: int = 0

    @property
    def baselines(self) -> Float[Tensor, "batch frames height width"]:
        """The one reference of each observation."""
        return self.references[:, 0]

    def generator(self) -> torch.Generator:
        """A fresh generator of the case's seed, on the CPU."""
        return torch.Generator().manual_seed(self.seed)


CaseFunction = Callable[..., Tensor]


@dataclass(frozen=True)
class AttributionMethod:
    """A method and its facts.

    function: (case, options) to (batch, frames, height, width), or to one map for all frames.
    source: the paper. complete: what the values of an observation sum to: "rise", the target's
        rise from the baseline; "whole", the target itself; or nothing in particular.
    modules: what it asks of a network: "", "relu" (every ReLU is a module), "linear" (and nothing
        else bends) or "relevance" (nothing bends but ReLUs).
    baselines: how many references it compares an observation with: "none", "one" or "many".
    target: whether it explains a target, and not all outputs at once.
    action: whether that target is an action's output, and nothing else.
    evidence: whether values speak for the target or, below 0, against it; slopes do neither.
    signed: whether it has values below 0, of what it shows; else they are sizes.
    unit: of the values, in words; the target's if not given.
    sides: of a network and observations, what its option `side` may ask for: parts of the agent
        that have a map each.
    """

    name: str
    function: CaseFunction
    summary: str
    source: str
    complete: str = ""
    modules: str = ""
    baselines: str = "none"
    gradients: bool = False
    stochastic: bool = False
    target: bool = True
    action: bool = False
    evidence: bool = True
    signed: bool = True
    unit: str = ""
    sides: Callable[[Network, Tensor], tuple[str, ...]] | None = None

    def signs(self, options: Mapping[str, Any]) -> str:
        """What the values' signs say, given its options, for a caption."""
        if not self.signed:
            return "no signs: the brighter, the more depends on it"
        if not self.evidence:
            return "red: brighter pixels there raise the number, blue: they lower it"
        if (self.options | dict(options)).get("rectify"):
            return "red raised the number; what lowered it is left out"
        return "red raised the number, blue lowered it"

    @property
    def options(self) -> dict[str, Any]:
        """The names of its options, and what they are if not given."""
        given = inspect.signature(self.function).parameters.values()
        return {p.name: p.default for p in given if p.kind is p.KEYWORD_ONLY}


ATTRIBUTION_METHODS: Registry[AttributionMethod] = Registry(
    "method", "atari_zoo.viz.attribution.methods"
)


def method(source: str, **facts: Any) -> Callable[[CaseFunction], CaseFunction]:
    """Registers a function as the method of its name; its docstring begins with the summary."""

    def register(function: CaseFunction) -> CaseFunction:
        name = function.__name__
        summary = (inspect.getdoc(function) or "").partition("\n")[0]
        ATTRIBUTION_METHODS.add(
            name, AttributionMethod(name, function, summary, source, **facts), function
        )
        return function

    return register


def method_named(name: str, options: dict[str, Any] | None = None) -> AttributionMethod:
    """The method called `name`.

    Raises ValueError if there is none, or it lacks an option, or has it of another type.
    """
    if not isinstance(name, str):
        raise ValueError(f"method is {name!r}; expected a name, such as 'integrated_gradients'")
    found = ATTRIBUTION_METHODS.named(name)
    for option, value in (options or {}).items():
        if option not in found.options:
            known = ", ".join(found.options) or "none"
            raise ValueError(f"{name} has no option '{option}'; it has {known}")
        _check_type(option, value, found.options[option])
    return found


def _check_type(option: str, value: Any, usual: Any) -> None:
    """Raises ValueError unless the value is of the usual one's type, and a finite number."""
    kind = type(usual)
    numbers = (int, float) if kind is float else (kind,)
    wrong = not isinstance(value, numbers) or (isinstance(value, bool) and kind is not bool)
    if wrong or (kind is float and not math.isfinite(value)):
        words = {int: "a whole number", float: "a finite number", str: "a word", bool: "yes or no"}
        expected = f"{words[kind]}, such as {usual!r}" if usual != "" else words[kind]
        raise ValueError(f"{option} is {value!r}; expected {expected}")
