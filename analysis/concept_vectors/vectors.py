"""Concept vectors (Kim et al., 2018, https://arxiv.org/abs/1711.11279): the normal of the plane
that divides a layer's values at moments of one kind from those at others, over random splits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from scipy.linalg import cho_factor, cho_solve

from atari_zoo.analysis.probing.features import Features, centred, features

PENALTY = 1e-2  # a share of the features' sum of squares
SIDE = 250  # moments of each kind that one vector is fitted on, at most
GAP = 50  # moments between the halves of a play that is cut in time
LEAST = 20  # moments of each kind that there must be


# draws, of all moments, those in each of two halves
Sides = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class ConceptVectors:
    """One for each split.

    vectors: of length 1, pointing to where the concept holds; 0 of a layer that tells nothing.
    accuracies: the share of held-out moments, as many of each kind, that fall on the right side.
    """

    vectors: Float[np.ndarray, "splits values"]
    accuracies: Float[np.ndarray, "splits"]

    @property
    def mean(self) -> Float[np.ndarray, "values"]:
        """The direction that they have in common, of length 1."""
        mean = self.vectors.mean(0)
        return mean / max(float(np.linalg.norm(mean)), 1e-12)

    @property
    def agreement(self) -> float:
        """The mean cosine between the vectors of two splits."""
        count = len(self.vectors)
        total = float(np.square(self.vectors.sum(0)).sum()) - float(np.square(self.vectors).sum())
        return total / (count * (count - 1)) if count > 1 else float("nan")


@dataclass(frozen=True)
class Halves:
    """Moments of a random half of the play and of the other, as many where the concept holds as
    where not; and whether it does."""

    fit: Int[np.ndarray, "moments"]
    test: Int[np.ndarray, "others"]
    fit_holds: Bool[np.ndarray, "moments"]
    test_holds: Bool[np.ndarray, "others"]


def halves_of_groups(groups: Int[np.ndarray, "moments"]) -> Sides:
    """Half of the groups, such as episodes, and the others."""
    names = np.unique(groups)

    def draw(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        inside = np.isin(groups, random.permutation(names)[: (len(names) + 1) // 2])
        return inside, ~inside

    return draw


def halves_in_time(order: Int[np.ndarray, "moments"]) -> Sides:
    """A half of the time without a break, begun anywhere and going on at the beginning, and the
    other, with gaps between. order: the moments in the order of time."""
    count = len(order)
    half, gap = count // 2, min(GAP, count // 10)

    def draw(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        turned = np.roll(order, -int(random.integers(count)))
        sides = np.zeros((2, count), bool)
        sides[0, turned[: half - gap]] = True
        sides[1, turned[half : count - gap]] = True
        return sides[0], sides[1]

    return draw


def random_halves(
    holds: Float[np.ndarray, "moments"], sides: Sides, count: int, seed: int
) -> list[Halves]:
    """So many random splits.

    holds: 1, 0, or NaN for moments that are left out. sides: draws both halves.
    """
    random, found = np.random.default_rng(seed), []
    for _ in range(100 * count):  # a half without the concept is drawn anew
        parts = [_balanced(holds, side, random) for side in sides(random)]
        if all(len(part) for part in parts):
            found.append(Halves(*parts, *(holds[part] == 1 for part in parts)))
        if len(found) == count:
            return found
    raise ValueError("the concept is in too few stretches of the play to split it in halves")


def concept_vectors(
    values: Shaped[np.ndarray, "moments values"],
    halves: list[Halves],
    given: Features | None = None,
) -> ConceptVectors:
    """A ridge's normal for each split. given: the values' features, where they are known."""
    given = features(values) if given is None else given
    vectors, accuracies = np.zeros((len(halves), values.shape[1])), np.full(len(halves), 0.5)
    for number, half in enumerate(halves):
        around = centred(given, half.fit, half.test)
        if around.spread <= 0:
            continue
        sides = np.where(half.fit_holds, 1.0, -1.0)
        aim = sides if around.fitted is None else around.fitted.T @ sides
        inner = around.inner + PENALTY * around.spread * np.eye(len(around.inner))
        solved = cho_solve(cho_factor(inner, overwrite_a=True), aim)
        told = around.cross @ solved  # half of the moments are of each kind: the mean is 0
        vector = solved
        if around.fitted is None:
            own = values[half.fit]
            vector = (solved - solved.mean()) @ own.astype(np.float64)
        vectors[number] = vector / max(float(np.linalg.norm(vector)), 1e-300)
        accuracies[number] = ((told > 0) == half.test_holds).mean()
    return ConceptVectors(vectors, accuracies)


def _balanced(
    holds: Float[np.ndarray, "moments"], inside: np.ndarray, random: np.random.Generator
) -> Int[np.ndarray, "chosen"]:
    """As many moments of each kind, at most `SIDE`; none if there are fewer than four."""
    kinds = [np.flatnonzero(inside & (holds == kind)) for kind in (0, 1)]
    count = min(SIDE, *(len(kind) for kind in kinds))
    if count < 4:
        return np.zeros(0, int)
    return np.sort(np.concatenate([random.choice(kind, count, replace=False) for kind in kinds]))
