"""Files fetched whole and verified or not at all, once for all processes, from any mirror.

Made by hand, since no kept library checks digests, tries several mirrors and resumes with If-Range.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from atari_zoo.converters.not_models import ENOUGH, stand_in
from atari_zoo.downloads.addresses import https_form
from atari_zoo.downloads.index import sha256_of
from atari_zoo.downloads.transfers import Progress, discard, transfer
from atari_zoo.downloads.web import Cut, OtherContent, Refused

SHARED = 0o666  # mode of locks, less what the user's umask takes: a group may share a cache


class DownloadError(ValueError):
    """A file could not be fetched; the message says why at each of its addresses."""


class OtherFile(DownloadError):
    """What is at an address now has another hash than it must have."""


class Offline(DownloadError):
    """A file is not here, and `ATARI_ZOO_OFFLINE` forbids to fetch it."""


def fetch_file(
    urls: Sequence[str],
    destination: Path,
    sha256: str = "",
    progress: Progress | None = None,
) -> Path:
    """The file at `destination`; if it is not there it is fetched first, from the first of `urls`
    that has it.

    urls: http(s), gs, s3 ... or a file's path.
    sha256: what its content must have; "" where unknown.
    progress: called with the bytes done, and those in all (0 where unknown).

    Nothing is at `destination` until the whole has been verified. Raises DownloadError if no
    address gives it, OtherFile if one gives another, Offline if `ATARI_ZOO_OFFLINE` is set,
    DiskFull if there is no room.
    """
    if destination.exists():
        return destination
    if is_offline():
        raise Offline(
            f"{destination} is not there, and ATARI_ZOO_OFFLINE is set; unset it and try again, "
            "or copy the file to that place"
        )
    from filelock import FileLock

    destination.parent.mkdir(parents=True, exist_ok=True)
    lock = destination.with_name(f".{destination.name}.lock")
    with FileLock(lock, mode=SHARED):
        if not destination.exists():  # another process may have been first
            _from_any(urls, destination, sha256, progress)
        lock.unlink(missing_ok=True)  # those who wait find the file, whichever lock they hold
    return destination


def is_offline() -> bool:
    """Whether `ATARI_ZOO_OFFLINE` forbids every request."""
    return os.environ.get("ATARI_ZOO_OFFLINE", "") not in ("", "0")


def _from_any(
    urls: Sequence[str], destination: Path, sha256: str, progress: Progress | None
) -> None:
    part = destination.with_name(f"{destination.name}.part")
    reasons: list[str] = []
    failure = DownloadError
    for url in dict.fromkeys(urls):
        try:
            transfer(url, part, progress)
            _accept(part, destination, sha256)
            return
        except (Refused, Cut) as error:
            reasons.append(f"{https_form(url)}: {error}")
            failure = OtherFile if isinstance(error, OtherContent) else failure
    raise failure(f"could not fetch {destination.name}: {'; '.join(reasons)}")


def _accept(part: Path, destination: Path, sha256: str) -> None:
    """The part becomes the file, if its content is what it must be."""
    with part.open("rb") as file:
        reason = stand_in(file.read(ENOUGH))
    if reason:
        discard(part)
        raise Refused(reason)
    if sha256 and (found := sha256_of(part)) != sha256:
        discard(part)
        raise OtherContent(
            f"sha256 expected {sha256}, got {found}: the file is damaged, or was changed where it "
            "is published"
        )
    with part.open("rb") as file:
        os.fsync(file.fileno())  # the content reaches the disk before the name does
    part.replace(destination)
    discard(part)
