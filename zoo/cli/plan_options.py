"""Options of the command line that are a rollout's, made from where a plan declares them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_origin, get_type_hints

import typer

from atari_zoo.cli.preprocessing_options import (
    preprocessing_parameters,
    signed_as,
    take_preprocessing,
)
from atari_zoo.play.options import Flat
from atari_zoo.play.plans import FLAT, plan_of

LENGTHS = {"steps", "episodes"}  # of which a plan has one
PLAN = "plan"  # the parameter in whose place the options come


def with_plan_options(verb: str, usual: Mapping[str, Any]) -> Callable[[Callable[..., None]], Any]:
    """Gives a verb the options that it has of a plan, in the place of its parameter `plan`.

    usual: what the verb takes where an option is not given, if that is not the plan's own default.
    """
    there = {name: flat for name, flat in FLAT.items() if verb in flat.about.verbs}
    parts = preprocessing_parameters(there) if "preprocessing" in there else []

    def given(command: Callable[..., None]) -> Callable[..., None]:
        own, kinds = inspect.signature(command), get_type_hints(command, include_extras=True)

        def run(**words: Any) -> None:
            flat = {name: words.pop(name) for name in there}
            if parts:
                flat["preprocessing"] = take_preprocessing(words, flat["preprocessing"])
            asked = {name: value for name, value in flat.items() if value is not None}
            if not LENGTHS & asked.keys():
                asked |= {name: usual[name] for name in LENGTHS & usual.keys()}
            command(**words, **{PLAN: plan_of(asked)})

        parameters: list[inspect.Parameter] = []
        for parameter in own.parameters.values():
            if parameter.name == PLAN:
                parameters += [_parameter(flat, usual) for flat in there.values()]
            else:
                parameters.append(parameter.replace(annotation=kinds[parameter.name]))
        parameters += parts
        return signed_as(run, command, parameters)

    return given


def _parameter(flat: Flat, usual: Mapping[str, Any]) -> inspect.Parameter:
    """One of the verb's parameters, as typer reads them."""
    default = usual.get(flat.name, flat.default)
    shown: bool | str = True
    if flat.name in LENGTHS and default is not None:  # the other one may be given instead
        default, shown = None, str(default)
    if get_origin(flat.kind) is list:
        default = list(default) or None
    reach = f" {flat.about.range[0].upper()}{flat.about.range[1:]}." if flat.about.range else ""
    flags = [flat.about.flag] if flat.about.flag else []
    kind: Any = Annotated[
        flat.kind | None if default is None else flat.kind,
        typer.Option(*flags, help=flat.about.help + reach, show_default=shown),
    ]
    return inspect.Parameter(
        flat.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind
    )
