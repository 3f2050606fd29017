"""Files that are whole or absent: written beside their place, then renamed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
