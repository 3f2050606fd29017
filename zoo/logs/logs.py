"""Training logs, which tell how an agent learned: one table, whatever program wrote it."""

from __future__ import annotations

from pathlib import Path

import pandas

from atari_zoo.catalog.catalog import entries, find
from atari_zoo.catalog.fetching import Wanted, fetch
from atari_zoo.catalog.names import UnknownModel
from atari_zoo.converters.arguments import checked
from atari_zoo.logs.formats import LOG_FORMATS as LOG_FORMATS
from atari_zoo.logs.formats import LogError as LogError
from atari_zoo.logs.formats import sniffed
from atari_zoo.logs.places import told_beside, told_by
from atari_zoo.logs.tables import NAMES

KIND = "log"  # what the catalogue calls it


@checked
def training_log(source: str | Path) -> pandas.DataFrame:
    """The training log of the model called `source`, or at that path: a file or a run's folder.

    Columns: algorithm, game, run (text), frames (of the emulator, int64), seconds (since the run
    began), score (mean return of recent episodes), episodes (that the mean is of), and what else
    the source tells; numbers that are unknown are NaN. A run's rows are in the order of time.
    Its `attrs` tell the source, and the model's collection.

    Raises UnknownModel if there is neither a file nor a model of that name, LogError if it has no
    log, or one that cannot be read, DownloadError if it cannot be fetched.

    >>> training_log("a2c/Pong/1").columns[:7].tolist()
    ['algorithm', 'game', 'run', 'frames', 'seconds', 'score', 'episodes']
    """
    path, facts = _place(source)
    form, files = sniffed(path)
    try:
        table = form.read(files)
    except LogError as error:
        raise LogError(f"{path}: {form.title}: {error}") from error
    collection = facts.pop("collection", "")
    for column, value in facts.items():
        if (table[column] == NAMES[column]).all():  # what the log itself tells goes first
            table[column] = value
    table.attrs |= {"source": str(source), "collection": collection}
    return table


def log_file(name: str) -> Path:
    """The file of the training log of the model called `name`, fetched if it is not here.

    Raises UnknownModel if there is no such model, LogError if no log of it was published,
    DownloadError if it cannot be fetched.
    """
    entry = find(name)
    if entry.log is not None:
        return entry.log
    if KIND in entry.extras:
        return fetch(Wanted(entry, entry.extras[KIND]))
    raise LogError(f"no training log of '{name}' was published")


def logged(
    game: str | None = None, algorithm: str | None = None, collection: str | None = None
) -> list[str]:
    """The names of the runs whose training logs are published; what is given narrows them down.

    Raises UnknownGame or UnknownModel if there is no such game or collection.
    """
    found = [
        entry.card.replace(tag="").name  # a run's checkpoints have one log
        for entry in entries(game, algorithm, collection=collection)
        if KIND in entry.extras or entry.log is not None
    ]
    return list(dict.fromkeys(found))


def _place(source: str | Path) -> tuple[Path, dict[str, str]]:
    """Where the log is, and what its name or path tells: a file first, a name, then a folder."""
    path = Path(source)
    if not path.is_file():
        try:
            card = find(str(source)).card
        except UnknownModel:
            if not path.is_dir():
                raise
        else:
            named = ("algorithm", "game", "run", "collection")
            return log_file(str(source)), {part: getattr(card, part) for part in named}
    return path, told_by(path.resolve()) | told_beside(path)
