"""Concepts in a subject's play: where a condition holds, and random splits of that."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from atari_zoo.analysis.concept_vectors.conditions import ConceptCondition
from atari_zoo.analysis.concept_vectors.vectors import LEAST, Halves, random_halves
from atari_zoo.analysis.measures.thinning import thinned
from atari_zoo.analysis.probing.labels import check_names, named_values
from atari_zoo.analysis.probing.layer_values import environments_of, steps_of
from atari_zoo.analysis.probing.targets import BLOCK, ProbeTarget, shuffled_in_blocks
from atari_zoo.analysis.subjects import Subject

MOST = 4000  # moments of a subject
EPISODES = 4  # of fewer, stretches of time are split


class Looked(NamedTuple):
    """A subject's moments that are looked at: their numbers, and the stretches that are split."""

    kept: Int[np.ndarray, "moments"]
    groups: Int[np.ndarray, "moments"]
    order: Int[np.ndarray, "moments"]
    words: str


class Concept(NamedTuple):
    """A condition, where it holds, random splits of that, and one of each of its shuffled twins."""

    condition: ConceptCondition
    holds: Float[np.ndarray, "moments"]
    halves: list[Halves]
    random_halves: list[Halves]


def looked_at(subject: Subject) -> Looked:
    """The moments of its play, at most 4,000, and what of it is split."""
    kept = thinned(steps_of(subject), MOST)
    episodes, environments = subject.episodes[kept], environments_of(subject)[kept]
    order = np.argsort(environments, kind="stable")
    if len(np.unique(episodes)) >= EPISODES:
        return Looked(kept, episodes, order, "random halves of the episodes")
    stretches = np.empty(len(kept), int)
    stretches[order] = np.arange(len(kept)) // BLOCK
    words = f"fewer than {EPISODES} episodes: random halves of its stretches of {BLOCK} moments"
    return Looked(kept, stretches, order, words)


def concept_in(
    subject: Subject, condition: ConceptCondition, looked: Looked, splits: int, seed: int
) -> Concept:
    """A condition in a subject's play, with its splits and those of its shuffled twins.

    Raises ValueError if there is no such variable, or it holds nearly never or always.
    """
    table, _, _ = named_values(subject)
    check_names([condition.variable], list(table), subject.recording.game)
    values = table[condition.variable].to_numpy(float)
    holds = condition.holds(values[looked.kept])
    yes, no = int((holds == 1).sum()), int((holds == 0).sum())
    if min(yes, no) < LEAST:
        known = values[np.isfinite(values)]
        span = f"{known.min():g} to {known.max():g}" if len(known) else "nowhere"
        raise ValueError(
            f"concept '{condition.text}' holds at {yes} moments of {subject.name}'s play and not "
            f"at {no}; expected at least {LEAST} of each, and {condition.variable} is {span} there"
        )
    halves = random_halves(holds, looked.groups, splits, seed)
    # another random concept for each split: vectors of one would agree with each other
    target = ProbeTarget(condition.text, holds)
    shuffled = [shuffled_in_blocks(target, looked.order, seed + n).values for n in range(splits)]
    random = [random_halves(one, looked.groups, 1, seed + n)[0] for n, one in enumerate(shuffled)]
    return Concept(condition, holds, halves, random)
