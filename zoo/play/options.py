"""Options of a rollout: what is to be said of each, beside its name, type and default.

An option is a field of a dataclass. Its help, range and choices are read from there by the checks,
`rollout`'s signature and docstring, the command line, sweeps' jobs and recordings' headers.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from types import GenericAlias, NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

KEY = "option"  # among a field's metadata


@dataclass(frozen=True)
class OptionFacts:
    """What there is to say of an option.

    help: a sentence or two, for everybody; more: for who calls it from Python.
    least, most: its range, both ends included. choices: what it, or each of them, may be.
    noun: what errors call it, where that is not its name.
    flat: its name where it stands beside those of what holds it, if not its own.
    flag: what the command line calls it, if not so.
    verbs: of the command line that have it.
    header: the field of a recording's header that tells it; "" for what changes nothing there.
    """

    help: str
    more: str = ""
    least: float | None = None
    most: float | None = None
    choices: Collection[str] = ()
    noun: str = ""
    flat: str = ""
    flag: str = ""
    verbs: Sequence[str] = ("play", "record")
    header: str = "options"

    @property
    def range(self) -> str:
        """In words; "" if it has none."""
        if self.least is None:
            return ""
        if self.most is None:
            return f"at least {self.least:g}"
        return f"from {self.least:g} to {self.most:g}"


def option(default: Any, help: str, more: str = "", **facts: Any) -> Any:
    """A dataclass's field with what `OptionFacts` has to say of it."""
    return field(default=default, metadata={KEY: OptionFacts(help, more, **facts)})


def options(holder: type[Any]) -> Iterator[tuple[Field[Any], OptionFacts]]:
    """The options that a dataclass has, in their order."""
    yield from ((f, f.metadata[KEY]) for f in fields(holder))


def check_options(holder: Any) -> None:
    """Raises ValueError if an option of a dataclass's instance is out of its range or choices."""
    check_values(type(holder), **vars(holder))


def check_values(holder: type[Any], **values: Any) -> None:
    """The same of some values that the dataclass's options might have."""
    for f, about in options(holder):
        if f.name not in values:
            continue
        value, name = values[f.name], about.noun or f.name
        if isinstance(f.default, tuple):
            _check_several(f.name, value, about)
        elif about.choices and isinstance(value, str) and value not in about.choices:
            raise ValueError(f"no {name} '{value}'; there are {', '.join(about.choices)}")
        elif about.least is not None and value is not None and not _within(value, about):
            raise ValueError(f"{name} is {value}; it must be {about.range}")


def _check_several(name: str, values: Sequence[Any], about: OptionFacts) -> None:
    if isinstance(values, str):
        raise ValueError(f"{name} is '{values}'; expected a list, such as ['{values}']")
    unknown = [value for value in values if about.choices and value not in about.choices]
    if unknown:
        raise ValueError(f"cannot {name} '{unknown[0]}'; there are {', '.join(about.choices)}")


def _within(value: Any, about: OptionFacts) -> bool:
    least, most = about.least or 0, math.inf if about.most is None else about.most
    return isinstance(value, int | float) and math.isfinite(value) and least <= value <= most


@dataclass(frozen=True)
class Flat:
    """An option where there are no parts: that of a dataclass, or of what such an option holds.

    path: its name, after that of the option that holds it.
    kind: its type, None aside; `str` for what is given by name.
    """

    name: str
    path: tuple[str, ...]
    kind: Any
    default: Any
    about: OptionFacts


def flattened(holder: type[Any]) -> dict[str, Flat]:
    """The options of a dataclass by flat names; where one holds others, those in its place."""
    kinds = get_type_hints(holder)
    found: dict[str, Flat] = {}
    for f, about in options(holder):
        kind = _kind(kinds[f.name])
        if is_dataclass(kind) and isinstance(kind, type):
            parts = flattened(kind).values()
            inner = [
                Flat(part.name, (f.name, *part.path), part.kind, part.default, part.about)
                for part in parts
            ]
        else:
            name = about.flat or f.name
            default = None if f.default is MISSING else f.default
            inner = [Flat(name, (f.name,), kind, default, about)]
        found |= {flat.name: flat for flat in inner}
    return found


def gathered(holder: type[Any], flat: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a dataclass from values by flat names, those aside that are not given."""
    kinds, places = get_type_hints(holder), flattened(holder)
    found: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {}
    for name, value in flat.items():
        first, *rest = places[name].path
        if rest:
            parts.setdefault(first, {})[rest[0]] = value
        else:
            found[first] = value
    return found | {name: _kind(kinds[name])(**values) for name, values in parts.items()}


def _kind(hint: Any) -> Any:
    """A type without None; of several, text: what has a name can be given by it."""
    if not isinstance(hint, UnionType):
        return GenericAlias(list, get_args(hint)) if get_origin(hint) is Sequence else hint
    kinds = [kind for kind in get_args(hint) if kind is not NoneType]
    return kinds[0] if len(kinds) == 1 else str
