"""Confusions of a classifier: what each class was taken for, accuracy and F1, with intervals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int, Real

from atari_zoo.intervals import CONFIDENCE

RESAMPLES = 2_000


def confusion_counts(
    truth: Int[np.ndarray, "moments"], taken: Int[np.ndarray, "moments"], classes: int
) -> Int[np.ndarray, "classes classes"]:
    """How many moments of each class (row) were taken for each (column)."""
    flat = np.bincount(truth * classes + taken, minlength=classes * classes)
    return flat.reshape(classes, classes)


def accuracy(counts: Real[np.ndarray, "*many classes classes"]) -> Float[np.ndarray, "*many"]:
    """The share of all that is right."""
    right = np.trace(counts, axis1=-2, axis2=-1)
    return np.asarray(right / np.maximum(counts.sum(axis=(-2, -1)), 1))


def class_f1(
    counts: Real[np.ndarray, "*many classes classes"],
) -> Float[np.ndarray, "*many classes"]:
    """F1 of each class, 2 right / (true + taken); 0 of a class that neither is nor was taken."""
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    both = counts.sum(axis=-1) + counts.sum(axis=-2)
    return 2 * right / np.maximum(both, 1)


def macro_f1(counts: Real[np.ndarray, "*many classes classes"]) -> Float[np.ndarray, "*many"]:
    """The mean of `class_f1` over the classes."""
    return np.asarray(class_f1(counts).mean(axis=-1))


def unit_counts(
    truth: Int[np.ndarray, "moments"],
    taken: Int[np.ndarray, "moments"],
    units: Int[np.ndarray, "moments"],
    classes: int,
) -> tuple[Int[np.ndarray, "units classes"], Int[np.ndarray, "units"]]:
    """How many of each unit's moments were taken for each class, and the units' own classes."""
    names, numbers = np.unique(units, return_inverse=True)
    flat = np.bincount(numbers * classes + taken, minlength=len(names) * classes)
    labels = np.zeros(len(names), int)
    labels[numbers] = truth
    return flat.reshape(len(names), classes), labels


def resampled_band(
    measure: Callable[[np.ndarray], np.ndarray],
    counts: Int[np.ndarray, "units classes"],
    labels: Int[np.ndarray, "units"],
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % bootstrap interval of a measure of confusions; each class's units are resampled.

    NaN unless each class has at least two units: of one nothing can be resampled.
    """
    classes = counts.shape[1]
    drawn = np.zeros((RESAMPLES, classes, classes))
    random = np.random.default_rng(seed)
    enough = True
    for label in range(classes):
        own = counts[labels == label]
        enough &= len(own) > 1
        if len(own):
            chosen = random.integers(0, len(own), (RESAMPLES, len(own)))
            drawn[:, label] = own[chosen].sum(axis=1)
    found = measure(drawn)
    if not enough:
        nothing = np.full(found.shape[1:], np.nan)
        return nothing, nothing
    ends = np.quantile(found, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    return np.asarray(ends[0]), np.asarray(ends[1])
