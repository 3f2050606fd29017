"""Questions that a subject's layers are asked: its variables with their controls, and the split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from atari_zoo.analysis.measures.thinning import thinned
from atari_zoo.analysis.probing.labels import Labels, labels_of
from atari_zoo.analysis.probing.layer_values import environments_of, steps_of
from atari_zoo.analysis.probing.splits import PlaySplit, observed_twins, split_play
from atari_zoo.analysis.probing.targets import (
    ProbeTarget,
    control_task,
    identity_of,
    shuffled_in_blocks,
    target_of,
)
from atari_zoo.analysis.subjects import Subject

MOST = 4000  # moments of a subject


class Questions(NamedTuple):
    """kept: the moments. targets: of each variable the real one, the shuffled, the control task."""

    kept: Int[np.ndarray, "moments"]
    split: PlaySplit
    labels: Labels
    targets: list[tuple[ProbeTarget, ProbeTarget, ProbeTarget]]


def questions(
    subject: Subject, variable: Sequence[str] | None, all_variables: bool, folds: int, seed: int
) -> Questions:
    """The variables of a subject's play with their controls, and how it is split."""
    labels = labels_of(subject, variable, all_variables)
    kept = thinned(steps_of(subject), MOST)
    environments = environments_of(subject)[kept]
    twins = observed_twins(subject.observations()[kept])
    split = split_play(subject.episodes[kept], environments, folds, twins, seed)
    order, identity = np.argsort(environments, kind="stable"), identity_of(labels.labels)[kept]
    targets = []
    for number, label in enumerate(labels.labels):
        real = target_of(replace(label, values=label.values[kept]))
        own = seed + number
        shuffled = shuffled_in_blocks(real, order, own)
        targets.append((real, shuffled, control_task(real, identity, own)))
    return Questions(kept, split, labels, targets)
