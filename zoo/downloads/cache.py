"""The folder where fetched models are kept.

<cache>/index.json                                        size, sha256 and date of every file
<cache>/<collection>/<algorithm>/<Game>/<run>[@tag]/...   the files, as they were published
<cache>/play/...                                          standard play, converted cached play

A folder of this layout is a mirror too, wherever it is served from: `ATARI_ZOO_MIRROR`.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from atari_zoo.downloads.index import FileIndex, sha256_of

PLAY = "play"  # the folder of play, which is made here again where it is gone


def root() -> Path:
    """`ATARI_ZOO_CACHE`, else the user's cache folder as the platform has it."""
    if given := os.environ.get("ATARI_ZOO_CACHE"):
        return Path(given).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("atari-zoo", appauthor=False)


@dataclass(frozen=True)
class CachedModel:
    """A model's folder in the cache.

    files: what is in it, parts of files too.
    size: bytes. fetched: when its last file came; "" where that is unknown.
    """

    name: str
    folder: Path
    files: tuple[Path, ...]
    size: int
    fetched: str


def cached_models(matching: str = "") -> list[CachedModel]:
    """What is in the cache, by name; only those that match, where that is given.

    matching: a part of their names, or a pattern such as `uber:*Pong*`.
    """
    base = root()
    records = FileIndex(base).records()
    found = []
    for folder in sorted(base.glob("*/*/*/*/")):
        name = _name(PurePosixPath(folder.relative_to(base).as_posix()))
        files = tuple(path for path in sorted(folder.iterdir()) if not path.name.startswith("."))
        if not files or not _matches(name, matching):
            continue
        known = [records.get(path.relative_to(base).as_posix()) for path in files]
        size = sum(path.stat().st_size for path in files)
        when = max((record.fetched for record in known if record), default="")
        found.append(CachedModel(name, folder, files, size, when))
    return found


def cached_play(matching: str = "") -> list[CachedModel]:
    """Play that is kept in the cache, called "play:" and its file's name; as `cached_models`."""
    found = []
    for path in sorted((root() / PLAY).glob("[!.]*")):
        name, facts = f"{PLAY}:{path.name}", path.stat()
        if _matches(name, matching):
            when = datetime.fromtimestamp(facts.st_mtime, UTC).isoformat(timespec="seconds")
            found.append(CachedModel(name, path.parent, (path,), facts.st_size, when))
    return found


def damaged(model: CachedModel) -> list[str]:
    """Reads a model's files again: a line for each that is not what it was when it came."""
    base = root()
    records = FileIndex(base).records()
    lines = []
    for path in model.files:
        record = records.get(path.relative_to(base).as_posix())
        if record is not None and (found := sha256_of(path)) != record.sha256:
            lines.append(f"{path}: sha256 expected {record.sha256}, got {found}")
    return lines


def prune(model: CachedModel) -> None:
    """Removes a model's folder or a play's file, and folders above that are empty then."""
    if model.folder == root() / PLAY:
        for file in model.files:
            file.unlink()
        return
    shutil.rmtree(model.folder)
    for folder in list(model.folder.parents)[:3]:
        if any(folder.iterdir()):
            break
        folder.rmdir()


def forget(matching: str) -> list[str]:
    """Drops the hashes of models' files, so that others may be fetched in their place.

    matching: as in `cached_models`. Returns the places of those files.
    """
    index = FileIndex(root())
    places = [
        place for place in index.records() if _matches(_name(PurePosixPath(place).parent), matching)
    ]
    index.forget(places)
    return places


def _name(place: PurePosixPath) -> str:
    collection, algorithm, game, run = place.parts
    return f"{collection}:{algorithm}/{game}/{run}"


def _matches(name: str, matching: str) -> bool:
    return matching in name or fnmatchcase(name, matching)
