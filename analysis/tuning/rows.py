"""Rows of the table of units: each unit with what it may be about, the most telling first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas
from jaxtyping import Float, Int, Shaped

from atari_zoo.analysis.measures.information import binned
from atari_zoo.analysis.measures.resampling import centred_measure_interval
from atari_zoo.analysis.tuning.places import TrackedObject
from atari_zoo.analysis.tuning.tuning import (
    PlaceTuning,
    ValueTuning,
    next_best,
    same_variables,
)

VALUE, PLACE = "value", "place"
PAIR = ["layer", "number", "asked", "aspect"]  # what a row is about


class Asked(NamedTuple):
    """What a subject's units are compared with, at the moments that are looked at."""

    names: tuple[str, ...]
    variables: Float[np.ndarray, "moments variables"]
    things: tuple[TrackedObject, ...]
    episodes: Int[np.ndarray, "moments"]

    def at(self, part: Int[np.ndarray, "some"]) -> Asked:
        """Of some of the moments."""
        return Asked(
            self.names,
            self.variables[part],
            tuple(thing.at(part) for thing in self.things),
            self.episodes[part],
        )


class LayerTuning(NamedTuple):
    """A layer's units, and how the best of the same layer before training does (the largest share
    of any of its units; NaN where there is none)."""

    layer: str
    values: Shaped[np.ndarray, "moments units"]
    value: ValueTuning
    place: PlaceTuning | None
    value_before: Float[np.ndarray, "variables"]
    place_before: Float[np.ndarray, "objects"]


def tuning_rows(found: LayerTuning, asked: Asked) -> pandas.DataFrame:
    """A row for each unit and variable, and for each and object; alive: whether it ever changes."""
    same = same_variables(asked.variables)
    value = found.value
    parts = [
        _pairs(found, asked.names, value.share, same, found.value_before).assign(
            aspect=VALUE,
            score=value.information.ravel(),
            shuffled=value.shuffled.ravel(),
            pearson=value.correlation.ravel(),
            spearman=value.ranks.ravel(),
            partial=value.rest.ravel(),
            alive=lambda rows: (np.ptp(found.values, axis=0) > 0)[rows["number"]],
        )
    ]
    if found.place is not None and asked.things:
        names, alone = [thing.name for thing in asked.things], np.eye(len(asked.things), dtype=bool)
        place = found.place
        parts.append(
            _pairs(found, names, place.share, alone, found.place_before).assign(
                aspect=PLACE,
                score=place.above.ravel(),
                shuffled=place.shuffled.ravel(),
                # a map that is the same everywhere, always, has half its cells below each
                alive=lambda rows: (np.nan_to_num(place.above, nan=0.5) != 0.5).any(axis=1)[
                    rows["number"]
                ],
            )
        )
    return pandas.concat(parts, ignore_index=True)


def chosen_rows(first: pandas.DataFrame, second: pandas.DataFrame, most: int) -> pandas.DataFrame:
    """The second's rows that are the most selective in the first, in that order, chosen_by their
    selectivity there; those of which the second knows nothing are left out.

    The best of thousands are better than they are where they are chosen: so elsewhere is told how
    good they are.
    """
    best = first[first["alive"] & first["share"].notna()]
    best = best.sort_values("selectivity", ascending=False, kind="stable").head(most)
    best = best[[*PAIR, "selectivity"]].rename(columns={"selectivity": "chosen_by"})
    found = best.merge(second, on=PAIR, how="left", validate="one_to_one")
    return found[found["share"].notna()].reset_index(drop=True)


def with_intervals(
    table: pandas.DataFrame, found: dict[str, LayerTuning], asked: Asked, seed: int
) -> pandas.DataFrame:
    """The rows with low, high and n: of the score, whole episodes resampled, the
    resamples about their own mean, since information grows with copies of an episode."""
    bins = binned(asked.variables)
    ends, counts = [], []
    for row in table.itertuples():
        layer = found[row.layer]
        if row.aspect == VALUE:
            units = binned(layer.values[:, [row.number]])[:, 0]
            sums = _cells_by_episode(units, bins[:, row.asked], asked.episodes)
            limits = (min(0.0, row.score), np.inf)
            ends.append(
                centred_measure_interval(sums[sums.any((1, 2))], _information, limits, seed)
            )
            counts.append(int(sums.sum()))
        else:
            place = layer.place
            assert place is not None
            both = np.stack([place.sums[:, row.number, row.asked], place.counts[:, row.asked]], 1)
            ends.append(centred_measure_interval(both[both[:, 1] > 0], _mean, (0.0, 1.0), seed))
            counts.append(int(both[:, 1].sum()))
    low, high = np.array(ends).reshape(-1, 2).T
    table = table.assign(low=low, high=high, n=np.array(counts, int))
    return table[table["n"] > 0].reset_index(drop=True)  # else nothing is known


def _pairs(
    found: LayerTuning,
    names: Sequence[str],
    share: Float[np.ndarray, "units asked"],
    same: np.ndarray,
    before: Float[np.ndarray, "asked"],
) -> pandas.DataFrame:
    largest, whose = next_best(share, same)
    units, asked = np.indices(share.shape).reshape(2, -1)
    others = np.array([*names, ""])  # -1: none
    return pandas.DataFrame(
        {
            "layer": found.layer,
            "unit": [f"{found.layer}:{unit}" for unit in units],
            "number": units,
            "asked": asked,
            "variable": np.array(names)[asked],
            "share": share.ravel(),
            "untrained": before[asked],
            "next": others[whose.ravel()],
            "next_share": largest.ravel(),
            "selectivity": (share - largest).ravel(),
        }
    )


def _cells_by_episode(
    units: Int[np.ndarray, "moments"],
    variable: Int[np.ndarray, "moments"],
    episodes: Int[np.ndarray, "moments"],
) -> Float[np.ndarray, "episodes bins values"]:
    there = (units >= 0) & (variable >= 0)
    sums = np.zeros((episodes.max() + 1, units.max() + 1, variable.max() + 1))
    np.add.at(sums, (episodes[there], units[there], variable[there]), 1)
    return sums


def _information(cells: Float[np.ndarray, "some bins values"]) -> Float[np.ndarray, "some"]:
    """As `mutual_information` has it, of counts."""
    total = np.maximum(cells.sum((1, 2)), 1)
    shares = cells / total[:, None, None]
    rows, columns = shares.sum(2), shares.sum(1)
    found = _entropy(rows) + _entropy(columns) - _entropy(shares.reshape(len(shares), -1))
    full = (cells > 0).sum((1, 2)) - (rows > 0).sum(1) - (columns > 0).sum(1) + 1
    return found - full / (2 * total)


def _entropy(shares: Float[np.ndarray, "some bins"]) -> Float[np.ndarray, "some"]:
    return -(shares * np.log(np.where(shares > 0, shares, 1))).sum(1)


def _mean(both: Float[np.ndarray, "some 2"]) -> Float[np.ndarray, "some"]:
    return both[:, 0] / np.maximum(both[:, 1], 1)
