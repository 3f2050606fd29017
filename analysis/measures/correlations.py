"""Correlations of all units with all variables at once, each where its variable is there."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

TINY = 1e-12
RIDGE = 1e-3  # on variables' own correlations, so that two that are the same share what they tell


def unit_correlations(
    units: Float[np.ndarray, "moments units"], variables: Float[np.ndarray, "moments variables"]
) -> Float[np.ndarray, "units variables"]:
    """The correlation over the moments at which the variable is there (not NaN); 0 where one of
    them does not change."""
    units = np.asarray(units, float) - np.mean(units, axis=0)  # large means would cost digits
    there = np.isfinite(variables)
    known = there.astype(float)
    values = np.where(there, variables - _means(variables, there), 0)
    count = np.maximum(known.sum(0), 1)
    sums, squares = units.T @ known, (units**2).T @ known
    together = units.T @ values - sums * values.sum(0) / count
    own = squares - sums**2 / count
    others = (values**2).sum(0) - values.sum(0) ** 2 / count
    scale = np.sqrt(np.maximum(own, 0) * np.maximum(others, 0))
    least = TINY * np.maximum(squares, TINY)
    return np.where((own > least) & (others > TINY), together / np.maximum(scale, TINY), 0.0)


def spearman(
    units: Float[np.ndarray, "moments units"], variables: Float[np.ndarray, "moments variables"]
) -> Float[np.ndarray, "units variables"]:
    """The same of ranks, which are those among the moments at which the variable is there."""
    found = np.zeros((units.shape[1], variables.shape[1]))
    masks: dict[bytes, list[int]] = {}
    there = np.isfinite(variables)
    for number in range(variables.shape[1]):
        masks.setdefault(there[:, number].tobytes(), []).append(number)
    for numbers in masks.values():
        own = there[:, numbers[0]]
        if own.any():
            ranks = rankdata(units[own], axis=0)
            found[:, numbers] = unit_correlations(
                ranks, rankdata(variables[own][:, numbers], axis=0)
            )
    return found


def partial(
    units: Float[np.ndarray, "moments units"], variables: Float[np.ndarray, "moments variables"]
) -> Float[np.ndarray, "units variables"]:
    """The correlation of what remains of both when all other variables are taken out linearly.

    Absent values count as the variable's mean, and whether it is there as a variable of its own.
    Of two variables that are the same neither remains.
    """
    there = np.isfinite(variables)
    filled = np.where(there, variables, _means(variables, there))
    absent = there[:, ~there.all(0)].astype(float)
    known, own = _standard(np.concatenate([filled, absent], axis=1)), _standard(units)
    together = known.T @ known / len(known) + RIDGE * np.eye(known.shape[1])
    precision = np.linalg.inv(together)
    direct = known.T @ own / len(own)  # (variables, units)
    slopes = precision @ direct
    rest = np.maximum(1 - (direct * slopes).sum(0), TINY)
    share = slopes**2 / np.diag(precision)[:, None]
    found = np.sign(slopes) * np.sqrt(share / (share + rest))
    return np.where(np.any(own, axis=0)[:, None], found.T, 0.0)[:, : variables.shape[1]]


def _means(
    variables: Float[np.ndarray, "moments variables"], there: np.ndarray
) -> Float[np.ndarray, "variables"]:
    return np.where(there, variables, 0).sum(0) / np.maximum(there.sum(0), 1)


def _standard(values: Float[np.ndarray, "moments columns"]) -> Float[np.ndarray, "moments columns"]:
    """Of mean 0 and spread 1; 0 where it does not change."""
    values = np.asarray(values, float)
    spread = values.std(0)
    flat = spread <= TINY * np.maximum(np.abs(values).max(0), TINY)
    return np.where(flat, 0.0, (values - values.mean(0)) / np.where(flat, 1, spread))
