"""Rows of first-layer filters' measures: a value, its interval, and what filters without a shape
have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from atari_zoo.analysis.filter_values import LEAN, SHAPES, FilterValues
from atari_zoo.analysis.measures.drawn_episodes import centred_interval, resampled_copies

RESAMPLES = 1000
ALL = "all"  # frames together
MISSING = float("nan")
Drawn = Mapping[str, Float[np.ndarray, "resamples columns"]]


def filter_rows(
    own: FilterValues,
    random: FilterValues | None,
    mixed: FilterValues,
    frames: Sequence[str],
    seed: int,
) -> Iterator[dict[str, Any]]:
    """A row for each measure and frame.

    random: of untrained networks; None where there are none. mixed: of the same filters, their
    weights in another order. frames: what they are called, and after them all together.
    """
    value, shuffled = _once(own), _once(mixed)
    control = _once(random) if random else {}
    drawn = _resampled(own, seed)
    control_drawn = _resampled(random, seed + 1) if random else {}
    for measure, found in value.items():
        for column in range(found.shape[1]):
            number = float(found[0, column])
            low, high = centred_interval(number, drawn[measure][:, column])
            row: dict[str, Any] = {
                "measure": measure,
                "frame": ALL if measure == LEAN else frames[column],
                "value": number,
                "low": low,
                "high": high,
                "random": MISSING,
                "excess": MISSING,
                "excess_low": MISSING,
                "excess_high": MISSING,
                "shuffled": float(shuffled[measure][0, column]) if measure in SHAPES else MISSING,
            }
            if random:
                row["random"] = float(control[measure][0, column])
                row["excess"] = number - row["random"]
                differences = drawn[measure][:, column] - control_drawn[measure][:, column]
                ends = centred_interval(row["excess"], differences)
                row["excess_low"], row["excess_high"] = ends
            yield row | {"n": len(own.squares), "of": "filters"}


def _once(values: FilterValues) -> Drawn:
    return values.resampled(np.ones((1, len(values.squares))))


def _resampled(values: FilterValues, seed: int) -> Drawn:
    return values.resampled(resampled_copies(len(values.squares), RESAMPLES, seed))
