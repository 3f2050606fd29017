"""One attempt after another at one address, until a file is whole; what is there is kept.

The part that has arrived lies beside the file's place as `NAME.part`; `NAME.part.json` says which
address it is of and which version (ETag or Last-Modified), so that a later attempt, even of
another process, asks the server for the rest of that version only.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from atari_zoo.downloads.addresses import opened
from atari_zoo.downloads.web import Body, Cut, Refused, Unreachable

Progress = Callable[[int, int], None]  # bytes done, bytes in all or 0 where unknown

PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds before trying again; with progress it begins anew
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DiskFull(ValueError):
    """There is no room for the rest of a file."""


@dataclass(frozen=True)
class Part:
    """The beginning of a file: of which address and which version of it.

    version: "" where the server tells none; then it cannot be gone on with.
    """

    url: str = ""
    version: str = ""


def transfer(url: str, part: Path, progress: Progress | None = None) -> None:
    """Brings what is at `url` to the file `part`, from where an earlier attempt ended.

    Raises Refused if the server has no such file, Unreachable if there is no answer, Cut if the
    connection breaks again and again, DiskFull if there is no room; what has arrived is kept.
    """
    pauses, begun = iter(PAUSES), False
    while True:
        before = _size(part)
        try:
            return _attempt(url, part, progress)
        except Cut as error:
            if _size(part) > before:
                pauses, begun = iter(PAUSES), True
            pause = next(pauses, None)
            if pause is None or (isinstance(error, Unreachable) and not begun):
                raise
            time.sleep(max(pause, error.wait))


def discard(part: Path) -> None:
    """Removes a part and what is known of it."""
    part.unlink(missing_ok=True)
    _about(part).unlink(missing_ok=True)


def _attempt(url: str, part: Path, progress: Progress | None) -> None:
    known = _known(part)
    begun = _size(part) if known.url == url and known.version else 0
    with opened(url, begun, known.version if begun else "") as body:
        if body.start == 0:
            part.write_bytes(b"")  # before its version is noted: the two never disagree
            _about(part).write_text(json.dumps(asdict(Part(url, body.version))))
        _write(body, part, progress)
    if body.digest is not None:
        _check(part, *body.digest)


def _write(body: Body, part: Path, progress: Progress | None) -> None:
    done = body.start
    try:
        with part.open("ab", buffering=0) as file:
            for chunk in body.chunks:
                _all_of(chunk, file.fileno())
                done += len(chunk)
                if progress is not None:
                    progress(done, body.size)
    except OSError as error:
        if error.errno not in FULL:
            raise
        size = f" of {body.size / 1e6:.1f}" if body.size else ""
        raise DiskFull(
            f"{part.parent}: no room: {_size(part) / 1e6:.1f}{size} MB are there and kept; make "
            "room, or set ATARI_ZOO_CACHE to a folder on another disk, and try again"
        ) from error
    if body.size and done != body.size:
        raise Cut(f"the connection ended after {done:,} of {body.size:,} bytes")


def _all_of(chunk: bytes, file: int) -> None:
    """A full disk takes a part of a chunk before it refuses the rest."""
    view = memoryview(chunk)
    while view:
        view = view[os.write(file, view) :]


def _check(part: Path, algorithm: str, expected: str) -> None:
    with part.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if found != expected:
        discard(part)
        raise Refused(f"damaged on the way: {algorithm} expected {expected}, got {found}")


def _known(part: Path) -> Part:
    try:
        return Part(**json.loads(_about(part).read_text()))
    except (OSError, ValueError, TypeError):
        return Part()


def _about(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
