"""The models there are, and where their files are. Answers without importing torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from atari_zoo.catalog.entries import Entry, Listed
from atari_zoo.catalog.groups import ModelGroup
from atari_zoo.catalog.model_lists import ModelList
from atari_zoo.catalog.names import (
    STARTER,
    Name,
    check_algorithm,
    check_collection,
    no_such_model,
)
from atari_zoo.catalog.names import UnknownModel as UnknownModel
from atari_zoo.catalog.published import published
from atari_zoo.catalog.user import user_catalog
from atari_zoo.converters.algorithms import ALGORITHMS
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.cards import ModelCard
from atari_zoo.downloads.cache import cached_models
from atari_zoo.games import game as find_game

INITIAL = "initial"  # the tag of a model before training
BEGINNING = ("seed", "virtual_batch")  # what it is made again from


@checked
def list_models(
    game: str | None = None,
    algorithm: str | None = None,
    run: str | int | None = None,
    tag: str | None = None,
    collection: str | None = None,
    offline: bool = False,
) -> ModelList:
    """Cards of the zoo's models; those first that a name without a collection means.

    What is given narrows them down. collection: such as "uber", or "starter" for the package's
    own agents. offline: only those that can be opened without a network.
    Raises UnknownGame or UnknownModel if there is no such game, algorithm or collection.
    """
    found = _found(game, algorithm, None if run is None else str(run), tag, collection)
    if offline:
        kept = {model.name for model in cached_models()}
        return ModelList(
            card
            for card, source in found
            if (card.name in kept or not card.collection) and source.entry(card).is_here
        )
    return ModelList(card for card, _ in found)


def entries(
    game: str | None = None,
    algorithm: str | None = None,
    run: str | None = None,
    tag: str | None = None,
    collection: str | None = None,
) -> list[Entry]:
    """The same models as `list_models`, with their files."""
    found = _found(game, algorithm, run, tag, collection)
    return [source.entry(card) for card, source in found]


def find(name: str) -> Entry:
    """The model called `name`, its game spelt in any way.

    A name without a collection means the first that has such a model; one without a tag means
    the last checkpoint. Raises UnknownModel, with what there is instead, if there is none.
    """
    wanted = Name.parse(name)
    if wanted is not None and wanted.title:
        for source in _sources(wanted.collection):
            for card in source.cards(wanted.title, wanted.algorithm, wanted.run, wanted.tag):
                return source.entry(card)
    raise UnknownModel(no_such_model(name, list_models()))


def measured_scores(name: str) -> dict[str, Any]:
    """What the catalogue says was measured on the model called `name`; empty if it lists none."""
    try:
        return find(name).card.scores
    except UnknownModel:
        return {}


def collections() -> dict[str, int]:
    """The names of the collections, in order of precedence, and how many models each lists."""
    counts: dict[str, int] = {}
    for source in _sources():
        counts[source.collection] = counts.get(source.collection, 0) + source.count
    return counts


def _found(
    game: str | None,
    algorithm: str | None,
    run: str | None,
    tag: str | None,
    collection: str | None,
) -> Iterator[tuple[ModelCard, ModelGroup | Listed]]:
    if collection is not None:
        check_collection(collection, collections())
    title = find_game(game).name if game else None
    parts = (title, algorithm.lower() if algorithm else None, run, tag)
    none = True
    for source in _sources(collection):
        for card in source.cards(*parts) if any(parts) else source.listing:
            none = False
            yield card, source
    if none and algorithm:  # perhaps for a slip of the pen
        check_algorithm(algorithm, ALGORITHMS | {card.algorithm: None for card in list_models()})


def _sources(collection: str | None = None) -> list[ModelGroup | Listed]:
    sources = [_starters(), *published(), *user_catalog()]
    return [source for source in sources if collection in (None, source.collection)]


@cache
def _starters() -> Listed:
    folder = Path(str(resources.files("atari_zoo").joinpath("data/agents")))
    found = []
    for row in json.loads((folder / "catalog.json").read_text()):
        card = ModelCard.from_json(json.dumps(row["card"]))
        log = folder / f"{card.algorithm}-{card.game}-{card.run}.log.jsonl"
        found.append(Entry(card, packaged=folder / row["file"], log=log))
        if not card.tag:
            begun = card.replace(tag=INITIAL, frames=0, scores={})
            begin = {name: row[name] for name in BEGINNING if name in row}
            found.append(Entry(begun, log=log, **begin))
    return Listed(STARTER, tuple(found))
