"""Models' files at any address, kept in the zoo's cache with the hash that they first had.

<cache>/web/<host>/<digest of the address>/1/<file>    so that `atari-zoo cache` tells of them
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from atari_zoo.downloads.cache import root
from atari_zoo.downloads.downloads import DownloadError, OtherFile, fetch_file
from atari_zoo.downloads.index import FileIndex
from atari_zoo.downloads.transfers import Progress

FOLDER = "web"
UNNAMED = "model"
LONGEST = 100  # characters of a file's name


def fetched_address(url: str, progress: Progress | None = None) -> Path:
    """The file at an address: http(s), gs or s3; fetched if it is not in the cache.

    What is fetched again must be what it was. Raises DownloadError if it cannot be had.
    """
    where = urlsplit(url)
    if not where.netloc:
        raise DownloadError(f"'{url}' is no address; expected https://host/path/to/agent.zip")
    digest = hashlib.sha256(url.encode()).hexdigest()[:16]
    host = re.sub(r"[^\w.-]", "_", where.hostname or where.netloc)
    place = f"{FOLDER}/{host}/{digest}/1/{_file_name(where.path)}"
    index = FileIndex(root())
    known = index.records().get(place)
    try:
        path = fetch_file([url], root() / place, known.sha256 if known else "", progress)
    except OtherFile as error:
        name = f"{FOLDER}:{host}/{digest}"
        raise OtherFile(
            f"{error}; if you trust the new file, `atari-zoo cache --forget {name}`"
        ) from error
    if known is None:
        with suppress(PermissionError):  # a cache that others keep
            index.record(place)
    return path


def _file_name(path: str) -> str:
    """The last part of an address's path as a file may be called: endings tell formats."""
    name = re.sub(r"[^\w.+-]", "_", unquote(PurePosixPath(path).name)).lstrip(".")
    return name[-LONGEST:] or UNNAMED
