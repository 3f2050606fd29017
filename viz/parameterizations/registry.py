"""Parameterizations by name, as a command or a page chooses them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor

from atari_zoo.converters.registration import Registry

# of real observations (steps, 4, 84, 84), where there are some, to a parameterization
Maker = Callable[[Tensor | None], Any]
Kind = TypeVar("Kind", bound=type)
ROOM = "atari_zoo.viz.parameterizations"
PARAMETERIZATIONS: Registry[Maker] = Registry("parameterization", f"{ROOM}.parameterizations", ROOM)


def parameterized_as(name: str, make: Maker | None = None) -> Callable[[Kind], Kind]:
    """Registers a class under a name.

    make: of observations of real play, or None, what the name stands for; if not given, the
        class without arguments. Raises ValueError if it cannot do without observations.
    """

    def register(kind: Kind) -> Kind:
        PARAMETERIZATIONS.add(name, make or (lambda observations: kind()), kind)
        return kind

    return register
