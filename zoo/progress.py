"""The bar that long work shows on a terminal and in a notebook."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

from rich.console import Console

SHOWN_EVERY = 0.2  # seconds, in a notebook


@contextmanager
def progress_bar(title: str, unit: str) -> Iterator[Callable[..., None]]:
    """A bar, on a terminal with rate and time left, and in a notebook; nowhere else.

    Yields update(done, total, text).
    """
    console = Console(stderr=True)
    if console.is_jupyter:
        yield _NotebookBar(title, unit).update
        return
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


class _NotebookBar:
    """HTML's own bar, which needs no extension of the notebook."""

    def __init__(self, title: str, unit: str) -> None:
        self._title, self._unit = title, unit
        self._handle: Any = None
        self._shown = 0.0

    def update(self, done: int, total: int, text: str = "") -> None:
        now = time.monotonic()
        if done < total and now - self._shown < SHOWN_EVERY:
            return
        self._shown = now
        from IPython.display import HTML, display

        words = escape(f"{self._title}: {done:,} of {total:,} {self._unit}  {text}".rstrip())
        bar = HTML(f'<progress value="{done}" max="{total}" style="width:20em"></progress> {words}')
        if self._handle is None:
            self._handle = display(bar, display_id=True)
        else:
            self._handle.update(bar)
