"""Arguments of public functions: of the kind that the signature says, or one line says so.

A name or a path serves wherever a network or a recording is wanted.
"""

from __future__ import annotations

import inspect
import os
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import cache, wraps
from importlib import import_module
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

P = ParamSpec("P")
R = TypeVar("R")

PLAIN: Mapping[Any, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "True or False"),
    int: ((Integral,), "a whole number"),
    float: ((Real,), "a number"),
    str: ((str,), "text"),
    Path: ((os.PathLike,), "a path"),
}
NETWORKS = "AgentNetwork MnihNetwork ImpalaNetwork RecurrentNetwork ForeignNetwork".split()
# by the names of classes: what finds one by a name or a path, which stands above this file; what
# tells another of its kind; and what is said of it
NETWORK = ("atari_zoo.models", "as_network", "state_dict", "a network, or its name")
FOUND = {
    **dict.fromkeys(NETWORKS, NETWORK),
    "Recording": ("atari_zoo.recordings.files", "as_recording", "starts", "a recording"),
}
# the same of several, by the class of each
SEVERAL = {
    **dict.fromkeys(NETWORKS, ("atari_zoo.models", "as_networks")),
    "Subject": ("atari_zoo.analysis.subjects", "as_subjects"),
}
JAXTYPING = "jaxtyping"  # its classes look into shapes, which functions do with words of their own
LONGEST = 60  # characters of a value that is shown


class WrongKind(TypeError, ValueError):
    """An argument of another kind than is wanted."""


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Makes a function refuse arguments of another kind than its signature says.

    Numbers, texts, paths, networks and recordings are looked at; what else there is the function
    itself must. Raises WrongKind with the argument's name, what was given and what was expected.
    """
    signature = inspect.signature(function)
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    single = {p.name for p in signature.parameters.values() if p.kind not in several}

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            given = signature.bind(*args, **kwargs)
        except TypeError:
            return function(*args, **kwargs)  # which says what is missing, or too much
        kinds = _kinds(function)
        for name in single & given.arguments.keys():
            given.arguments[name] = fitting_argument(
                name, given.arguments[name], kinds.get(name, Any)
            )
        return function(*given.args, **given.kwargs)

    return call


def check_kinds(holder: Any) -> None:
    """The same of a dataclass's instance, for its `__post_init__`."""
    kind: Any = type(holder)
    kinds = _kinds(kind)
    for field in fields(holder):
        given = getattr(holder, field.name)
        value = fitting_argument(field.name, given, kinds.get(field.name, Any))
        if value is not given:
            object.__setattr__(holder, field.name, value)  # it may be frozen


def fitting_argument(name: str, value: Any, hint: Any) -> Any:
    """The value, or what its name stands for. Raises WrongKind if it is of another kind."""
    if get_origin(hint) is Sequence:
        kinds = map(_name, _parts(get_args(hint)[0]))
        if of_each := next((SEVERAL[kind] for kind in kinds if kind in SEVERAL), None):
            return getattr(import_module(of_each[0]), of_each[1])(value)
    parts = _parts(hint)
    texts = isinstance(value, str | os.PathLike)
    found = next((FOUND[kind] for kind in map(_name, parts) if kind in FOUND), None)
    if found and texts and not {str, Path} & set(parts):
        return getattr(import_module(found[0]), found[1])(value)
    expected: dict[str, None] = {}
    for part in parts:
        if part is types.NoneType:
            fits, words = value is None, "None"
        elif part in PLAIN:
            fits, words = isinstance(value, PLAIN[part][0]), PLAIN[part][1]
            fits = fits and (part is bool or not isinstance(value, bool))
        elif _name(part) in FOUND:
            fits, words = hasattr(value, FOUND[_name(part)][2]), FOUND[_name(part)][3]
        elif _is_class(part):
            fits, words = isinstance(value, part), f"a {_name(part)}"
        else:
            return value  # of a kind that only the function knows
        if fits:
            own = part not in (int, float) or type(value) in (int, float)
            return value if own else part(value)  # NumPy's numbers become Python's
        expected[words] = None
    raise WrongKind(f"{name} is {shown_value(value)}; expected {' or '.join(expected)}")


def shown_value(value: Any) -> str:
    """A value for a message, cut where it is long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}"


@cache
def _kinds(function: Any) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except NameError:  # names that are imported for type checkers alone
        return {}


def _parts(hint: Any) -> list[Any]:
    if get_origin(hint) in (Union, types.UnionType):
        return [part for each in get_args(hint) for part in _parts(each)]
    return [hint]


def _is_class(kind: Any) -> bool:
    own = getattr(kind, "__module__", "").partition(".")[0] != JAXTYPING
    return isinstance(kind, type) and own and not getattr(kind, "_is_protocol", False)


def _name(kind: Any) -> str:
    return str(getattr(kind, "__name__", ""))
