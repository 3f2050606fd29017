"""New moments placed in an old embedding, and how far they are from all that is in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int

from atari_zoo.analysis.embedding.maps import Map
from atari_zoo.analysis.embedding.methods import Layout, Method, Points
from atari_zoo.analysis.measures.neighbourhoods import drawn_rows
from atari_zoo.analysis.results import Result

ROWS = 1000  # old moments that stand for all
FAR = 0.99  # of old moments are not as far from other episodes' as `far` 1
AT_ONCE = 1 << 23  # distances: 64 MiB


def check_alike(
    old: Result, folder: Path, space: str, method: str, perplexity: float, iterations: int | None
) -> None:
    """Raises ValueError where a saved embedding was not made with these settings."""
    made = old.made.parameters
    if old.made.analysis != "embeddings":
        raise ValueError(f"{folder}: a result of '{old.made.analysis}', not of 'embeddings'")
    numbers = {"perplexity": perplexity, "iterations": iterations}
    for name, value in {"space": space, "method": method, **numbers}.items():
        if made[name] != value:
            raise ValueError(
                f"{folder} was made with {name} {made[name]}, and {name} is {value} now: moments "
                f"are placed by the same settings; give {name} {made[name]}, or embed all anew"
            )


def placed(
    old: Map,
    old_units: Int[np.ndarray, "old"],
    points: Points,
    method: Method,
    layout: Layout,
) -> tuple[Map, Float[np.ndarray, "points"]]:
    """New points on an old map, and how far each is from all old ones.

    old_units: the episode of each old point.
    Far: the distance to the nearest old point, over what 99 % of old points have to the nearest of
    another episode; NaN where all are of one. Every point gets a place, whatever it is like.
    Raises ValueError where the points have not the old ones' features.
    """
    if points.shape[1] != len(old.reduction.mean):
        raise ValueError(
            f"moments of {points.shape[1]} values, and the embedding is of "
            f"{len(old.reduction.mean)}: they are of another layer or network"
        )
    reduced = old.reduction(points)
    places = method.place(old.reduced, old.places, reduced, layout)
    far = _nearest(reduced, old.reduced) / _usual(old.reduced, old_units, layout.seed)
    return Map(old.reduction, reduced, places), far


def _nearest(
    points: Points, old: Float32[np.ndarray, "old features"]
) -> Float[np.ndarray, "points"]:
    from scipy.spatial.distance import cdist

    chunk = max(1, AT_ONCE // len(old))
    parts = [
        cdist(points[begin : begin + chunk], old).min(axis=1)
        for begin in range(0, len(points), chunk)
    ]
    return np.concatenate(parts)


def _usual(
    old: Float32[np.ndarray, "old features"], units: Int[np.ndarray, "old"], seed: int
) -> float:
    """The distance to other episodes that few old points exceed; NaN where there is one episode."""
    from scipy.spatial.distance import cdist

    if len(np.unique(units)) < 2:
        return float("nan")
    rows = drawn_rows(len(old), ROWS, seed)
    chunk = max(1, AT_ONCE // len(old))
    found = []
    for begin in range(0, len(rows), chunk):
        some = rows[begin : begin + chunk]
        gaps = cdist(old[some], old)
        gaps[units[some][:, None] == units[None]] = np.inf
        found.append(gaps.min(axis=1))
    return float(np.quantile(np.concatenate(found), FAR)) or float("nan")
