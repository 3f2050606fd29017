"""The index of a cache or a mirror: what every file in it was when it was first fetched."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from atari_zoo.converters.files import written_whole

INDEX_FILE = "index.json"


@dataclass(frozen=True)
class FileRecord:
    """What is known of a file that was fetched: bytes, hash, and when."""

    size: int
    sha256: str
    fetched: str


class FileIndex:
    """The records of the files below a folder, by their place in it.

    A record outlives its file: what is fetched again must have the same content.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / INDEX_FILE

    def records(self) -> dict[str, FileRecord]:
        """All of them, by place. Raises ValueError if the index cannot be read."""
        try:
            rows = json.loads(self.file.read_text())
            return {place: FileRecord(**row) for place, row in rows.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{self.file}: the index of what was fetched cannot be read; delete it, and "
                "hashes are recorded anew"
            ) from error

    def record(self, place: str) -> FileRecord:
        """Takes down what a file now is."""
        path = self.folder / place
        now = datetime.now(UTC).isoformat(timespec="seconds")
        record = FileRecord(path.stat().st_size, sha256_of(path), now)
        with self._changing() as records:
            records[place] = record
        return record

    def forget(self, places: Iterable[str]) -> None:
        """Drops records: their files may then be others when they are fetched again."""
        with self._changing() as records:
            for place in places:
                records.pop(place, None)

    @contextmanager
    def _changing(self) -> Iterator[dict[str, FileRecord]]:
        from filelock import FileLock

        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / f".{INDEX_FILE}.lock", mode=0o666):  # a group may share it
            records = self.records()
            yield records
            rows = {place: asdict(records[place]) for place in sorted(records)}
            with written_whole(self.file) as beside:
                beside.write_text(json.dumps(rows, indent=1) + "\n")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
