"""A progress bar for each file that is being fetched; on a terminal only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from rich.console import Console


@contextmanager
def download_bars() -> Iterator[Callable[[str, int, int], None]]:
    """Yields update(file, bytes done, bytes in all or 0), which threads may call."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda file, done, size: None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    lock = Lock()
    with Progress(*columns, console=console, transient=True) as bars:

        def update(file: str, done: int, size: int) -> None:
            with lock:
                if file not in tasks:
                    tasks[file] = bars.add_task(file, total=None)
            bars.update(tasks[file], completed=done, total=size or None, visible=done != size)

        yield update
