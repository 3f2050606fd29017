"""Signatures of functions that take a plan's options, made from where these are declared."""

from __future__ import annotations

import difflib
import inspect
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec, Protocol, cast, get_type_hints, overload, runtime_checkable

from atari_zoo.converters.network.foreign import Network
from atari_zoo.play.options import options
from atari_zoo.play.plans import Plan
from atari_zoo.recordings.recordings import Recording

P = ParamSpec("P")
WIDTH = 96  # columns of a docstring's lines
HOLE = "{options}"  # where a docstring has the options


@runtime_checkable
class RolloutFunction(Protocol[P]):
    """`rollout`, for type checkers: it takes what a plan takes."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a text is a sequence of texts, too
        self,
        network: Network | str | Path,
        plan: Plan | None = None,
        /,
        *args: P.args,
        **options: P.kwargs,
    ) -> Recording: ...
    @overload
    def __call__(
        self,
        network: Sequence[Network | str | Path],
        plan: Plan | None = None,
        /,
        *args: P.args,
        **options: P.kwargs,
    ) -> list[Recording]: ...


def takes_options(plan: Callable[P, Plan]) -> Callable[[Callable[..., Any]], RolloutFunction[P]]:
    """Gives a function of a network and a plan the plan's options, in signature and docstring."""

    holder = cast("type[Plan]", plan)

    def given(function: Callable[..., Any]) -> RolloutFunction[P]:
        own = inspect.signature(function)
        first = [p for p in own.parameters.values() if p.kind is p.POSITIONAL_ONLY]
        signed = own.replace(parameters=[*first, *parameters(holder)])
        vars(function)["__signature__"] = signed
        function.__doc__ = (inspect.getdoc(function) or "").replace(HOLE, options_text(holder))
        return cast("RolloutFunction[P]", function)

    return given


def parameters(plan: type[Plan]) -> Iterable[inspect.Parameter]:
    """A plan's options as a function's parameters, by keyword alone."""
    kinds = get_type_hints(plan)
    for f, _ in options(plan):
        yield inspect.Parameter(
            f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=kinds[f.name]
        )


def options_text(plan: type[Plan]) -> str:
    """What a docstring says of the options, a paragraph each."""
    texts = []
    for f, about in options(plan):
        reach = f"It is {about.range}." if about.range else ""
        words = " ".join(filter(None, (about.help, about.more, reach)))
        text = f"{f.name}: {words}"
        texts.append(textwrap.fill(text, WIDTH, subsequent_indent=" " * 4, break_on_hyphens=False))
    return "\n".join(texts)


def planned(plan: Plan | None, given: dict[str, Any]) -> Plan:
    """The plan with those options, or a new one of them. TypeError for one that there is not."""
    names = [f.name for f, _ in options(Plan)]
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
            raise TypeError(f"a rollout has no option '{name}'; {hint}")
    return Plan(**given) if plan is None else replace(plan, **given)
