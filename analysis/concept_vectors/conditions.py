"""Conditions on the game's variables in text: "oxygen<16", "player_y >= 100", "player_missile_x".

    condition = variable [operator number];    operator = < | <= | > | >= | == | = | !=

A variable alone holds where what it tells of is there. Nothing of a text is run.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
_TEXT = re.compile(
    r"\s*(?P<variable>[A-Za-z_]\w*)\s*"
    r"(?:(?P<operator><=|>=|==|!=|<|>|=)\s*(?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+))\s*)?"
)


@dataclass(frozen=True)
class ConceptCondition:
    """text: as it was given, without spaces. operator: empty where the variable stands alone."""

    text: str
    variable: str
    operator: str = ""
    number: float = 0.0

    def holds(self, values: Float[np.ndarray, "moments"]) -> Float[np.ndarray, "moments"]:
        """1 where it does, 0 where it does not, NaN where the variable is absent; of a variable
        alone 0 there."""
        there = np.isfinite(values)
        if not self.operator:
            return there.astype(float)
        with np.errstate(invalid="ignore"):
            found = OPERATORS[self.operator](values, self.number).astype(float)
        return np.where(there, found, np.nan)


def parse_condition(text: str) -> ConceptCondition:
    """The condition that a text is. Raises ValueError if it is none.

    >>> parse_condition("oxygen < 16").variable
    'oxygen'
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        raise ValueError(
            f"'{text}' is no condition: expected a variable, an operator ({' '.join(OPERATORS)}) "
            "and a number, as in oxygen<16, or a variable alone"
        )
    number = found["number"]
    whole = "".join(text.split())
    if number is None:
        return ConceptCondition(whole, found["variable"])
    return ConceptCondition(whole, found["variable"], found["operator"], float(number))
