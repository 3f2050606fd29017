"""The published collections of agents, as data/collections.json has them.

A collection is what one project published; it is made of groups. The notation is in the file
itself, under "about"; a user's own catalogue may have collections in it too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

from atari_zoo.catalog.groups import Group


@cache
def published() -> tuple[Group, ...]:
    """The groups of the collections that come with the zoo, in order of precedence."""
    table = json.loads(resources.files("atari_zoo").joinpath("data/collections.json").read_text())
    return tuple(
        group for row in table["collections"] for group in groups(row, table.get("games", {}))
    )


def groups(collection: Any, lists: dict[str, list[str]]) -> Iterator[Group]:
    """What one collection's row stands for; `lists` are the lists of games it may name.

    Raises TypeError or KeyError where a field is unknown or missing.
    """
    if not isinstance(collection, dict):
        raise TypeError("a collection is an object with a name and groups")
    shared = {key: value for key, value in collection.items() if key not in ("name", "groups")}
    for row in collection["groups"]:
        fields = shared | row | {"collection": collection["name"]}
        for key in ("algorithms", "runs", "tags"):
            if key in fields:
                fields[key] = _spelt(fields[key])
        fields["games"] = tuple(
            name for word in fields["games"].split() for name in lists.get(word, [word])
        )
        yield Group(**{key: _frozen(value) for key, value in fields.items()})


def _spelt(words: str) -> dict[str, str]:
    """`"dqn iqn=implicit_quantile"` as names and their spellings."""
    pairs = (word.partition("=") for word in words.split())
    return {name: spelling or name for name, _, spelling in pairs}


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
