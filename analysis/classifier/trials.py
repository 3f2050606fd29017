"""Trials of the classifier: frames of one kind, split in one way, each tested once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor, from_numpy

from atari_zoo.analysis.classifier.splits import RANDOM, held_back, random_folds, unit_folds
from atari_zoo.analysis.classifier.training import Batches, classified, trained_classifier
from atari_zoo.analysis.measures.confusions import (
    accuracy,
    class_f1,
    confusion_counts,
    macro_f1,
    resampled_band,
    unit_counts,
)
from atari_zoo.analysis.measures.permutations import permutation_p, smallest_p
from atari_zoo.seeds import generator_seed

NONE, ALL = float("nan"), "all"


@dataclass(frozen=True)
class Moments:
    """What is classified.

    labels: the class of each. units: what stays on one side, -1 where it is on none.
    episodes: of their own play, numbered through.
    """

    labels: Int[np.ndarray, "moments"]
    units: Int[np.ndarray, "moments"]
    episodes: Int[np.ndarray, "moments"]
    classes: int


@dataclass(frozen=True)
class TrialSettings:
    """How often each is tried: folds, epochs at most, seed."""

    folds: int
    epochs: int
    seed: int


@dataclass(frozen=True)
class Trial:
    """What came of one.

    frames, split, labels: which frames, how they were split, "true" or "shuffled" labels.
    taken: the class that each moment was taken for when it was tested; -1 where it was not.
    """

    frames: str
    split: str
    labels: str
    taken: Int[np.ndarray, "moments"] = field(default_factory=lambda: np.zeros(0, int))


def tried(
    trial: Trial,
    frames: Float[Tensor, "moments channels height width"],
    moments: Moments,
    settings: TrialSettings,
    told: Callable[[int], None],
) -> Int[np.ndarray, "moments"]:
    """The class that each moment is taken for by a classifier that learnt from the other folds.

    told: called with the epochs done, of all folds.
    """
    seed, count = generator_seed(settings.seed), len(moments.labels)
    by_chance = trial.split == RANDOM
    used = moments.units >= 0
    if by_chance:
        folds = np.where(used, random_folds(count, settings.folds, seed), -1)
    else:
        folds = unit_folds(moments.labels, moments.units, settings.folds, seed)
    said = moments.labels.copy()
    if trial.labels == "shuffled":  # of whole units: what is peculiar to each is still learnt
        names, places = np.unique(moments.units[used], return_inverse=True)
        own = np.zeros(len(names), int)
        own[places] = said[used]
        said[used] = np.random.default_rng(seed).permutation(own)[places]
    taken = np.full(count, -1)
    for fold in range(folds.max() + 1):
        others = (folds >= 0) & (folds != fold)
        held = held_back(said, None if by_chance else moments.episodes, others, seed + fold)
        random, labels = np.random.default_rng(seed + fold), from_numpy(said)
        learnt = Batches(frames, labels, np.flatnonzero(others & ~held), random)
        stop = Batches(frames, labels, np.flatnonzero(held))
        before = fold * settings.epochs
        model = trained_classifier(
            learnt,
            stop,
            moments.classes,
            settings.epochs,
            seed + fold,
            lambda epoch, before=before: told(before + epoch),  # type: ignore[misc]
        )
        tested = np.flatnonzero(folds == fold)
        taken[tested] = classified(model, frames[from_numpy(tested)])
        told(before + settings.epochs)
    return taken


def trial_rows(
    trial: Trial, moments: Moments, names: tuple[str, ...], seed: int
) -> list[dict[str, object]]:
    """A row for accuracy, for the mean F1, and for each class's F1."""
    there = trial.taken >= 0
    truth, taken = moments.labels[there], trial.taken[there]
    counts = confusion_counts(truth, taken, moments.classes)
    units, labels = unit_counts(truth, taken, moments.units[there], moments.classes)
    apart = trial.split != RANDOM  # else moments of a unit were learnt from
    p = smallest = NONE
    if apart:
        shares = units / units.sum(axis=1, keepdims=True)
        p, smallest = permutation_p(shares, labels, seed), smallest_p(labels)
    share = counts.sum(axis=1) / counts.sum()
    facts = {"frames": trial.frames, "split": trial.split, "labels": trial.labels}
    found: list[dict[str, object]] = []
    for measure, function, chance in (
        ("accuracy", accuracy, share.max()),
        ("F1", macro_f1, share.mean()),
        ("F1", class_f1, share),
    ):
        nothing = np.full(np.shape(function(counts)), NONE)
        band = resampled_band(function, units, labels, seed) if apart else (nothing, nothing)
        numbers = zip(*map(np.atleast_1d, (function(counts), *band, chance)), strict=True)
        each = measure == "F1" and function is class_f1
        for place, (value, low, high, guessed) in enumerate(numbers):
            own = slice(place, place + 1) if each else slice(None)
            row: dict[str, object] = {"measure": measure, "class": names[place] if each else ALL}
            row |= {"value": value, "low": low, "high": high, "chance": guessed}
            tested = measure == "accuracy"
            row |= {"p": p if tested else NONE, "smallest_p": smallest if tested else NONE}
            of = int(np.isin(labels, np.arange(moments.classes)[own]).sum())
            found.append(facts | row | {"n": int(counts[own].sum()), "units": of})
    return found


def trial_arrays(trials: Sequence[Trial], moments: Moments) -> dict[str, np.ndarray]:
    """trials: frames, split, labels; confusion (trial, true, taken); truth and taken."""
    counts = []
    for trial in trials:
        there = trial.taken >= 0
        truth = moments.labels[there]
        counts.append(confusion_counts(truth, trial.taken[there], moments.classes))
    return {
        "trials": np.array([[trial.frames, trial.split, trial.labels] for trial in trials]),
        "confusion": np.stack(counts),
        "truth": moments.labels,
        "taken": np.stack([trial.taken for trial in trials]),
    }
