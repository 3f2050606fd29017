"""Errors of the converters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class ConversionError(ValueError):
    """A file or network that cannot be converted; the message says what was found and why."""


@contextmanager
def naming(source: str | Path) -> Iterator[None]:
    """Refusals in the block begin with what was refused, a file or a model's name."""
    try:
        yield
    except ConversionError as error:
        if str(error).startswith(str(source)):
            raise
        raise ConversionError(f"{source}: {error}") from error
