"""Tuning of a layer's units: how much each tells of each variable, and of each object's place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from atari_zoo.analysis.measures.correlations import partial, spearman, unit_correlations
from atari_zoo.analysis.measures.information import (
    binned,
    information_entropy,
    mutual_information,
)
from atari_zoo.analysis.tuning.places import Cells, TrackedObject, cell_ranks, cells_of, ranks_at
from atari_zoo.analysis.tuning.unit_values import unit_values

SAME = 0.9  # of rank correlation: two variables with more are one under two names
CHUNK = 16  # units whose maps are ranked at once
LEAST = 30  # moments at which an object must be there


class ValueTuning(NamedTuple):
    """Of each unit and variable, (units, variables).

    information, shuffled: mutual information in nats, and its mean over shuffled variables.
    share: what it has more than that, of the variable's entropy. correlation, ranks, rest:
    Pearson's, Spearman's and the partial one, all other variables taken out.
    """

    information: Float[np.ndarray, "units variables"]
    shuffled: Float[np.ndarray, "units variables"]
    share: Float[np.ndarray, "units variables"]
    correlation: Float[np.ndarray, "units variables"]
    ranks: Float[np.ndarray, "units variables"]
    rest: Float[np.ndarray, "units variables"]


class PlaceTuning(NamedTuple):
    """Of each unit and object, (units, objects).

    above: the share of the map's cells that the object's is above, 0.5 by chance; shuffled: the
    same where the object was at other times. share: what it has more, of what it could have.
    sums, counts: of each episode what `above` is the mean of, and of how many moments.
    """

    above: Float[np.ndarray, "units objects"]
    shuffled: Float[np.ndarray, "units objects"]
    share: Float[np.ndarray, "units objects"]
    sums: Float[np.ndarray, "episodes units objects"]
    counts: Float[np.ndarray, "episodes objects"]


def value_tuning(
    values: Shaped[np.ndarray, "moments ..."],
    variables: Float[np.ndarray, "moments variables"],
    shuffles: Sequence[Int[np.ndarray, "moments"]],
) -> ValueTuning:
    """How much the units tell of the variables. shuffles: see `shuffled_moments`."""
    units = unit_values(values)
    bins, asked = binned(units), binned(variables)
    information = mutual_information(bins, asked)
    shuffled = np.mean([mutual_information(bins, asked[moved]) for moved in shuffles], axis=0)
    entropies = np.maximum(information_entropy(asked), 1e-9)
    return ValueTuning(
        information,
        shuffled,
        np.clip((information - np.maximum(shuffled, 0)) / entropies, 0, 1),
        unit_correlations(units, variables),
        spearman(units, variables),
        partial(units, variables),
    )


def place_tuning(
    values: Shaped[np.ndarray, "moments units rows columns"],
    things: Sequence[TrackedObject],
    cells: Cells,
    shuffles: Sequence[Int[np.ndarray, "moments"]],
    episodes: Int[np.ndarray, "moments"],
) -> PlaceTuning:
    """How much the units fire where objects are; NaN of one that is hardly ever there.

    episodes: of each moment, from 0.
    """
    units, count = values.shape[1], int(episodes.max()) + 1
    sums, counts = np.zeros((count, units, len(things))), np.zeros((count, len(things)))
    shuffled = np.full((units, len(things)), np.nan)
    placed = [cells_of(thing, cells) for thing in things]
    for number, (where, _) in enumerate(placed):
        counts[:, number] = np.bincount(episodes[where >= 0], minlength=count)
    for begin in range(0, units, CHUNK):
        some = slice(begin, begin + CHUNK)
        ranks = {axes: cell_ranks(values[:, some], axes) for axes in {axes for _, axes in placed}}
        for number, (where, axes) in enumerate(placed):
            if (where >= 0).sum() >= LEAST:
                there = ranks_at(ranks[axes], where)
                np.add.at(sums[:, some, number], episodes[where >= 0], there)
                moved = [ranks_at(ranks[axes], where[m]).mean(0) for m in shuffles]
                shuffled[some, number] = np.mean(moved, axis=0)
    known = np.where(counts.sum(0) >= LEAST, counts.sum(0), np.nan)
    above = sums.sum(0) / known
    share = np.clip((above - shuffled) / np.maximum(1 - shuffled, 1e-9), 0, 1)
    return PlaceTuning(above, shuffled, share, sums, counts)


def next_best(
    share: Float[np.ndarray, "units asked"], same: Bool[np.ndarray, "asked asked"]
) -> tuple[Float[np.ndarray, "units asked"], Int[np.ndarray, "units asked"]]:
    """Of all others that are not the same thing, the largest share, and whose; 0 and -1 if there is
    none."""
    largest, whose = np.zeros(share.shape), np.full(share.shape, -1)
    for number in range(share.shape[1]):
        others = np.flatnonzero(~same[number])
        if len(others):
            best = np.nan_to_num(share[:, others]).argmax(1)
            whose[:, number] = others[best]
            largest[:, number] = np.nan_to_num(share[np.arange(len(share)), others[best]])
    return largest, whose


def same_variables(
    variables: Float[np.ndarray, "moments variables"],
) -> Bool[np.ndarray, "asked asked"]:
    """Which variables are one under several names, such as two bytes that move together."""
    there = np.isfinite(variables)
    means = np.where(there, variables, 0).sum(0) / np.maximum(there.sum(0), 1)
    filled = np.where(there, variables, means)
    alike = np.abs(spearman(filled, variables))
    return (alike >= SAME) | (alike.T >= SAME) | np.eye(len(alike), dtype=bool)
