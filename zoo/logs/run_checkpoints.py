"""The tagged checkpoints of a run: what was kept of an agent, when, and how well it played then."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

from atari_zoo.catalog.catalog import entries, find
from atari_zoo.catalog.entries import Entry
from atari_zoo.catalog.fetching import Wanted, fetch
from atari_zoo.catalog.names import UnknownModel, collection_of
from atari_zoo.converters.arguments import checked
from atari_zoo.logs.checkpoint_files import Checkpoint as Checkpoint
from atari_zoo.logs.checkpoint_files import folder_checkpoints, original_checkpoints

KIND = "checkpoints"  # what the catalogue calls the file that tells of them


@checked
def checkpoints(source: str | Path) -> list[Checkpoint]:
    """The checkpoints of the model called `source`, or at that path, by their frames.

    source: a name; the original zoo's checkpoint JSON; a run's folder of the zoo's trainer or of
    Dopamine, whose log, where there is one, tells times and scores.
    Raises UnknownModel if there is neither a file nor a model of that name, LogError where it has
    no checkpoints or cannot be read, DownloadError where it cannot be fetched.

    >>> [(kept.tag, kept.frames) for kept in checkpoints("a2c/Pong/1")]
    [('initial', 0), ('final', 11600000)]
    """
    path = Path(source)
    if path.is_file():
        found = original_checkpoints(path)
    else:
        try:
            found = _of_model(find(str(source)))
        except UnknownModel:
            if not path.is_dir():
                raise
            found = folder_checkpoints(path)
    return sorted(found, key=lambda checkpoint: checkpoint.frames)


def _of_model(entry: Entry) -> list[Checkpoint]:
    """Those of the model's run, with the paths of those that are here."""
    card = entry.card
    run = entries(card.game, card.algorithm, card.run, collection=collection_of(card))
    here = {
        other.card.tag: str(other.path) for other in run if other.is_here and other.seed is None
    }
    if KIND in entry.extras:
        listed = original_checkpoints(fetch(Wanted(entry, entry.extras[KIND])))
        return [dataclasses.replace(kept, path=here.get(kept.tag, "")) for kept in listed]
    return [
        Checkpoint(
            other.card.tag or "final",
            other.card.frames,
            score=float(other.card.scores.get("mean", math.nan)),
            path=here.get(other.card.tag, ""),
        )
        for other in run
    ]
