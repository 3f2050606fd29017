"""One process at a time writes into a folder."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout


class Hold:
    """Keeps other processes out of a folder until it is released, or this process ends.

    folder: which is there.
    doing: what its holder does, for those that are kept out: "is training this run".

    Raises ValueError if there is another holder. Where a file system cannot lock, there is none.
    """

    def __init__(self, folder: Path, doing: str) -> None:
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
