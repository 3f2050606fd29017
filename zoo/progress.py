"""The bar that long work shows on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def progress_bar(title: str, unit: str) -> Iterator[Callable[..., None]]:
    """A bar with rate and time left, on a terminal only; yields update(done, total, text)."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, total, text="": None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=None, text=unit)
        begun: list[int] = []

        def update(done: int, total: int, text: str = "") -> None:
            if not begun:  # a resumed run does not begin at 0
                begun.append(done)
            elapsed = progress.tasks[0].elapsed or 1
            rate = (done - begun[0]) / elapsed
            words = f"{unit}, {rate:,.{0 if rate >= 10 else 1}f}/s  {text}"
            progress.update(task, completed=done, total=total, text=words)

        yield update
