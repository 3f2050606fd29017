"""The import of umap-learn, which takes seconds and would take TensorFlow along."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

HEAVY = "tensorflow"


def umap_class() -> Any:
    """`umap.UMAP`.

    umap imports TensorFlow, where it is installed, for its parametric variant. TensorFlow crashes
    the process if triton, which torch imports late, comes after it; so it is kept out meanwhile.
    In a process whose first import of umap this was, `umap.ParametricUMAP` is missing, as it is
    without TensorFlow: import umap yourself before, if you need both.
    """
    with _kept_out(HEAVY), warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)  # that TensorFlow is missing
        from umap import UMAP
    return UMAP


@contextmanager
def _kept_out(name: str) -> Iterator[None]:
    """Importing a module of that name fails meanwhile, unless it was imported before."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]
