"""One published model: its card, the files it is made of, and where they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from atari_zoo.catalog.names import collection_of
from atari_zoo.converters.cards import ModelCard
from atari_zoo.downloads.cache import root


@dataclass(frozen=True)
class RemoteFile:
    """A file that can be fetched.

    place: where it is kept, below the cache's folder and below a mirror's address alike, such as
        `uber/a2c/Pong/1@400M/model1_400M.pb`.
    urls: where it is published; tried in turn.
    sha256: of its content, in hexadecimal; "" where unknown.
    """

    place: str
    urls: tuple[str, ...]
    sha256: str = ""

    @property
    def path(self) -> Path:
        """Where it is, once it is fetched."""
        return root() / self.place


@dataclass(frozen=True)
class Entry:
    """A model's card and its files.

    files: what it cannot be read without, the one to open first; none if it is in the package.
    extras: what was published beside it, by kind: "play", "log", "checkpoints", "video" ...
    packaged, log: its file inside this package, and its run's training log.
    seed, virtual_batch: if not None, it is the network before training, which is in no file but
        made again: see `initial_network`.
    megabytes: about what `files` take.
    checked: false where the addresses are inferred and were never seen to work.
    """

    card: ModelCard
    files: tuple[RemoteFile, ...] = ()
    extras: dict[str, RemoteFile] = field(default_factory=dict)
    packaged: Path | None = None
    log: Path | None = None
    seed: int | None = None
    virtual_batch: int = 0
    megabytes: float = 0
    checked: bool = True

    @property
    def path(self) -> Path:
        """The file to open: in the package, or in the cache once it is fetched.

        Raises ValueError if there is none, the model being made from a seed.
        """
        if self.seed is not None:
            raise ValueError(f"{self.card.name} is no file: it is made again from its seed")
        return self.packaged or self.files[0].path

    @property
    def folder(self) -> Path:
        """Its folder in the cache, where what is made of it may be kept too."""
        return root() / model_place(self.card, self.card.tag)

    @property
    def is_here(self) -> bool:
        """Whether it can be opened without a network."""
        # nothing is needed of what is packaged, or made from a seed
        return all(file.path.is_file() for file in self.files)


@dataclass(frozen=True)
class Listed:
    """Models of one collection that are listed one by one."""

    collection: str
    entries: tuple[Entry, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.entries)

    @property
    def listing(self) -> tuple[ModelCard, ...]:
        """The cards of all of them."""
        return tuple(entry.card for entry in self.entries)

    def cards(
        self,
        game: str | None = None,
        algorithm: str | None = None,
        run: str | None = None,
        tag: str | None = None,
    ) -> Iterator[ModelCard]:
        """The cards of those that have what is given."""
        for entry in self.entries:
            parts = (entry.card.game, entry.card.algorithm, entry.card.run, entry.card.tag)
            pairs = zip(parts, (game, algorithm, run, tag), strict=True)
            if all(wanted in (None, part) for part, wanted in pairs):
                yield entry.card

    def entry(self, card: ModelCard) -> Entry:
        """The model that a card is of."""
        return next(entry for entry in self.entries if entry.card is card)


def model_place(card: ModelCard, tag: str) -> str:
    """A model's folder below the cache's, such as `uber/a2c/Pong/1@400M`.

    tag: "" for what its checkpoints have in common.
    """
    run = f"{card.run}@{tag}" if tag else card.run
    return f"{collection_of(card)}/{card.algorithm}/{card.game}/{run}"
