"""Files that are whole or absent, in folders that one process at a time writes into."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@contextmanager
def written_whole(path: str | Path, sync: bool = True) -> Iterator[Path]:
    """Yields a file beside `path` to write to; it becomes `path` only if nothing fails.

    sync: waits for the disk, so that it is whole even after a power cut; without, only a process
        that dies does no harm.

    Raises OSError, naming `path`, where it cannot be written.
    """
    path = Path(path)
    beside = _beside(path)
    try:
        yield beside
        if sync:
            with beside.open("rb") as file:
                os.fsync(file.fileno())  # the content reaches the disk before the name does
        beside.chmod(0o644)
        beside.replace(path)
    except OSError as error:
        raise _about(path, error) from error
    finally:
        beside.unlink(missing_ok=True)


def check_ending(path: str | Path, *endings: str) -> None:
    """Raises ValueError if a name ends otherwise: what is written would not be what it says.

    >>> check_ending("curves.jpg", ".png", ".svg")
    ValueError: curves.jpg: its name must end in .png or .svg
    """
    if endings and Path(path).suffix.lower() not in endings:
        raise ValueError(f"{path}: its name must end in {' or '.join(endings)}")


def check_parent(path: str | Path) -> None:
    """Raises FileNotFoundError, PermissionError unless there is a folder to write `path` into."""
    parent = Path(path).absolute().parent
    if not parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {parent}; make it first")
    if not os.access(parent, os.W_OK):
        raise PermissionError(f"{path}: the folder {parent} cannot be written in")


def missing_folders(path: Path) -> list[Path]:
    """The folder and those above it that are not there, the innermost first."""
    return [folder for folder in (path, *path.parents) if not folder.exists()]


def remove_empty(folders: Iterable[Path]) -> None:
    """Removes folders in turn, but for those in which something is."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def encodable(text: str) -> str:
    """The text with U+FFFD where it holds a lone surrogate, which no file in UTF-8 can.

    They come from paths that are no UTF-8, and from JSON such as "\\udcff".
    """
    return LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


class Hold:
    """Keeps other processes out of a folder until it is released, or this process ends.

    folder: which is there.
    doing: what its holder does, for those that are kept out: "is training this run".

    Raises ValueError if there is another holder. Where a file system cannot lock, there is none.
    """

    def __init__(self, folder: Path, doing: str) -> None:
        from filelock import FileLock, Timeout  # here, as who only reads holds nothing

        self._file = folder / ".lock"
        self._lock = FileLock(self._file)
        try:
            self._lock.acquire(blocking=False)
        except Timeout as error:
            raise ValueError(
                f"{folder}: another process {doing}; wait for it to end, stop it, or choose "
                "another folder"
            ) from error
        except NotImplementedError:
            pass

    def release(self) -> None:
        """Lets others in; a second time does nothing."""
        if self._lock.is_locked:
            with suppress(OSError):
                self._file.unlink()  # before, as afterwards it might be another's
            self._lock.release()


def _beside(path: Path) -> Path:
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent
        )
    except OSError as error:
        raise _about(path, error) from error
    os.close(handle)
    return Path(name)


def _about(path: Path, error: OSError) -> OSError:
    """The same error, but of the file that was asked for."""
    return type(error)(error.errno, error.strerror, str(path))
