"""The published collections of agents, as data/collections.json has them.

A collection is what one project published; it is made of groups. The notation is in the file
itself, under "about"; a user's own catalogue may have collections in it too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import MISSING
from dataclasses import fields as fields_of
from functools import cache
from importlib import resources
from typing import Any

from atari_zoo.catalog.groups import ModelGroup


class BadGroup(ValueError):
    """A row of a collection that stands for no group; the message says why."""


@cache
def published() -> tuple[ModelGroup, ...]:
    """The groups of the collections that come with the zoo, in order of precedence."""
    table = json.loads(resources.files("atari_zoo").joinpath("data/collections.json").read_text())
    return tuple(
        group for row in table["collections"] for group in groups(row, table.get("games", {}))
    )


def groups(collection: Any, lists: dict[str, list[str]]) -> Iterator[ModelGroup]:
    """What one collection's row stands for; `lists` are the lists of games it may name.

    Raises BadGroup where a field is unknown, missing or no text.
    """
    if not isinstance(collection, dict):
        raise BadGroup("a collection is an object with a name and groups")
    for key in ("name", "groups"):
        if key not in collection:
            raise BadGroup(f"it has no '{key}'")
    shared = {key: value for key, value in collection.items() if key not in ("name", "groups")}
    for row in collection["groups"]:
        fields = shared | row | {"collection": collection["name"]}
        _check(fields)
        for key in ("algorithms", "runs", "tags"):
            if key in fields:
                fields[key] = _spelt(fields[key])
        fields["games"] = tuple(
            name for word in fields["games"].split() for name in lists.get(word, [word])
        )
        yield ModelGroup(**{key: _frozen(value) for key, value in fields.items()})


def _check(given: dict[str, Any]) -> None:
    known = {field.name: field for field in fields_of(ModelGroup)}
    if unknown := sorted(given.keys() - known.keys()):
        raise BadGroup(f"no field '{unknown[0]}'; there are {', '.join(known)}")
    for name, field in known.items():
        optional = field.default is not MISSING or field.default_factory is not MISSING
        if name not in given and not optional:
            raise BadGroup(f"'{name}' is missing in a group")
    for name in ("algorithms", "games", "runs", "tags"):
        if not isinstance(given.get(name, ""), str):
            raise BadGroup(f"'{name}' is a text, its words divided by blanks: not {given[name]!r}")


def _spelt(words: str) -> dict[str, str]:
    """`"dqn iqn=implicit_quantile"` as names and their spellings."""
    pairs = (word.partition("=") for word in words.split())
    return {name: spelling or name for name, _, spelling in pairs}


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
