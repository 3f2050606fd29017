"""The kinds of training logs: each is told by its content and read by one decorated function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pandas

from atari_zoo.converters.registration import Registry

START = 4096  # bytes of a file that `sniff` is shown: a first row has paths in it
LARGEST = 64 << 20  # bytes of a log; those of 200 million frames take some 5 MB
FILES = 1024  # in a folder: one for each copy of the game


class LogError(ValueError):
    """What was given is no training log, or a damaged one; the message says which and where."""


@dataclass(frozen=True)
class LogFormat:
    """A kind of log: how it is found in a run's folder, told from others, and read.

    inside: patterns of its files' names in the folder of a run.
    sniff: whether a file is one, by its first bytes.
    read: the common table (`log_tables`) of the files of one run.
    largest: bytes in all its files.
    rank: of several kinds in one folder the lowest is read.
    """

    title: str
    inside: Sequence[str]
    sniff: Callable[[bytes], bool]
    read: Callable[[Sequence[Path]], pandas.DataFrame]
    largest: int
    rank: int = 0


LOG_FORMATS: Registry[LogFormat] = Registry("log format", "atari_zoo.logs")


def log_reader(
    name: str,
    title: str,
    sniff: Callable[[bytes], bool],
    inside: Sequence[str] = (),
    largest: int = LARGEST,
    rank: int = 0,
) -> Callable[
    [Callable[[Sequence[Path]], pandas.DataFrame]], Callable[[Sequence[Path]], pandas.DataFrame]
]:
    """Registers a function as the reader of a kind of log."""

    def register(
        read: Callable[[Sequence[Path]], pandas.DataFrame],
    ) -> Callable[[Sequence[Path]], pandas.DataFrame]:
        LOG_FORMATS.add(name, LogFormat(title, inside, sniff, read, largest, rank), read)
        return read

    return register


def sniffed(path: Path) -> tuple[LogFormat, list[Path]]:
    """The kind of log at `path`, a file or a run's folder, and the files it is in.

    Raises LogError if there is none of a known kind, or if it is too large.
    """
    found = _in_folder(path) if path.is_dir() else _in_file(path)
    if found is None:
        known = "; ".join(form.title for form in LOG_FORMATS.values())
        if path.is_file() and not path.stat().st_size:
            raise LogError(f"{path}: the file is empty")
        kind = "a folder without a training log" if path.is_dir() else "not a training log"
        raise LogError(f"{path}: {kind} of a known kind ({known})")
    form, files = found
    size = sum(file.stat().st_size for file in files)
    if size > form.largest:
        raise LogError(
            f"{path}: {size / 1e6:.0f} MB are too large for {form.title}, "
            f"of which at most {form.largest / 1e6:.0f} MB are read"
        )
    return form, files


def _in_file(path: Path) -> tuple[LogFormat, list[Path]] | None:
    if not path.is_file():
        raise LogError(f"{path}: there is no such file")
    with path.open("rb") as file:
        start = file.read(START)
    for form in LOG_FORMATS.values():
        if form.sniff(start):
            return form, [path]
    return None


def _in_folder(path: Path) -> tuple[LogFormat, list[Path]] | None:
    for form in sorted(LOG_FORMATS.values(), key=lambda form: form.rank):
        for pattern in form.inside:
            there = (file for file in islice(path.glob(pattern), FILES) if file.is_file())
            files = sorted(file for file in there if file.stat().st_size)
            if files and (found := _in_file(files[0])) and found[0] is form:
                return form, files
    return None
