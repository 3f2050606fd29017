"""Lines, JSON and tables that verbs print; cells are text as it is: no markup, emoji or control
codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def print_facts(facts: Mapping[str, Any], as_json: bool, *lines: str) -> None:
    """Prints the lines, or instead of them the facts as one JSON object."""
    print(json.dumps(facts) if as_json else "\n".join(lines))


def print_table(rows: Iterable[Sequence[str]], *columns: str) -> None:
    """Prints rows of cells, under the columns' names where these are given.

    What is too long goes on in the next line: nothing is left out. Where the output is no
    terminal, a row is one line, its cells with tabs between, for other programs to read.
    """
    if not sys.stdout.isatty():
        for row in ([columns] if columns else []) + [*rows]:
            print("\t".join(printable(cell).replace("\n", " ") for cell in row))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=bool(columns))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        for _ in range(len(table.columns), len(row)):
            table.add_column(overflow="fold")
        table.add_row(*map(printable, row))
    Console(markup=False, emoji=False, highlight=False).print(table)


def printable(text: str) -> str:
    """The text with a mark for each character that would steer the terminal.

    >>> printable("a card's \\x1b[31m")
    "a card's \\ufffd[31m"
    """
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)
