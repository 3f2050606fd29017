"""Registries: members that join by a name, as decorated functions or classes in files of their own.

Those files are imported when a registry is first asked, so that a new member is a new file, and
nothing that is not asked for is imported.
"""

from __future__ import annotations

import difflib
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from threading import RLock
from typing import Any, Generic, NamedTuple, TypeVar

Member = TypeVar("Member")


class RegisteredTwice(ValueError):
    """Two members claim a name; the message says where each of them stands."""


class _Entry(NamedTuple, Generic[Member]):
    """spec: of the module as it was loaded then; it is another one when that is loaded again."""

    member: Member
    module: str
    place: str
    spec: object


class Registry(Mapping[str, Member]):
    """Members by name, in the order of their homes, there of the files, and there of the lines.

    kind: what a member is called in errors, such as "method".
    homes: modules where members stand, by their full names; of a package, every module in it.

    >>> OPERATORS = Registry("operator", "atari_zoo.converters.recognition")
    >>> OPERATORS["Relu"]
    """

    def __init__(self, kind: str, *homes: str) -> None:
        self.kind = kind
        self._homes = homes
        self._entries: dict[str, _Entry[Member]] = {}
        self._lock = RLock()
        self._complete = self._importing = False

    def add(self, name: str, member: Member, definition: Callable[..., Any]) -> None:
        """Registers a member; `definition` is the function or class that tells where it stands.

        A module that is loaded again, or a notebook's cell that is run again, replaces its own.
        Raises RegisteredTwice if something else has that name.
        """
        module, place = definition.__module__, f"{definition.__module__}.{definition.__qualname__}"
        spec = getattr(sys.modules.get(module), "__spec__", None)
        there = self._entries.get(name)
        if there is not None:
            again = there.place == place and (spec is None or spec is not there.spec)
            if not again:
                raise RegisteredTwice(
                    f"two {self.kind}s are called '{name}': {there.place} and {place}; "
                    "give one of them another name"
                )
        self._entries[name] = _Entry(member, module, place, spec)

    def named(self, name: str) -> Member:
        """The member of that name; raises ValueError, with those there are, if there is none."""
        if name in self:
            return self[name]
        close = difflib.get_close_matches(name, self, 1)
        hint = f"did you mean '{close[0]}'? There are" if close else "there are"
        raise ValueError(f"no {self.kind} '{name}'; {hint} {', '.join(self)}")

    def __getitem__(self, name: str) -> Member:
        self._import()
        return self._entries[name].member

    def __iter__(self) -> Iterator[str]:
        self._import()
        return iter(sorted(self._entries, key=self._order))

    def __len__(self) -> int:
        self._import()
        return len(self._entries)

    def _order(self, name: str) -> tuple[int, str]:
        """The same whichever module was imported first; what was added from elsewhere is last."""
        module = self._entries[name].module
        within = [f"{module}.".startswith(f"{home}.") for home in self._homes]
        return within.index(True) if any(within) else len(within), module

    def _import(self) -> None:
        if self._complete:
            return
        with self._lock:
            if self._complete or self._importing:  # a member's module may ask while it is imported
                return
            self._importing = True
            try:
                for home in self._homes:
                    _import_all(home)
                self._complete = True
            finally:
                self._importing = False


def _import_all(home: str) -> None:
    """The module; and, if it is a package, the modules in it, but not the packages."""
    path = getattr(import_module(home), "__path__", ())
    for found in pkgutil.iter_modules(path, f"{home}."):
        if not found.ispkg:
            import_module(found.name)
