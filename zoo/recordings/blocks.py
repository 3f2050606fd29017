"""Blocks of steps that are appended to a recording at once: (steps, envs, ...), checked."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from atari_zoo.recordings.arrays import layout
from atari_zoo.recordings.header import Header


def block(arrays: Mapping[str, np.ndarray], header: Header) -> dict[str, np.ndarray]:
    """The arrays that a recording has, scores aside, with an axis of steps and in their types.

    A step's arrays are (envs, ...): whether it is one is told by `starts`.
    Raises ValueError if one is missing or unknown, or of a shape or type that does not fit.
    """
    missing = [name for name in header.arrays if name not in arrays and name != "scores"]
    unknown = [name for name in arrays if name not in header.arrays]
    if missing or unknown:
        what, name = ("lacks", missing[0]) if missing else ("was not made to keep", unknown[0])
        kept = ", ".join(header.arrays)
        raise ValueError(f"the step {what} '{name}'; the recording keeps {kept}")
    rows = {name: np.asarray(array) for name, array in arrays.items()}
    if rows["starts"].ndim == 1:
        rows = {name: array[None] for name, array in rows.items()}
    steps = len(rows["starts"])
    return {name: _row(name, array, steps, header) for name, array in rows.items()}


def _row(name: str, array: np.ndarray, steps: int, header: Header) -> np.ndarray:
    expected = (steps, header.envs)
    if array.shape[:2] != expected or not layout(name).fits(array.shape[2:]):
        wanted = layout(name).row
        rest = "..." if wanted is None else str(wanted).strip("(),")
        raise ValueError(f"'{name}' is {array.shape}; expected {expected} and then ({rest})")
    dtype = _stored(name, header.arrays[name], array.dtype)
    if array.dtype == dtype:
        return array
    with np.errstate(over="ignore"):
        turned = array.astype(dtype, copy=False)
    if not _same(array, turned):
        raise ValueError(f"'{name}' is {array.dtype}, of which not all fits into {dtype}")
    return turned


@cache  # asked for every array of every step
def _stored(name: str, known: str, given: np.dtype[Any]) -> np.dtype[Any]:
    """The type that an array is stored in: of those allowed what comes first decides."""
    kinds = layout(name).dtypes
    return np.dtype(known or (given.name if given.name in kinds else kinds[0]))


def _same(array: np.ndarray, turned: np.ndarray) -> bool:
    """Whether nothing is lost but digits."""
    if turned.dtype.kind == "f":
        return array.dtype.kind in "biuf" and bool(
            (np.isfinite(turned) == np.isfinite(array)).all()
        )
    return bool((array == turned).all())
