"""Where else the files are: the mirrors that `ATARI_ZOO_MIRROR` names.

A mirror is a folder laid out like the cache, `<mirror>/<collection>/<path>`, wherever it is served
from: a web server, a shared disk, a bucket. Any cache is one.
"""

from __future__ import annotations

import os

from atari_zoo.catalog.entries import RemoteFile


def mirrors() -> list[str]:
    """The addresses in `ATARI_ZOO_MIRROR`, which are divided by commas."""
    words = os.environ.get("ATARI_ZOO_MIRROR", "").split(",")
    return [word.strip().rstrip("/") for word in words if word.strip()]


def addresses(file: RemoteFile) -> list[str]:
    """Where to look for a file: in the user's mirrors first, then where it is published."""
    return [f"{mirror}/{file.place}" for mirror in mirrors()] + list(file.urls)
