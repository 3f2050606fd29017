"""Ranges of values over a whole movie, so that a colour means the same in all of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

FULL = 99.0  # percentile of the outputs' differences that gets a whole bar


@dataclass(frozen=True)
class Range:
    """Smallest and largest values: (channels,) of a layer, or () of one number."""

    low: Float[np.ndarray, "*channels"]
    high: Float[np.ndarray, "*channels"]

    def unit(self, values: np.ndarray) -> np.ndarray:
        """Values (channels, ...) as 0..1; 0 where nothing ever changes."""
        axes = (...,) + (None,) * (values.ndim - self.low.ndim)
        spread = np.where(self.high > self.low, self.high - self.low, 1)
        return (values - self.low[axes]) / spread[axes]

    def joined(self, other: Range) -> Range:
        """That of both."""
        return Range(np.minimum(self.low, other.low), np.maximum(self.high, other.high))


def channel_range(values: Float[np.ndarray, "steps channels *places"]) -> Range:
    """Each channel's smallest and largest value, at any step and place."""
    rows = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)
    return Range(rows.min(axis=1), rows.max(axis=1))


def differences_range(outputs: Float[np.ndarray, "steps actions"]) -> Range:
    """From the least to the most that an output lies from the mean of its step's, but for the
    farthest few, which would make all other bars equally short."""
    apart = outputs - outputs.mean(axis=1, keepdims=True)
    low, high = np.percentile(apart, [100 - FULL, FULL])
    return Range(np.asarray(low), np.asarray(high))


def joined_range(ranges: Iterable[Range]) -> Range:
    """That of all of them together; of none it raises ValueError."""
    found: Range | None = None
    for each in ranges:
        found = each if found is None else found.joined(each)
    if found is None:
        raise ValueError("no values: a range needs at least one")
    return found
