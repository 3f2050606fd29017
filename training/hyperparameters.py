"""Kinds of hyper-parameters: what a field of a configuration may hold, said in its annotation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

LARGEST = 1e30  # beyond all reason, and well within float32, which optimizers count in


@dataclass(frozen=True)
class Limits:
    """Numbers from `low` to `high`; `above`: without `low` itself."""

    low: float
    high: float = math.inf
    above: bool = False

    def holds(self, value: float) -> bool:
        """Whether a number is one of them; NaN is none."""
        return self.low <= value <= self.high and not (self.above and value == self.low)

    def __str__(self) -> str:
        if self.high < LARGEST:
            return f" from {self.low:.12g} to {self.high:.12g}"
        return f" above {self.low:.12g}" if self.above else f" of at least {self.low:.12g}"


Count = Annotated[int, Limits(1)]
Natural = Annotated[int, Limits(0)]
Seed = Annotated[int, Limits(0, 2**32 - 1)]
Positive = Annotated[float, Limits(0, LARGEST, above=True)]
Weight = Annotated[float, Limits(0, LARGEST)]
Share = Annotated[float, Limits(0, 1)]

WORDS = {int: "a whole number", float: "a number", bool: "True or False", str: "a word"}


def check_fields(config: Any) -> None:
    """Raises ValueError for the first field of a dataclass whose value its annotation excludes.

    >>> check_fields(A2CConfig(envs=0))
    Traceback (most recent call last):
    ValueError: envs is 0; expected a whole number of at least 1
    """
    for name, hint in get_type_hints(type(config), include_extras=True).items():
        value = getattr(config, name)
        kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        if not any(_fits(value, kind) for kind in kinds):
            expected = " or ".join(map(_words, kinds))
            raise ValueError(f"{name} is {value!r}; expected {expected}")


def _parts(kind: Any) -> tuple[type, Limits | None]:
    if get_origin(kind) is not Annotated:
        return kind, None
    wanted, limits = get_args(kind)
    return wanted, limits


def _fits(value: Any, kind: Any) -> bool:
    wanted, limits = _parts(kind)
    if wanted is float and type(value) in (int, float):
        whole = math.isfinite(value)
    else:
        whole = type(value) is wanted  # True is an int too, but no number of anything
    return whole and (limits is None or limits.holds(value))


def _words(kind: Any) -> str:
    wanted, limits = _parts(kind)
    if wanted is NoneType:
        return "None"
    return f"{WORDS.get(wanted, f'a {wanted.__name__}')}{limits or ''}"
