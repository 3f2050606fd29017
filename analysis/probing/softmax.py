"""Softmax probes: a multinomial regression of each category, by scikit-learn; slower, and what
others report (AtariARI: Anand et al., 2019, https://arxiv.org/abs/1906.08226)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from atari_zoo.analysis.probing.features import Features, coordinates
from atari_zoo.analysis.probing.ridge import FEWEST, Prediction, ridge_probe
from atari_zoo.analysis.probing.splits import FoldMoments
from atari_zoo.analysis.probing.targets import ProbeTarget

STRENGTHS = (1e-1, 1e-3, 1e-5)  # of the penalty: a share of the features' sum of squares
ITERATIONS = 300


def softmax_probe(
    given: Features, targets: Sequence[ProbeTarget], fold: FoldMoments, seed: int = 0
) -> list[Prediction]:
    """A softmax for each category, its penalty chosen on the fold's moments for that; quantities
    have the ridge's probe. seed: of nothing: the solution is the only one.

    A category of which fewer than two classes, or eight moments, are there to fit on is predicted
    by its shares.
    """
    quantities = [number for number, target in enumerate(targets) if target.classes is None]
    plain = ridge_probe(given, [targets[number] for number in quantities], fold)
    found = dict(zip(quantities, plain, strict=True))
    for number, target in enumerate(targets):
        if target.classes is not None:
            found[number] = _category(given, target, fold)
    return [found[number] for number in range(len(targets))]


def _category(given: Features, target: ProbeTarget, fold: FoldMoments) -> Prediction:
    there = target.there
    fit, choose, test = (part[there[part]] for part in (fold.fit, fold.choose, fold.test))
    shares = target.columns()[fit].mean(0) if len(fit) else target.columns()[:1].mean(0)
    wanted = target.values[fit].astype(int)
    if len(fit) < FEWEST or len(np.unique(wanted)) < 2 or not len(choose):
        return Prediction(test, np.broadcast_to(shares, (len(test), len(shares))), shares, np.nan)
    inner, others = coordinates(given, fit, np.concatenate([choose, test]))
    truth, best = target.values[choose].astype(int), (np.inf, np.nan, np.zeros((0, 0)))
    for strength in STRENGTHS:
        told = _probabilities(inner, wanted, others, strength, len(shares))
        loss = -np.log(np.maximum(told[np.arange(len(choose)), truth], 1e-9)).mean()
        if loss < best[0]:
            best = (loss, strength, told[len(choose) :])
    return Prediction(test, best[2], shares, best[1])


def _probabilities(
    inner: Float[np.ndarray, "moments axes"],
    wanted: np.ndarray,
    others: Float[np.ndarray, "others axes"],
    strength: float,
    classes: int,
) -> Float[np.ndarray, "others classes"]:
    model = LogisticRegression(C=1 / (strength * len(inner)), max_iter=ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a probe stopped early is a probe
        model.fit(inner, wanted)
    told = np.zeros((len(others), classes))
    told[:, model.classes_] = model.predict_proba(others)
    return told
