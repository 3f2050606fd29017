"""Listings of repositories' files, kept for when there is no connection.

The Hub's own cache has the files that were fetched, which do not tell what else there was to choose
from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from atari_zoo.converters.files import written_whole
from atari_zoo.downloads.cache import root

FOLDER = "listings"  # of the cache


def note_files(repo: str, commit: str, files: Sequence[str]) -> None:
    """Keeps which files a repository has at a commit; where that cannot be kept, it is not."""
    path = _place(repo, commit)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as beside:
            beside.write_text(json.dumps(list(files)), "utf-8")


def noted_files(repo: str, commit: str) -> list[str] | None:
    """The same, if it is known."""
    try:
        found = json.loads(_place(repo, commit).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return [str(file) for file in found] if isinstance(found, list) else None


def _place(repo: str, commit: str) -> Path:
    # a digest, since names of the Hub are no names of files everywhere
    return root() / FOLDER / f"{hashlib.sha256(f'{repo}@{commit}'.encode()).hexdigest()}.json"
