"""Curves of scores against noise: normalised, their area, their order, by resampling.

Draws of the noise are resampled, and within each the episodes; clean and random play with them. Of
two or three draws (`intervals.FEW`) the lowest and the highest one's number is told instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from atari_zoo.analysis.measures.policy_changes import DRAWS, TAILS
from atari_zoo.intervals import FEW

Draws = Sequence[Sequence[float]]  # of each draw of the noise, what its episodes scored


class Resampled(NamedTuple):
    """A number, and what it is in each resample.

    few: whether these are the numbers of two or three draws, over and over.
    """

    value: float
    resamples: Float[np.ndarray, "resamples"]
    few: bool = False

    @property
    def ends(self) -> tuple[float, float]:
        """Of the 95 % interval, of few draws the lowest and the highest; NaN where a resample in
        forty has no value."""
        if np.isnan(self.resamples).mean() > 0.025:
            return float("nan"), float("nan")
        low, high = np.nanpercentile(self.resamples, (0, 100) if self.few else TAILS)
        return float(low), float(high)


def resampled_mean(draws: Draws, random: np.random.Generator) -> Resampled:
    """The mean of all draws' means; of one draw, its resamples are NaN, as episodes say nothing of
    other draws; of two or three they are the draws' own, in order, so that play is divided by clean
    play of the same draw."""
    own = np.array([np.mean(some) for some in draws])
    value = float(own.mean())
    if len(draws) < 2:
        return Resampled(value, np.full(DRAWS, np.nan))
    if len(draws) < FEW:
        return Resampled(value, np.resize(own, DRAWS), few=True)
    episodes = [np.asarray(some, float) for some in draws]
    means = np.stack(
        [
            some[random.integers(len(some), size=(len(draws), DRAWS, len(some)))].mean(axis=2)
            for some in episodes
        ]
    )  # (draws, places, resamples): each draw's episodes, anew for each place that it may take
    chosen = random.integers(len(draws), size=(len(draws), DRAWS))
    places = np.arange(len(draws))[:, None]
    return Resampled(value, means[chosen, places, np.arange(DRAWS)].mean(axis=0))


def normalised(score: Resampled, random: Resampled, top: Resampled) -> Resampled:
    """The score where random play is 0 and `top` is 1; NaN where top is not above random play."""

    def share(score: Any, random: Any, top: Any) -> Any:
        above = top - random
        return (score - random) / np.where(above > 0, above, np.nan)

    value = share(score.value, random.value, top.value)
    resamples = share(score.resamples, random.resamples, top.resamples)
    return Resampled(float(value), resamples, score.few or random.few or top.few)


def area(levels: Sequence[float], curve: Sequence[Resampled]) -> Resampled:
    """The mean height of a curve over the logarithm of the level, level 0 aside; NaN without one.

    1 where the noise costs nothing at any level, 0 where all of them leave random play.
    """
    used = [number for number, level in enumerate(levels) if level > 0]
    used.sort(key=lambda number: levels[number])
    if not used:
        return Resampled(float("nan"), np.full(DRAWS, np.nan))
    values = np.array([curve[number].value for number in used])
    resamples = np.stack([curve[number].resamples for number in used])
    few = any(curve[number].few for number in used)
    if len(used) == 1:
        return Resampled(float(values[0]), resamples[0], few)
    place = np.log([levels[number] for number in used])
    width = place[-1] - place[0]
    means = np.trapezoid(resamples, place, axis=0) / width
    return Resampled(float(np.trapezoid(values, place) / width), means, few)


def area_ranks(areas: Sequence[Resampled]) -> list[Resampled]:
    """The rank of each among them, 1 for the largest; NaN for one that has no area, and in a
    resample in which another that has one is not known."""
    values = np.array([one.value for one in areas])
    resamples = np.stack([one.resamples for one in areas])
    unknown = np.isnan(resamples[~np.isnan(values)]).any(axis=0)
    few = any(one.few for one in areas)
    return [
        Resampled(
            float(_rank(values, number)), np.where(unknown, np.nan, _rank(resamples, number)), few
        )
        for number in range(len(areas))
    ]


def _rank(values: np.ndarray, number: int) -> Any:
    larger = (values > values[number]).sum(axis=0)
    equal = (values == values[number]).sum(axis=0) - 1
    return np.where(np.isnan(values[number]), np.nan, 1 + larger + equal / 2)
