"""What is appended to a recording at once: arrays of (steps, envs, ...), checked."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from atari_zoo.recordings.header import Head
from atari_zoo.recordings.layout import fits, layout


def block(arrays: Mapping[str, np.ndarray], of: Head) -> dict[str, np.ndarray]:
    """The arrays that recording `of` has, scores aside, with an axis of steps and in their types.

    A step's arrays are (envs, ...): whether it is one is told by `starts`.
    Raises ValueError if one is missing or unknown, or of a shape or type that does not fit.
    """
    missing = [name for name in of.arrays if name not in arrays and name != "scores"]
    unknown = [name for name in arrays if name not in of.arrays]
    if missing or unknown:
        what, name = ("lacks", missing[0]) if missing else ("was not made to keep", unknown[0])
        raise ValueError(f"the step {what} '{name}'; the recording keeps {', '.join(of.arrays)}")
    rows = {name: np.asarray(array) for name, array in arrays.items()}
    if rows["starts"].ndim == 1:
        rows = {name: array[None] for name, array in rows.items()}
    steps = len(rows["starts"])
    return {name: _row(name, array, steps, of) for name, array in rows.items()}


def _row(name: str, array: np.ndarray, steps: int, of: Head) -> np.ndarray:
    expected = (steps, of.envs)
    if array.shape[:2] != expected or not fits(name, array.shape[2:]):
        wanted = layout(name).row
        rest = "..." if wanted is None else str(wanted).strip("(),")
        raise ValueError(f"'{name}' is {array.shape}; expected {expected} and then ({rest})")
    dtype = _stored(name, of.arrays[name], array.dtype)
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
