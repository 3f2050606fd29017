"""Models fetched into the cache, or into a folder that is to be a mirror, several at a time.

A mirror is a folder laid out like the cache, `<mirror>/<collection>/<path>`, wherever it is served
from: a web server, a shared disk, a bucket. Any cache is one. `ATARI_ZOO_MIRROR` names those that
are asked first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue, SimpleQueue
from threading import Event, Thread

from atari_zoo.catalog.entries import Entry, RemoteFile
from atari_zoo.downloads.cache import root
from atari_zoo.downloads.downloads import DownloadError, Offline, OtherFile, fetch_file
from atari_zoo.downloads.index import FileIndex
from atari_zoo.downloads.transfers import DiskFull, Progress

WORKERS = 4  # files at once: more would be rude to the servers


@dataclass(frozen=True)
class Wanted:
    """One file of a model."""

    entry: Entry
    file: RemoteFile


class Stopped(Exception):
    """Whoever asked for the files does not want them any more."""


def mirrors() -> list[str]:
    """The addresses in `ATARI_ZOO_MIRROR`, which are divided by commas."""
    words = os.environ.get("ATARI_ZOO_MIRROR", "").split(",")
    return [word.strip().rstrip("/") for word in words if word.strip()]


def addresses(file: RemoteFile) -> list[str]:
    """Where to look for a file: in the user's mirrors first, then where it is published."""
    return [f"{mirror}/{file.place}" for mirror in mirrors()] + list(file.urls)


def fetched(entry: Entry, progress: Progress | None = None) -> Path:
    """The file to open of a model; what is not in the cache yet is fetched first.

    progress: called with the bytes done and in all (0 where unknown), for each file.
    Raises DownloadError, naming the model, if a file cannot be had; DiskFull if there is no room.
    """
    for file in entry.files:
        fetch(Wanted(entry, file), progress)
    return entry.path


def wanted_files(entries: Iterable[Entry], kinds: Iterable[str] = ()) -> list[Wanted]:
    """The files of models, each once, with those extras of `kinds` that they have.

    Raises ValueError if none of them has extras of such a kind.
    """
    entries = list(entries)
    there = {kind for entry in entries for kind in entry.extras}
    if unknown := set(kinds) - there:
        raise ValueError(
            f"no '{sorted(unknown)[0]}' beside these models; there are {', '.join(sorted(there))}"
            if there
            else f"no '{sorted(unknown)[0]}' beside these models, nor anything else"
        )
    files: dict[str, Wanted] = {}
    for entry in entries:
        extras = [entry.extras[kind] for kind in kinds if kind in entry.extras]
        for file in (*entry.files, *extras):
            files.setdefault(file.place, Wanted(entry, file))
    return list(files.values())


def fetch(wanted: Wanted, progress: Progress | None = None, folder: Path | None = None) -> Path:
    """One file, in `folder` as in a mirror, or in the cache.

    Its hash is the published one, or else the one that it had when it was first fetched.
    """
    file, name = wanted.file, wanted.entry.card.name
    index = FileIndex(folder or root())
    destination = index.folder / file.place
    recorded = index.records()
    if file.place in recorded and destination.exists():
        return destination
    known = recorded.get(file.place) or FileIndex(root()).records().get(file.place)
    sources = addresses(file)
    if folder is not None and file.path.exists():
        sources.insert(0, str(file.path))
    try:
        fetch_file(sources, destination, file.sha256 or (known.sha256 if known else ""), progress)
    except Offline:
        command = f"atari-zoo fetch {name}{_option(wanted)}"
        raise Offline(
            f"{name}: {destination} is not there, and ATARI_ZOO_OFFLINE is set; unset it and run "
            f"`{command}`, or copy that file from a machine that has it"
        ) from None
    except DownloadError as error:
        raise type(error)(f"{name}: {error}{_advice(wanted, error)}") from error
    if file.place not in recorded:
        with suppress(PermissionError):  # whose cache it is has put the file there by hand
            index.record(file.place)
    return destination


def fetch_all(
    wanted: Iterable[Wanted],
    progress: Callable[[Wanted, int, int], None] | None = None,
    folder: Path | None = None,
) -> Iterator[tuple[Wanted, Exception | None]]:
    """Fetches files in threads; yields each with what went wrong, in the order they come to an end.

    progress: called with the file, the bytes done and those in all (0 where unknown).
    If the caller goes away, what has arrived is kept. Raises DiskFull at once.
    """
    todo: SimpleQueue[Wanted] = SimpleQueue()
    done: Queue[tuple[Wanted, Exception | None]] = Queue()
    stop = Event()
    count = 0
    for item in wanted:
        todo.put(item)
        count += 1
    for _ in range(min(WORKERS, count)):  # daemons: a stalled server does not hold up Ctrl-C
        Thread(target=_work, args=(todo, done, stop, progress, folder), daemon=True).start()
    try:
        for _ in range(count):
            item, error = done.get()
            if isinstance(error, DiskFull):
                raise error
            yield item, error
    finally:
        stop.set()


def _work(
    todo: SimpleQueue[Wanted],
    done: Queue[tuple[Wanted, Exception | None]],
    stop: Event,
    progress: Callable[[Wanted, int, int], None] | None,
    folder: Path | None,
) -> None:
    while not stop.is_set():
        try:
            item = todo.get_nowait()
        except Empty:
            return

        def watch(bytes_done: int, size: int, item: Wanted = item) -> None:
            if stop.is_set():
                raise Stopped
            if progress is not None:
                progress(item, bytes_done, size)

        try:
            fetch(item, watch, folder)
            done.put((item, None))
        except Exception as error:  # told to the caller, who goes on with the other files
            done.put((item, error))


def _option(wanted: Wanted) -> str:
    """What `fetch` must be told besides the model's name to fetch this file of it."""
    kinds = (kind for kind, file in wanted.entry.extras.items() if file == wanted.file)
    return next((f" --with {kind}" for kind in kinds), "")


def _advice(wanted: Wanted, error: DownloadError) -> str:
    if isinstance(error, OtherFile) and not wanted.file.sha256:
        return f"; if you trust the new file, `atari-zoo cache --forget {wanted.entry.card.name}`"
    if not wanted.entry.checked:
        return " (this address was inferred from others of the collection)"
    return ""
