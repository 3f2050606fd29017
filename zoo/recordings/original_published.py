"""Play that was published beside the original zoo's models, fetched when it is asked for."""

from __future__ import annotations

from pathlib import Path

from atari_zoo.catalog.catalog import entries, find
from atari_zoo.catalog.entries import Entry
from atari_zoo.catalog.fetching import Wanted, fetch
from atari_zoo.converters.cards import ModelCard
from atari_zoo.downloads.bars import download_bars
from atari_zoo.recordings.original_files import played_with
from atari_zoo.recordings.original_play import CachedPlay, open_cached_play

KIND = "play"  # what the catalogue calls it


def open_published_play(name: str) -> CachedPlay:
    """The play published of the model called `name`; 30 to 100 MB are fetched if it is not here.

    Raises UnknownModel if there is no such model, ValueError if no play of it was published,
    DownloadError if it cannot be fetched, ConversionError if it is damaged.

    >>> open_published_play("uber:a2c/Seaquest/3").steps
    2501
    """
    entry = find(name)
    # it saw as the original zoo showed it, which is not always as it was trained to
    seen = played_with(entry.card.algorithm)
    return open_cached_play(_fetched(entry, name), entry.card.replace(preprocessing=seen))


def _fetched(entry: Entry, name: str) -> Path:
    if KIND not in entry.extras:
        raise ValueError(
            f"no play of '{name}' was published{_others(entry.card)}; "
            f"`atari-zoo record {name}` makes some"
        )
    with download_bars() as update:
        return fetch(
            Wanted(entry, entry.extras[KIND]),
            lambda done, size: update(entry.card.name, done, size),
        )


def _others(card: ModelCard) -> str:
    """Where play of that algorithm, game and run was published, if anywhere."""
    alike = entries(card.game, card.algorithm, card.run, tag=card.tag)
    there = [entry.card.name for entry in alike if KIND in entry.extras]
    return f" (but of '{there[0]}')" if there else ""
