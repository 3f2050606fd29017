"""Concepts in a subject's play: where a condition holds, and random splits of that."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from atari_zoo.analysis.concept_vectors.conditions import ConceptCondition
from atari_zoo.analysis.concept_vectors.vectors import (
    LEAST,
    Halves,
    Sides,
    halves_in_time,
    halves_of_groups,
    random_halves,
)
from atari_zoo.analysis.measures.thinning import thinned
from atari_zoo.analysis.probing.labels import check_names, named_values
from atari_zoo.analysis.probing.layer_values import environments_of, steps_of
from atari_zoo.analysis.subjects import Subject

MOST = 4000  # moments of a subject
EPISODES = 4  # of fewer, time is split
APART = 0.1  # of the play, by which random concepts are shifted at least
TRIES = 10  # shifts for each random concept that is wanted


class Looked(NamedTuple):
    """A subject's moments that are looked at: their numbers, and how they are halved."""

    kept: Int[np.ndarray, "moments"]
    sides: Sides
    order: Int[np.ndarray, "moments"]
    words: str


class Concept(NamedTuple):
    """A condition, where it holds, random splits of that, and one of each random concept."""

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
        return Looked(kept, halves_of_groups(episodes), order, "random halves of the episodes")
    words = f"fewer than {EPISODES} episodes: halves of its time, cut anywhere, with gaps"
    return Looked(kept, halves_in_time(order), order, words)


def concept_in(
    subject: Subject, condition: ConceptCondition, looked: Looked, splits: int, seed: int
) -> Concept:
    """A condition in a subject's play, with its splits and those of random concepts.

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
    halves = random_halves(holds, looked.sides, splits, seed)
    return Concept(condition, holds, halves, _random_concepts(holds, looked, splits, seed))


def shifted_in_time(
    holds: Float[np.ndarray, "moments"], order: Int[np.ndarray, "moments"], by: int
) -> Float[np.ndarray, "moments"]:
    """The same at other times, as slow as it is: turned by so many moments, in the order of time.
    Where it is left out (NaN) stays."""
    own = order[np.isfinite(holds[order])]
    values = holds.copy()
    values[own] = np.roll(holds[own], by)
    return values


def _random_concepts(
    holds: Float[np.ndarray, "moments"], looked: Looked, count: int, seed: int
) -> list[Halves]:
    """A split of each of so many random concepts; one that is not in both halves is left out.

    Another for each split: vectors of one would agree with each other.
    """
    known = int(np.isfinite(holds).sum())
    apart = int(APART * known)
    shifts = np.random.default_rng(seed).permutation(np.arange(apart, known - apart))
    found: list[Halves] = []
    for number, by in enumerate(shifts[: TRIES * count]):
        moved = shifted_in_time(holds, looked.order, int(by))
        try:
            found += random_halves(moved, looked.sides, 1, seed + number)
        except ValueError:
            continue
        if len(found) == count:
            return found
    raise ValueError("the concept is in too few stretches of the play to compare it with others")
