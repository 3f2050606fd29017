"""Correlates of features: which named variable of the game's memory goes with each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from atari_zoo.analysis.measures.correlations import unit_correlations

LEAST = 20  # moments at which a variable must be there
SHIFTS = 5  # in time, for what a correlation is by chance


class Correlate(NamedTuple):
    """variable: its column; -1 where there is none. correlation: at moments that it was not
    chosen at. chance: the size of that with the feature's past put beside another past."""

    variable: int
    correlation: float
    chance: float


def strongest_correlates(
    values: Float[np.ndarray, "moments features"],
    variables: Float[np.ndarray, "moments variables"],
    new_values: Float[np.ndarray, "others features"],
    new_variables: Float[np.ndarray, "others variables"],
) -> list[Correlate]:
    """For each feature the variable that goes with it most at some moments, and how much it does
    so at others; the best of many is never as good again.

    Chance is the mean size of the same where the feature is shifted in time, by a sixth to five
    sixths of the moments, so that both keep their rhythm and lose each other.
    """
    chosen = _strongest(_known(values, variables))
    new = _at(_known(new_values, new_variables), chosen)
    luck = np.zeros((SHIFTS, len(chosen)))
    for number in range(SHIFTS):
        shifted, new_shifted = (
            np.roll(part, len(part) * (number + 1) // (SHIFTS + 1), axis=0)
            for part in (values, new_values)
        )
        best = _strongest(_known(shifted, variables))
        luck[number] = np.abs(_at(_known(new_shifted, new_variables), best))
    found = np.isfinite(luck)
    chance = np.where(found.any(axis=0), np.where(found, luck, 0).sum(axis=0), np.nan)
    chance /= np.maximum(found.sum(axis=0), 1)
    return [Correlate(*each) for each in zip(chosen, new.tolist(), chance.tolist(), strict=True)]


def _known(
    values: Float[np.ndarray, "moments features"], variables: Float[np.ndarray, "moments variables"]
) -> Float[np.ndarray, "features variables"]:
    """Pearson's; 0 where nothing changes, NaN where the variable is there less than 20 times."""
    often = np.isfinite(variables).sum(axis=0) >= LEAST
    return np.where(often, unit_correlations(values, variables), np.nan)


def _at(
    correlations: Float[np.ndarray, "features variables"], columns: list[int]
) -> Float[np.ndarray, "features"]:
    """Each row's at its column; NaN where that is -1."""
    pairs = zip(correlations, columns, strict=True)
    return np.array([row[column] if column >= 0 else np.nan for row, column in pairs])


def _strongest(correlations: Float[np.ndarray, "features variables"]) -> list[int]:
    """The column of the largest size in each row; -1 where all are 0, or there are none."""
    sizes = np.nan_to_num(np.abs(correlations))
    if not sizes.shape[1]:
        return [-1] * len(sizes)
    best = sizes.argmax(axis=1)
    return [int(column) if row[column] > 0 else -1 for row, column in zip(sizes, best, strict=True)]
