"""Ridge probes in closed form: all variables and all their controls are one solution.

Least squares with a penalty on the squared weights (Hoerl and Kennard, 1970), solved for as many
unknowns as there are moments or values, whichever are fewer. A category is regressed on as one
column for each class, as scikit-learn's RidgeClassifier has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import cho_factor, cho_solve

from atari_zoo.analysis.probing.features import Features, centred
from atari_zoo.analysis.probing.splits import FoldMoments
from atari_zoo.analysis.probing.targets import ProbeTarget

# of the sum of squares of the features: a penalty that means the same in every layer
PENALTIES = tuple(10.0**power for power in range(-7, 1))
FEWEST = 8  # moments to fit on


@dataclass(frozen=True)
class Prediction:
    """What a probe says of one target at the moments that it is tested on.

    moments: those where the target is not absent. values: a column, or one for each class.
    shares: of each class among those fitted on. penalty: that was chosen, a share of the features'
        sum of squares; NaN of a probe without.
    """

    moments: Int[np.ndarray, "tested"]
    values: Float[np.ndarray, "tested columns"]
    shares: Float[np.ndarray, "columns"]
    penalty: float


def ridge_probe(
    given: Features, targets: Sequence[ProbeTarget], fold: FoldMoments, seed: int = 0
) -> list[Prediction]:
    """A linear probe of each target, its penalty chosen on the fold's moments for that.

    Targets that are there at the same moments are solved at once. One that is there at fewer than
    eight of those to fit on, or at none to choose by, is predicted by its mean. seed: of nothing.
    """
    found: dict[int, Prediction] = {}
    masks: dict[bytes, list[int]] = {}
    for number, target in enumerate(targets):
        masks.setdefault(target.there.tobytes(), []).append(number)
    for numbers in masks.values():
        some = [targets[number] for number in numbers]
        found |= dict(zip(numbers, _of_one_mask(given, some, fold), strict=True))
    return [found[number] for number in range(len(targets))]


def ridge_predictions(
    given: Features,
    fit: Int[np.ndarray, "moments"],
    others: Int[np.ndarray, "others"],
    values: Float[np.ndarray, "moments columns"],
    penalties: Sequence[float],
) -> Float[np.ndarray, "penalties others columns"]:
    """Of each penalty. values: at the moments to fit on.

    It is scikit-learn's `Ridge(alpha=penalty * spread)`, with the sum of squares of the centred
    features as spread.
    """
    around, mean = centred(given, fit, others), values.mean(0)
    aim = values - mean
    if around.fitted is not None:
        aim = around.fitted.T @ aim
    spread, size = around.spread, len(around.inner)
    found = np.zeros((len(penalties), len(others), values.shape[1]))
    for number, penalty in enumerate(penalties):
        if spread > 0:  # else the layer is the same at all moments
            inner = around.inner.copy()
            inner[np.arange(size), np.arange(size)] += penalty * spread
            found[number] = around.cross @ cho_solve(cho_factor(inner, overwrite_a=True), aim)
    return found + mean


def _of_one_mask(
    given: Features, targets: Sequence[ProbeTarget], fold: FoldMoments
) -> list[Prediction]:
    there = targets[0].there
    fit, choose, test = (part[there[part]] for part in (fold.fit, fold.choose, fold.test))
    columns = [target.columns() for target in targets]
    ends = np.cumsum([part.shape[1] for part in columns])[:-1]
    wanted = np.concatenate(columns, axis=1)
    if len(fit) < FEWEST or not len(choose):
        known = np.concatenate([fit, choose])
        means = [part[known].mean(0) if len(known) else part[:1] * np.nan for part in columns]
        return [
            Prediction(test, np.broadcast_to(mean, (len(test), part.shape[1])), mean, np.nan)
            for mean, part in zip(means, columns, strict=True)
        ]
    others = np.concatenate([choose, test])
    told = ridge_predictions(given, fit, others, wanted[fit], PENALTIES)
    errors = ((told[:, : len(choose)] - wanted[choose]) ** 2).sum(1)  # (penalties, columns)
    predictions = []
    for part, error in zip(
        np.split(told, ends, axis=2), np.split(errors, ends, axis=1), strict=True
    ):
        best = int(error.sum(1).argmin())
        predictions.append((best, part[best, len(choose) :]))
    return [
        Prediction(test, values, part[fit].mean(0), PENALTIES[best])
        for (best, values), part in zip(predictions, columns, strict=True)
    ]
