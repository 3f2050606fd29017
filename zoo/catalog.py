"""The models there are, and where their files are. Answers without importing torch."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from atari_zoo.converters.cards import ModelCard
from atari_zoo.games import UnknownGame
from atari_zoo.games import game as find_game


class UnknownModel(ValueError):
    """A name that no model has; the message says which are near."""


@dataclass(frozen=True)
class Entry:
    """A model's card and the file it is in."""

    card: ModelCard
    path: Path


def list_models(game: str | None = None, algorithm: str | None = None) -> list[ModelCard]:
    """Cards of the zoo's models, by name; only those of a game or an algorithm if given.

    Raises UnknownGame if there is no such game.
    """
    wanted = find_game(game).name if game else None
    return [
        entry.card
        for entry in entries()
        if wanted in (None, entry.card.game) and algorithm in (None, entry.card.algorithm)
    ]


def find(name: str) -> Entry:
    """The model called `name`, its game spelt in any way.

    Raises UnknownModel, with the nearest names, if there is none.
    """
    known = {entry.card.name: entry for entry in entries()}
    wanted = _spelling(name)
    if wanted in known:
        return known[wanted]
    near = difflib.get_close_matches(wanted, known, n=2, cutoff=0.5)
    hint = f"did you mean '{' or '.join(near)}'? " if near else ""
    kind = "file or model" if "." in name or name.count("/") != 2 else "model"
    raise UnknownModel(f"no {kind} '{name}'; {hint}`atari-zoo list` shows all {len(known)}")


@cache
def entries() -> tuple[Entry, ...]:
    """Every model, by name."""
    folder = resources.files("atari_zoo").joinpath("data/agents")
    rows = json.loads(folder.joinpath("catalog.json").read_text())
    return tuple(
        Entry(ModelCard.from_json(json.dumps(row["card"])), Path(str(folder.joinpath(row["file"]))))
        for row in rows
    )


def _spelling(name: str) -> str:
    parts = name.split("/", 1)
    if len(parts) != 2:
        return name
    algorithm, rest = parts
    title, slash, run = rest.rpartition("/")
    try:
        return f"{algorithm.lower()}/{find_game(title).name}{slash}{run}"
    except UnknownGame:
        return name
