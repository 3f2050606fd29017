"""Options that change a part of how screens are seen, made from where the parts are declared."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import fields
from typing import Annotated, Any, get_type_hints

import typer

from atari_zoo.converters.preprocessings import Preprocessing
from atari_zoo.play.plans import FLAT

USUAL = "the preprocessing's"
PARTS = {f.name: f for f in fields(Preprocessing) if f.name != "name"}  # that is --preprocessing


def preprocessing_parameters(taken: Container[str] = ()) -> list[inspect.Parameter]:
    """The parameters of a verb that has them, as typer reads them; None where one is not given.

    taken: names that the verb has already, as those that play have of sticky actions.
    """
    return [_parameter(name) for name in PARTS if name not in taken]


def take_preprocessing(words: dict[str, Any], named: str | None) -> Mapping[str, Any] | str | None:
    """Takes the parts that were given out of a verb's words: the name of a preprocessing, and what
    is to be changed of it; the name alone, or None, where nothing is.

    Raises ValueError for what is no list of whole numbers where one is expected.
    """
    given = {name: words.pop(name) for name in PARTS if name in words}
    parts = {name: _read(name, value) for name, value in given.items() if value is not None}
    if not parts:
        return named
    return parts if named is None else {"name": named, **parts}


def with_preprocessing(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a verb that has `preprocessing` the option of that name, and those of its parts."""
    own, kinds = inspect.signature(command), get_type_hints(command, include_extras=True)

    def run(**words: Any) -> None:
        words["preprocessing"] = take_preprocessing(words, words["preprocessing"])
        command(**words)

    kinds["preprocessing"] = Annotated[
        str | None, typer.Option(help=FLAT["preprocessing"].about.help)
    ]
    there = [p.replace(annotation=kinds[p.name]) for p in own.parameters.values()]
    return signed_as(run, command, [*there, *preprocessing_parameters()])


def signed_as(
    run: Callable[..., None], command: Callable[..., None], parameters: Sequence[inspect.Parameter]
) -> Callable[..., None]:
    """`run`, which typer takes for `command` with these parameters."""
    keywords = [p.replace(kind=p.KEYWORD_ONLY) for p in parameters]
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    vars(run)["__signature__"] = inspect.signature(command).replace(parameters=keywords)
    run.__annotations__ = {p.name: p.annotation for p in keywords}
    return run


def _parameter(name: str) -> inspect.Parameter:
    part = PARTS[name]
    flag = f"--{name.replace('_', '-')}"
    kinds = {bool: bool, int: int, float: float, str: str, tuple: str}
    kind = kinds[type(part.default)]
    flags = [f"{flag}/--no-{flag[2:]}"] if kind is bool else [flag]
    about = typer.Option(*flags, help=part.metadata["help"], show_default=USUAL)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, about]
    )


def _read(name: str, value: Any) -> Any:
    if not isinstance(PARTS[name].default, tuple):
        return value
    numbers = re.split(r"\s*[,x]\s*", value.strip())
    if not all(number.isdigit() for number in numbers):
        example = "80x80" if name == "size" else "35,195,0,160"
        raise ValueError(f"--{name} is '{value}'; expected whole numbers, as in {example}")
    return tuple(map(int, numbers))
