"""Pickles read without running anything in them: numbers, containers and arrays come out whole.

What a class outside the allow-list would have made is an `Opaque`; a class or function that
could have run code is refused by name. The time and memory taken stay in proportion to the file.
Made by hand, since `pickle.load` runs what a file says, and torch's restricted loader stops at the
first class that it does not know, where most of what other libraries saved can still be read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from io import BufferedIOBase
from typing import Any, BinaryIO

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.pickles.arrays import ARRAYS
from atari_zoo.converters.pickles.containers import CONTAINERS
from atari_zoo.converters.pickles.opaque import Opaque as Opaque
from atari_zoo.converters.pickles.opaque import OpaqueClass as OpaqueClass
from atari_zoo.converters.pickles.unpickler import Unpickler

NUMPY: dict[str, Callable[..., Any]] = ARRAYS | CONTAINERS


def load_pickle(
    file: BinaryIO | BufferedIOBase,
    allowed: Mapping[str, Callable[..., Any]] = NUMPY,
    persistent: Callable[[Any], Any] | None = None,
) -> Any:
    """Reads one pickle from where the file stands, and leaves it right behind that.

    allowed: "module.name" to what is called in its place, with the pickle's arguments.
    persistent: gives the object for a persistent id; without it they are refused.
    Raises ConversionError if the pickle is damaged, too large, or would run code.
    """
    try:
        bounded = _Bounded(file)
        return Unpickler(bounded, bounded.left, allowed, persistent).load()
    except ConversionError:
        raise
    except EOFError as error:
        raise ConversionError("the pickle is cut short") from error
    except Exception as error:  # a damaged pickle makes its operations fail in every way
        raise ConversionError(f"the pickle is damaged ({type(error).__name__})") from error


class _Bounded:
    """A file that is asked how much it holds before any memory is taken for it."""

    def __init__(self, file: BinaryIO | BufferedIOBase) -> None:
        start = file.tell()
        self.left = max(file.seek(0, os.SEEK_END) - start, 0)
        file.seek(start)
        self.file = file

    def read(self, count: int) -> bytes:
        if count > self.left:
            raise ConversionError("the pickle is cut short")
        self.left -= count
        return self.file.read(count)

    def readline(self) -> bytes:
        line = self.file.readline()
        self.left -= len(line)
        return line
