"""Analyses by name: functions of recordings, agents or logs to a `Result`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from importlib.metadata import version
from pathlib import Path
from typing import Any, ParamSpec

import pandas

from atari_zoo.analysis.results import Made, Result
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.registration import Registry

P = ParamSpec("P")


@dataclass(frozen=True)
class RegisteredAnalysis:
    """An analysis and its facts.

    function: its positional arguments are what is analysed, its keywords the settings.
    source: the paper of the method. verb: the command that runs it. example: of its settings.
    """

    name: str
    function: Callable[..., Result]
    summary: str
    source: str
    verb: str
    example: str = ""


ANALYSES: Registry[RegisteredAnalysis] = Registry("analysis", "atari_zoo.analysis")


def analysis(
    name: str, source: str = "", verb: str = "", example: str = ""
) -> Callable[[Callable[P, Result]], Callable[P, Result]]:
    """Registers a function as the analysis of that name; its results tell how they were made.

    Name and verb are written as text: they are read from the file before it is imported.
    source: the paper of the method. verb: of the command line; the name if not given.
    example: words of the command line that it cannot do without, such as "--units conv3:26".

    >>> @analysis("lives", source="https://arxiv.org/abs/1812.07069")
    ... def lives(recording: Recording, *, seed: int = 0) -> Result: ...
    """

    def register(function: Callable[P, Result]) -> Callable[P, Result]:
        @wraps(function)
        def analysed(*args: P.args, **kwargs: P.kwargs) -> Result:
            result = function(*args, **kwargs)
            return replace(result, made=_made(name, source, function, args, kwargs))

        summary = (inspect.getdoc(function) or "").partition("\n")[0]
        # whoever runs it by its name gives names for agents, too
        facts = summary, source, verb or name, example
        registered = RegisteredAnalysis(name, checked(analysed), *facts)
        ANALYSES.add(name, registered, function)
        return analysed

    return register


def _made(name: str, source: str, function: Any, args: Any, kwargs: Any) -> Made:
    signature = inspect.signature(function)
    given = signature.bind(*args, **kwargs)
    given.apply_defaults()
    inputs, settings = {}, {}
    for parameter in signature.parameters.values():
        value = given.arguments[parameter.name]
        if parameter.kind is not parameter.KEYWORD_ONLY:
            inputs[parameter.name] = _called(value)
        elif not callable(value):  # such as what shows progress
            settings[parameter.name] = _plain(value)
    return Made(name, source, inputs, settings, version("atari-zoo"))


def _called(value: Any) -> Any:
    """How a log, a network or a recording is called."""
    if isinstance(value, pandas.DataFrame):
        return str(value.attrs.get("source", ""))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_called(part) for part in value]
    return str(getattr(value, "name", "") or value.card.name)


def _plain(value: Any) -> Any:
    """A setting as JSON has it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    return [_plain(part) for part in value]
