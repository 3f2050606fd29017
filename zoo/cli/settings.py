"""NAME=VALUE, as options of the command line give any number of settings."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Iterable
from typing import Any


def settings(
    texts: Iterable[str], example: str = "learning_rate=1e-3", option: str = "--set"
) -> dict[str, Any]:
    """The values by name: numbers, lists and the like as Python writes them, else text.

    Raises ValueError, with the example and the option's name, if one of them has no "=".

    >>> settings(["envs=8", "levels=[0, 0.1]", "kind=frame"])
    {'envs': 8, 'levels': [0, 0.1], 'kind': 'frame'}
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"{option} takes NAME=VALUE, such as {example}; it was '{text}'")
        try:
            found[name] = literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value
    return found
