"""Splits of play: whole episodes to fit on, to choose by, and to test on; never single frames.

Neighbouring frames are nearly the same picture: of a split by frames a probe's score says how well
it remembers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from atari_zoo.intervals import FEW

GAP = 50  # moments between the parts of a single episode: nobody is in both
FOLDS = 5


@dataclass(frozen=True)
class FoldMoments:
    """Moments to fit on, to choose the penalty by, and to test on."""

    fit: Int[np.ndarray, "some"]
    choose: Int[np.ndarray, "others"]
    test: Int[np.ndarray, "rest"]


@dataclass(frozen=True)
class PlaySplit:
    """folds: each moment is tested once at most. episodes: of each moment, those that are
    resampled. words: how it was split."""

    folds: tuple[FoldMoments, ...]
    episodes: Int[np.ndarray, "moments"]
    words: str


def split_play(
    episodes: Int[np.ndarray, "moments"],
    environments: Int[np.ndarray, "moments"],
    folds: int = FOLDS,
    twins: Shaped[np.ndarray, "moments"] | None = None,
    seed: int = 0,
) -> PlaySplit:
    """Folds of whole environments where there are three or more, else of whole episodes; of one
    episode, the parts of its time with gaps between.

    episodes, environments: of each moment, in the order of time. folds: at most so many.
    twins: equal numbers for equal observations: a moment whose twin is fitted on is not tested on,
        as a deterministic agent repeats itself.
    Raises ValueError if a single episode is too short.
    """
    if folds < 2:
        raise ValueError(f"folds is {folds}; expected at least 2")
    groups, of_what = episodes, "episodes"
    if len(np.unique(environments)) >= 3:
        groups, of_what = environments, "environments"
    names, sizes = np.unique(groups, return_counts=True)
    if len(names) == 1:
        parts = [_in_time(len(episodes))]
        words = "the play is one episode: it is split in time, with gaps, and no interval is known"
    else:
        parts = _of_groups(groups, dealt_groups(names, sizes, min(folds, len(names)), seed))
        words = f"{len(parts)} folds of whole {of_what}"
        if len(parts) == 2:
            words += ", penalties chosen on the last quarter of what is fitted on"
        if len(names) < FEW:
            words += "; more episodes would tell more (`record --steps 4000 --envs 8`)"
    kept = [_without_twins(part, twins) for part in parts]
    dropped = sum(len(a.test) - len(b.test) for a, b in zip(parts, kept, strict=True))
    if dropped:
        words += f"; {dropped} moments that were also fitted on are not tested on"
    return PlaySplit(tuple(kept), episodes, words)


def observed_twins(observations: Tensor) -> Int[np.ndarray, "moments"]:
    """Equal numbers for equal observations."""
    rows = np.ascontiguousarray(observations.flatten(1).numpy())
    found = [hash(row.tobytes()) for row in rows]
    return np.unique(np.array(found), return_inverse=True)[1].reshape(-1)


def dealt_groups(
    names: Int[np.ndarray, "groups"], sizes: Int[np.ndarray, "groups"], folds: int, seed: int
) -> list[Int[np.ndarray, "_"]]:
    """The groups dealt into folds of about equal size: the largest first, each to the smallest."""
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    dealt: list[list[int]] = [[] for _ in range(folds)]
    filled = np.zeros(folds)
    for group in order:
        fold = int(filled.argmin())
        dealt[fold].append(int(names[group]))
        filled[fold] += sizes[group]
    return [np.array(part) for part in dealt]


def _of_groups(
    groups: Int[np.ndarray, "moments"], dealt: list[Int[np.ndarray, "_"]]
) -> list[FoldMoments]:
    parts = [np.flatnonzero(np.isin(groups, part)) for part in dealt]
    if len(parts) == 2:  # none is left to choose by but a share of what is fitted on, in time
        return [_shared(parts[1 - test], parts[test]) for test in range(2)]
    found = []
    for test in range(len(parts)):
        choose = (test + 1) % len(parts)
        rest = [part for number, part in enumerate(parts) if number not in (test, choose)]
        found.append(FoldMoments(np.sort(np.concatenate(rest)), parts[choose], parts[test]))
    return found


def _shared(fit: Int[np.ndarray, "some"], test: Int[np.ndarray, "rest"]) -> FoldMoments:
    cut = int(len(fit) * 0.75)
    gap = min(GAP, len(fit) // 10)
    return FoldMoments(fit[: cut - gap], fit[cut:], test)


def _in_time(moments: int) -> FoldMoments:
    if moments < 8 * GAP:
        raise ValueError(
            f"the play is one episode of {moments} moments; a single one needs {8 * GAP}, or give "
            "play of several episodes"
        )
    first, second = int(moments * 0.6), int(moments * 0.8)
    every = np.arange(moments)
    return FoldMoments(every[: first - GAP], every[first : second - GAP], every[second:])


def _without_twins(fold: FoldMoments, twins: Shaped[np.ndarray, "moments"] | None) -> FoldMoments:
    if twins is None:
        return fold
    seen: Bool[np.ndarray, "rest"] = np.isin(twins[fold.test], twins[fold.fit])
    return FoldMoments(fold.fit, fold.choose, fold.test[~seen])
