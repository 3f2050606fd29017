"""A model's name, `[collection:]algorithm/Game/run[@tag]`, and what is said if no model has it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import product

from atari_zoo.converters.cards import ModelCard
from atari_zoo.games import UnknownGame
from atari_zoo.games import game as find_game

WORD = r"\w[\w.+-]*"  # the parts are folders in the cache too
GRAMMAR = re.compile(
    rf"((?P<collection>{WORD}):)?(?P<algorithm>{WORD})/(?P<game>[^@:]+)/(?P<run>{WORD})"
    rf"(@(?P<tag>{WORD}))?"
)


FEW = 12  # games that are told by name
STARTER = "starter"  # the package's own agents, whose names have no collection in them


class UnknownModel(ValueError):
    """A name that no model has; the message says which are near."""


@dataclass(frozen=True)
class Name:
    """A name in its parts.

    collection: None where the name does not say. tag: "" where it does not.
    game: as it was written; `title` is what the zoo calls it, "" if there is no such game.
    """

    collection: str | None
    algorithm: str
    game: str
    run: str
    tag: str = ""

    @classmethod
    def parse(cls, name: str) -> Name | None:
        """The parts of a name; None if it is not of a name's form."""
        found = GRAMMAR.fullmatch(name.strip())
        if found is None:
            return None
        parts = found.groupdict()
        return cls(**parts | {"algorithm": parts["algorithm"].lower(), "tag": parts["tag"] or ""})

    @property
    def title(self) -> str:
        """The game's name, however it was spelt; "" if there is no such game."""
        try:
            return find_game(self.game).name
        except UnknownGame:
            return ""


def file_name(name: str) -> str:
    """A model's name as files are called after it.

    >>> file_name("uber:a2c/Seaquest/3@400M")
    'uber-a2c-Seaquest-3@400M'
    """
    return re.sub(r"[^\w.+@-]+", "-", name)


def collection_of(card: ModelCard) -> str:
    """The collection a card belongs to."""
    return card.collection or STARTER


def no_such_model(name: str, cards: Sequence[ModelCard]) -> str:
    """Why none of the cards is called `name`, and what there is instead, in one line."""
    wanted = Name.parse(name)
    everywhere = f"`atari-zoo list` shows all {len(cards):,}"
    if wanted is None:
        kind = "model" if name.count("/") == 2 else "file or model"
        whole = Name.parse(f"{name}/1")  # such as a2c/Pong, where only the run is missing
        near = _near(whole, cards) if whole else []
        return f"no {kind} '{name}'; {_hint(near)}{everywhere}"
    if wanted.collection is not None:
        check_collection(wanted.collection, {collection_of(card): None for card in cards})
        cards = [card for card in cards if collection_of(card) == wanted.collection]
    title = wanted.title
    same = [card for card in cards if (card.algorithm, card.game) == (wanted.algorithm, title)]
    if not same:
        games = sorted({card.game for card in cards if card.algorithm == wanted.algorithm})
        if title and 0 < len(games) <= FEW:
            return f"no model '{name}'; there is {wanted.algorithm} for {', '.join(games)}"
        return f"no model '{name}'; {_hint(_near(wanted, cards))}{everywhere}"
    runs = [card for card in same if card.run == wanted.run]
    if not runs:
        return f"no model '{name}'; {wanted.algorithm}/{title} has the runs {_told(same, 'run')}"
    return f"no model '{name}'; run {wanted.run} has the tags {_told(runs, 'tag')}"


def check_collection(name: str, known: Collection[str]) -> None:
    """Raises UnknownModel, with those there are, if there is no such collection."""
    if name not in known:
        hint = _hint(difflib.get_close_matches(name, known, n=1))
        raise UnknownModel(f"no collection '{name}'; {hint}there are {', '.join(known)}")


def check_algorithm(name: str, known: Collection[str]) -> None:
    """Raises UnknownModel, with those there are, if no model is of such an algorithm."""
    if name.lower() not in known:
        hint = _hint(difflib.get_close_matches(name.lower(), known, n=1))
        raise UnknownModel(f"no algorithm '{name}'; {hint}there are {', '.join(known)}")


def _near(wanted: Name, cards: Sequence[ModelCard]) -> list[str]:
    """At most two names of models that were perhaps meant."""
    pairs = {(card.algorithm, card.game): None for card in cards}
    titles = {title.lower(): title for _, title in pairs}
    algorithms = difflib.get_close_matches(
        wanted.algorithm, {name for name, _ in pairs}, cutoff=0.5
    )
    games = difflib.get_close_matches((wanted.title or wanted.game).lower(), titles, cutoff=0.5)
    near = [pair for pair in product(algorithms, map(titles.__getitem__, games)) if pair in pairs]
    if (wanted.algorithm, wanted.title) in near:
        near = [(wanted.algorithm, wanted.title)]
    prefix = f"{wanted.collection}:" if wanted.collection else ""
    tag = f"@{wanted.tag}" if wanted.tag else ""
    return [f"{prefix}{algorithm}/{title}/{wanted.run}{tag}" for algorithm, title in near[:2]]


def _hint(near: Sequence[str]) -> str:
    return f"did you mean {' or '.join(map(repr, near))}? " if near else ""


def _told(cards: Sequence[ModelCard], part: str) -> str:
    """The runs or tags in each collection: `1 to 3 (uber); 1 (sb3)`."""
    found: dict[str, dict[str, None]] = {}
    for card in cards:
        found.setdefault(collection_of(card), {})[getattr(card, part)] = None
    return "; ".join(f"{_span(list(values))} ({where})" for where, values in found.items())


def _span(values: list[str]) -> str:
    numbers = [int(value) for value in values if value.isdigit()]
    if len(numbers) == len(values) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(value or "none" for value in values)
