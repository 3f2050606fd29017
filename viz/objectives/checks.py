"""Checks, before the first step, that what an objective asks for is there."""

from __future__ import annotations

import torch

from atari_zoo.viz.objectives.objectives import Objective
from atari_zoo.viz.objectives.values import Values


def check_objective(objective: Objective, values: Values) -> None:
    """Raises ValueError if a unit is not there, given the values for any one image."""
    for term in objective.terms:
        shape = tuple(values[term.references[0]].shape[1:])
        layer = term.references[0].layer
        if term.axes and len(shape) + 1 not in term.axes:
            words = " x ".join(map(str, shape))
            raise ValueError(
                f"{layer} has {words} values an image; this objective is for layers of "
                f"{' or '.join(str(axes - 1) for axes in term.axes)} axes: give an index for each"
            )
        for row, size in zip(term.rows, shape, strict=False):
            if row.dtype == torch.int64 and not 0 <= int(row.min()) <= int(row.max()) < size:
                wrong = int(row.min()) if int(row.min()) < 0 else int(row.max())
                raise ValueError(f"no unit {wrong} in {layer}; expected 0 to {size - 1}")
            if row.dtype.is_floating_point and row.shape[1:] != shape[: row.ndim - 1]:
                expected, given = (" x ".join(map(str, s)) for s in (shape, row.shape[1:]))
                raise ValueError(f"{layer} has {expected} values an image; the direction {given}")
