"""Verbs of `atari-zoo`: each is a decorated function in a file of this room."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TypeVar

from atari_zoo import cli

Verb = TypeVar("Verb", bound=Callable[..., None])


@dataclass(frozen=True)
class Command:
    """What is typed after `atari-zoo`: the function that runs, and lines that show how."""

    name: str
    run: Callable[..., None]
    examples: tuple[str, ...]

    @property
    def epilog(self) -> str:
        """The examples, for the end of `--help`; \\b keeps its lines as they are."""
        return "\n".join(["\b", "Examples:", *(f"  $ {line}" for line in self.examples)])


VERBS: dict[str, Command] = {}


def verb(*examples: str) -> Callable[[Verb], Verb]:
    """Makes a function a verb, called as the function is; its parameters are the options.

    examples: whole command lines. Raises ValueError if there is none, if one shows another verb,
    or if the name is taken.
    """

    def register(run: Verb) -> Verb:
        name = run.__name__.strip("_").replace("_", "-")
        if not examples or any(line.split()[:2] != ["atari-zoo", name] for line in examples):
            raise ValueError(f"'{name}' wants examples, each with `atari-zoo {name}`: {examples}")
        if name in VERBS:
            raise ValueError(f"two verbs '{name}': {VERBS[name].run.__module__}, {run.__module__}")
        VERBS[name] = Command(name, run, examples)
        return run

    return register


def verbs() -> list[Command]:
    """Those of every file in this room, by name."""
    for module in pkgutil.iter_modules(cli.__path__):
        if module.name != "app":  # it asks
            import_module(f"{cli.__name__}.{module.name}")
    return [VERBS[name] for name in sorted(VERBS)]
