"""Measures of predictions, from sums over moments: R^2, balanced accuracy, weighted F1."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int

TINY = 1e-12


def quantity_rows(
    values: Float[np.ndarray, "moments"], predicted: Float[np.ndarray, "moments"]
) -> Float[np.ndarray, "moments 4"]:
    """What R^2 sums: one, the value, its square, the squared error."""
    return np.stack([np.ones_like(values), values, values**2, (values - predicted) ** 2], axis=1)


def r_squared(sums: Float[np.ndarray, "*some 4"]) -> Float[np.ndarray, "*some"]:
    """1 - squared error / squared distance from the mean; NaN where all values are the same."""
    count, value, square, error = np.moveaxis(sums, -1, 0)
    spread = square - value**2 / np.maximum(count, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread > TINY * np.maximum(square, TINY), 1 - error / spread, np.nan)


def class_rows(
    values: Int[np.ndarray, "moments"], predicted: Int[np.ndarray, "moments"], classes: int
) -> Float[np.ndarray, "moments numbers"]:
    """What the measures of categories sum: for each class whether it was that one, whether it was
    told so, and both."""
    true, told = (numbers[:, None] == np.arange(classes) for numbers in (values, predicted))
    return np.concatenate([true, told, true & told], axis=1).astype(float)


def balanced_accuracy(sums: Float[np.ndarray, "*some numbers"]) -> Float[np.ndarray, "*some"]:
    """The mean over the classes that there are of the share of each that was told."""
    true, _, both = np.split(sums, 3, axis=-1)
    there = true > 0
    share = np.where(there, both / np.maximum(true, 1), 0).sum(-1)
    return _where(there.any(-1), share / np.maximum(there.sum(-1), 1))


def weighted_f1(sums: Float[np.ndarray, "*some numbers"]) -> Float[np.ndarray, "*some"]:
    """Each class's harmonic mean of precision and recall, by how often the class is there."""
    true, told, both = np.split(sums, 3, axis=-1)
    score = 2 * both / np.maximum(true + told, 1)
    total = true.sum(-1)
    return _where(total > 0, (score * true).sum(-1) / np.maximum(total, 1))


def _where(known: Any, values: Any) -> np.ndarray:
    return np.where(known, values, np.nan)
