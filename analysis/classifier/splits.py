"""Splits of moments into those to learn from, to stop by and to be tested on: by runs, by episodes,
or at random as the original did, which lets neighbours in time stand on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas
from jaxtyping import Bool, Int

from atari_zoo.analysis.moments import units_of

RUN, EPISODE, RANDOM = "run", "episode", "random frames"
HELD = 0.1  # of what is learnt from: to stop by
GAP = 0.1  # of a lone episode: neither side
FEWEST = 20  # moments of a class


class SplitUnits(NamedTuple):
    """What is split: a number for each moment, the same for what must stay together; -1 is unused.

    kind: RUN or EPISODE. halved: classes of one episode alone, whose halves in time are units.
    """

    kind: str
    numbers: Int[np.ndarray, "moments"]
    halved: tuple[str, ...] = ()


def split_units(table: pandas.DataFrame, classes: Sequence[str]) -> SplitUnits:
    """Runs, where every class has two; else episodes. Checkpoints of a run are one run.

    table: of `moments_table`, with a column "class".
    Raises ValueError for a class of too few moments.
    """
    for name in classes:
        if (count := int((table["class"] == name).sum())) < FEWEST:
            raise ValueError(
                f"{count} moments of {name}; at least {FEWEST} are needed to learn from some and "
                "test on others: record more steps, or look at every one"
            )
    runs = table.assign(run=table["agent"].str.partition("@")[0]).groupby(["class", "run"])
    if (runs.size().groupby("class").size() > 1).all():
        return SplitUnits(RUN, runs.ngroup().to_numpy())
    numbers, halved = units_of(table).copy(), []
    for name in classes:
        own = np.flatnonzero(table["class"] == name)
        if len(np.unique(numbers[own])) > 1:
            continue
        halved.append(name)
        place = np.linspace(0, 1, len(own))  # moments are in the order of time
        half = np.where(place < (1 - GAP) / 2, 0, np.where(place > (1 + GAP) / 2, 1, -1))
        numbers[own] = np.where(half < 0, -1, numbers.max() + 1 + half)
    return SplitUnits(EPISODE, numbers, tuple(halved))


def unit_folds(
    labels: Int[np.ndarray, "moments"], units: Int[np.ndarray, "moments"], folds: int, seed: int
) -> Int[np.ndarray, "moments"]:
    """The fold that each moment is tested in, -1 for none; a unit's moments are in one.

    No more folds than the class with the fewest units has; each class's units are dealt out, the
    largest first, to the fold that has the fewest moments of it.
    """
    random, found = np.random.default_rng(seed), np.full(len(labels), -1)
    counts = {
        label: np.unique(units[(labels == label) & (units >= 0)], return_counts=True)
        for label in np.unique(labels)
    }
    folds = min(folds, *(len(names) for names, _ in counts.values()))
    for names, sizes in counts.values():
        order = random.permutation(len(names))
        order = order[np.argsort(-sizes[order], kind="stable")]
        held = np.zeros(folds)
        for place in order:
            fold = int(held.argmin())
            held[fold] += sizes[place]
            found[units == names[place]] = fold
    return found


def random_folds(moments: int, folds: int, seed: int) -> Int[np.ndarray, "moments"]:
    """Moments dealt out one by one."""
    return np.random.default_rng(seed).permutation(np.arange(moments) % folds)


def held_back(
    labels: Int[np.ndarray, "moments"],
    units: Int[np.ndarray, "moments"] | None,
    learnt: Bool[np.ndarray, "moments"],
    seed: int,
) -> Bool[np.ndarray, "moments"]:
    """Which of those to learn from are kept to stop by.

    units: episodes; of each class that has several, whole ones, of at least a tenth; of a class
        with one, its last tenth. Without: a tenth at random.
    """
    random, found = np.random.default_rng(seed), np.zeros(len(labels), bool)
    if units is None:
        places = np.flatnonzero(learnt)
        found[random.permutation(places)[: max(1, round(HELD * len(places)))]] = True
        return found
    for label in np.unique(labels[learnt]):
        own = np.flatnonzero(learnt & (labels == label))
        wanted = max(1, round(HELD * len(own)))
        names = random.permutation(np.unique(units[own]))
        if len(names) == 1:
            found[own[-wanted:]] = True
        for name in names[:-1]:  # one at least is learnt from
            if found[own].sum() < wanted:
                found[own[units[own] == name]] = True
    return found
