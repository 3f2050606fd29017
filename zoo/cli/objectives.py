"""Objectives and units from the command line's words."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def shown_in_place() -> Iterator[None]:
    """Ends the verb where a text does not parse, with the lines that point at the place."""
    from atari_zoo.units.texts import TextError

    try:
        yield
    except TextError as error:
        print(f"atari-zoo: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
