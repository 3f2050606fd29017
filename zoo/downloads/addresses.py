"""Files at addresses of any kind: the web, or all that fsspec knows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from atari_zoo.downloads.web import CHUNK, Body, Cut, Refused, in_words, over_http


def https_form(url: str) -> str:
    """A bucket's address as anyone may read it, without an account."""
    return re.sub(
        r"^(gs://|https://storage\.cloud\.google\.com/)", "https://storage.googleapis.com/", url
    )


def opened(url: str, start: int = 0, version: str = "") -> AbstractContextManager[Body]:
    """A context that gives the Body of what is at `url`, from byte `start` of `version` on.

    The body begins at 0 all the same if that version is no longer there.
    Raises Refused or Cut, both with a reason in a few words.
    """
    url = https_form(url)
    way = over_http if url.startswith(("http://", "https://")) else _from_files
    return way(url, start, version)


@contextmanager
def _from_files(url: str, start: int, version: str) -> Iterator[Body]:
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(url)
        size = int(system.info(path).get("size") or 0)
        found = str(system.ukey(path))
        file = system.open(path, "rb")
    except FileNotFoundError as error:
        raise Refused("no such file") from error
    except Exception as error:  # each of fsspec's systems has errors of its own
        raise Refused(in_words(error)) from error
    with file:
        begun = start if found == version else 0
        file.seek(begun)
        yield Body(_chunks(file), begun, size, found)


def _chunks(file: Any) -> Iterator[bytes]:
    try:
        yield from iter(partial(file.read, CHUNK), b"")
    except Exception as error:
        raise Cut(in_words(error)) from error
