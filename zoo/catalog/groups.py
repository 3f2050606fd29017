"""Models that differ in algorithm, game, run and tag alone: one row stands for thousands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import product
from typing import Any

from atari_zoo.catalog.entries import Entry, RemoteFile, model_place
from atari_zoo.converters.algorithms import ALGORITHMS
from atari_zoo.converters.cards import PREPROCESSINGS, ModelCard
from atari_zoo.games import games


@dataclass(frozen=True)
class ModelGroup:
    """Every combination of some algorithms, games, runs and tags of a collection.

    algorithms, runs, tags: the zoo's name of each, and how the addresses spell it; a tag's
        spellings are divided by `|`. The last tag is meant where a name has none.
    other_tags: a regular expression of tags that exist but are too many to list.
    tag_frames: emulator frames of training at a tag; `frames` elsewhere.
    files, extras: templates of addresses below each of the `mirrors`, or whole addresses.
    sha256: of files, by their place.
    megabytes, checked: as in `Entry`.
    """

    collection: str
    title: str
    algorithms: dict[str, str]
    games: tuple[str, ...]
    runs: dict[str, str]
    format: str
    preprocessing: str
    mirrors: tuple[str, ...]
    files: tuple[str, ...]
    source: str = ""
    citation: str = ""
    tags: dict[str, str] = field(default_factory=lambda: {"": ""})
    other_tags: str = ""
    tag_frames: dict[str, int] = field(default_factory=dict)
    extras: dict[str, str] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)
    action_rule: str = ""
    licence: str = ""
    frames: int = 0
    megabytes: float = 0
    checked: bool = True

    @property
    def default_tag(self) -> str:
        """The tag that a name without one means; "" if the group has none."""
        return list(self.tags)[-1]

    @property
    def count(self) -> int:
        """How many models it lists."""
        return len(self.algorithms) * len(self.games) * len(self.runs) * len(self.tags)

    @cached_property
    def listing(self) -> tuple[ModelCard, ...]:
        """The cards of all its models."""
        return tuple(self.cards())

    def tags_named(self, name: str) -> list[str]:
        """The tag as it is spelt here, the default for ""; nothing if there is none such."""
        if not name:
            return [self.default_tag]
        known = [tag for tag in self.tags if tag.lower() == name.lower()]
        if not known and self.other_tags and re.fullmatch(self.other_tags, name):
            return [name]
        return known

    def cards(
        self,
        game: str | None = None,
        algorithm: str | None = None,
        run: str | None = None,
        tag: str | None = None,
    ) -> Iterator[ModelCard]:
        """The cards of its models; only those that have what is given, "" for the default tag."""
        actions = _actions()
        for name, title, number, checkpoint in product(
            _only(self.algorithms, algorithm),
            _only(self.games, game),
            _only(self.runs, run),
            self.tags if tag is None else self.tags_named(tag),
        ):
            yield ModelCard(
                name,
                title,
                number,
                checkpoint,
                actions[title],
                self.action_rule or ALGORITHMS[name].action_rule,
                collection=self.collection,
                preprocessing=PREPROCESSINGS[self.preprocessing],
                source=self.title,
                format=self.format,
                licence=self.licence,
                frames=self.tag_frames.get(checkpoint, self.frames),
            )

    def entry(self, card: ModelCard) -> Entry:
        """One of its models, with its files."""
        files = tuple(self._file(card, template) for template in self.files)
        extras: dict[str, RemoteFile] = {}
        taken = {file.place for file in files}
        for kind, template in self.extras.items():
            extras[kind] = self._file(card, template)
            if extras[kind].place in taken:  # two were published under one name
                extras[kind] = self._file(card, template, f"{kind}-")
            taken.add(extras[kind].place)
        return Entry(card, files, extras, megabytes=self.megabytes, checked=self.checked)

    def _file(self, card: ModelCard, template: str, prefix: str = "") -> RemoteFile:
        bases = ("",) if "://" in template else tuple(f"{base}/" for base in self.mirrors)
        spellings = self.tags.get(card.tag, card.tag).split("|")
        urls = [
            (base + template).format(
                algorithm=self.algorithms[card.algorithm],
                game=card.game,
                run=self.runs[card.run],
                tag=spelling,
            )
            for base, spelling in product(bases, spellings)
        ]
        folder = model_place(card, card.tag if "{tag}" in template else "")
        place = f"{folder}/{prefix}{urls[0].rpartition('/')[2]}"
        return RemoteFile(place, tuple(dict.fromkeys(urls)), self.sha256.get(place, ""))


def _only(names: Any, wanted: str | None) -> Any:
    return names if wanted is None else [name for name in names if name == wanted]


@cache
def _actions() -> dict[str, tuple[str, ...]]:
    return {game.name: game.actions for game in games()}
