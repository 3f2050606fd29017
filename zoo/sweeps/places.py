"""Places of a sweep's results: a folder, or an address such as s3://bucket/sweep.

<place>/sweep.json                   the job and its settings
<place>/<model>/seed-<n>/result.json what the job returned; written last, so what has it is whole
<place>/<model>/seed-<n>/...         what the job wrote
<place>/report.md, report.json       the whole, when it ends
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import Any

from atari_zoo.converters.files import remove_empty, written_whole

RESULT, SWEEP = "result.json", "sweep.json"


class Place:
    """A folder, on this machine or one that fsspec reaches.

    Raises OSError where it cannot be read or written, ImportError if the address needs another
    package.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self.remote = "://" in where
        if self.remote:
            import fsspec

            # another sweep may be writing there: what was listed once is not believed
            self._system, self._root = fsspec.core.url_to_fs(where, use_listings_cache=False)

    def read(self, name: str) -> Any:
        """A JSON file's content; None if it is not there."""
        try:
            if self.remote:
                return json.loads(self._system.cat_file(f"{self._root}/{name}"))
            return json.loads((Path(self.where) / name).read_text())
        except FileNotFoundError:
            return None

    def write(self, name: str, content: str) -> None:
        """Writes a file, whole or not at all."""
        if self.remote:
            self._system.pipe_file(f"{self._root}/{name}", content.encode())
            return
        path = Path(self.where) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as beside:
            beside.write_text(content)

    def unwrite(self, name: str) -> None:
        """Removes a file, and its folder if nothing else is in it."""
        if self.remote:
            self._system.rm_file(f"{self._root}/{name}")
            return
        (Path(self.where) / name).unlink(missing_ok=True)
        remove_empty([Path(self.where)])

    @contextmanager
    def room(self, name: str) -> Iterator[Path]:
        """An empty folder for a job to write into; what is left there goes."""
        near = None if self.remote else Path(self.where)
        if near is not None:
            near.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=_unfinished(name), dir=near))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def tidy(self, names: Iterable[str]) -> None:
        """Removes what processes that died have left of tasks that are done."""
        if not self.remote:
            for name in names:
                for folder in Path(self.where).glob(f"{escape(_unfinished(name))}*"):
                    shutil.rmtree(folder, ignore_errors=True)

    def keep(self, folder: Path, name: str, result: dict[str, Any]) -> None:
        """Keeps what a job wrote and returned; if another process was first, that is kept."""
        text = json.dumps(result, indent=1) + "\n"
        if self.remote:
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                inside = file.relative_to(folder).as_posix()
                self._system.put_file(str(file), f"{self._root}/{name}/{inside}")
            self.write(f"{name}/{RESULT}", text)
            return
        (folder / RESULT).write_text(text)
        folder.chmod(0o755)  # temporary folders are for one user alone
        target = Path(self.where) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.rename(target)
        except OSError:
            if not (target / RESULT).is_file():
                raise


def _unfinished(name: str) -> str:
    return f".unfinished-{name.replace('/', '-')}-"
