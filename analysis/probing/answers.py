"""Answers: how well probes of a layer tell the variables, and the controls, over all folds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped

from atari_zoo.analysis.probing.features import Features, features
from atari_zoo.analysis.probing.hidden import hidden_probe
from atari_zoo.analysis.probing.questions import Questions
from atari_zoo.analysis.probing.ridge import Prediction, ridge_probe
from atari_zoo.analysis.probing.scores import Sums, summed
from atari_zoo.analysis.probing.softmax import softmax_probe
from atari_zoo.analysis.probing.splits import FoldMoments, PlaySplit
from atari_zoo.analysis.probing.targets import ProbeTarget

PROBES: dict[
    str, Callable[[Features, Sequence[ProbeTarget], FoldMoments, int], list[Prediction]]
] = {
    "ridge": ridge_probe,
    "softmax": softmax_probe,
    "hidden": hidden_probe,
}


class Answer(NamedTuple):
    """Sums of a target's measures: the layer's, the untrained network's (empty where there is
    none), the shuffled target's and the control task's. penalty: the median over folds."""

    real: Sums
    untrained: Sums
    shuffled: Sums
    control: Sums
    penalty: float


def probe_answers(
    own: Shaped[np.ndarray, "moments ..."],
    before: Shaped[np.ndarray, "moments ..."] | None,
    asked: Questions,
    probe: str,
    seed: int = 0,
) -> list[Answer]:
    """Of each variable. own: the layer's values. before: the untrained network's. probe: a key of
    `PROBES`. seed: of what is drawn."""
    every = [target for three in asked.targets for target in three]
    sums, penalties = _summed(features(own), every, asked.split, probe, seed)
    real = [three[0] for three in asked.targets]
    control: list[Sums] = [{} for _ in real]
    if before is not None:
        control, _ = _summed(features(before), real, asked.split, probe, seed)
    return [
        Answer(sums[3 * n], control[n], sums[3 * n + 1], sums[3 * n + 2], penalties[3 * n])
        for n in range(len(real))
    ]


def _summed(
    given: Features, targets: Sequence[ProbeTarget], split: PlaySplit, probe: str, seed: int
) -> tuple[list[Sums], list[float]]:
    """Over all folds. The second: the median of the penalties that were chosen."""
    each = [PROBES[probe](given, targets, fold, seed) for fold in split.folds]
    by_target = list(zip(*each, strict=True))
    sums = [
        summed(target, some, split.episodes)
        for target, some in zip(targets, by_target, strict=True)
    ]
    return sums, [float(np.median([one.penalty for one in some])) for some in by_target]
