"""The backend that Keras ran on, where its files do not tell: Theano turns kernels over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from atari_zoo.converters.errors import ConversionError

BACKENDS = ("tensorflow", "theano", "cntk")
_TOLD: ContextVar[str] = ContextVar("Keras's backend", default="")


@contextmanager
def written_with(backend: str) -> Iterator[None]:
    """While files are read in it, Keras's that do not tell are taken for ones of this backend.

    "": nobody knows. Raises ConversionError if there is no such backend.
    """
    if backend and backend not in BACKENDS:
        raise ConversionError(f"no backend '{backend}' of Keras's; there are {', '.join(BACKENDS)}")
    before = _TOLD.set(backend)
    try:
        yield
    finally:
        _TOLD.reset(before)


def told_backend() -> str:
    """What somebody said; "" if nobody did."""
    return _TOLD.get()
