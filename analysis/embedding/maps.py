"""Maps: points reduced to their principal components and laid out, and how good that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int
from scipy.spatial import procrustes
from sklearn.decomposition import PCA

from atari_zoo.analysis.embedding.methods import (
    Layout,
    Method,
    Points,
    from_chance,
    from_components,
)
from atari_zoo.analysis.measures.divergence import affinities, exact_divergence
from atari_zoo.analysis.measures.neighbourhoods import (
    drawn_rows,
    embedded_ranks,
    neighbour_overlap,
    preservation,
    trustworthiness,
)
from atari_zoo.analysis.measures.pooling import pooled_interval
from atari_zoo.seeds import generator_seed

COMPONENTS = 50
NEIGHBOURS = 15  # of trustworthiness, preservation and overlap
ROWS = 500  # that stand for all in those
CHANCE = 101  # added to the seed: the beginnings of other layouts
# whose places, measure, value, low, high
Quality = tuple[str, str, float, float, float]


@dataclass(frozen=True)
class Reduction:
    """Principal components: (points - mean) @ components.T."""

    mean: Float64[np.ndarray, "features"]
    components: Float64[np.ndarray, "kept features"]

    def __call__(self, points: Points) -> Float32[np.ndarray, "points kept"]:
        return ((points - self.mean) @ self.components.T).astype(np.float32)


@dataclass(frozen=True)
class Map:
    """A layout of points, with what it takes to place others in it.

    places: of the points. quality: how true it is, and how its controls are.
    """

    reduction: Reduction
    reduced: Float32[np.ndarray, "points kept"]
    places: Float64[np.ndarray, "points 2"]
    quality: tuple[Quality, ...] = ()


def reduction_of(points: Points, whose: str) -> Reduction:
    """To 50 components, or as many as there are.

    whose: what the points are, for the error.
    Raises ValueError where all points are the same.
    """
    if not len(points) or (points == points[0]).all():
        raise ValueError(
            f"all {len(points):,} moments of {whose} are the same: there is nothing to lay out"
        )
    # in float64: of bytes, float32 loses digits when their mean is taken off
    found = PCA(min(COMPONENTS, *points.shape), random_state=0).fit(points.astype(np.float64))
    return Reduction(found.mean_, found.components_)


def map_of(
    points: Points,
    episodes: Int[np.ndarray, "points"],
    method: Method,
    layout: Layout,
    seeds: int,
    whose: str,
    told: Callable[[int], None],
) -> Map:
    """The map of points, and of the same from other beginnings, which tell how sure it is.

    episodes: a number for each play's episodes, the units of the intervals.
    told: called with how many iterations are done, of all `seeds` layouts.
    """
    reduction = reduction_of(points, whose)
    reduced = reduction(points)
    near = (
        affinities(reduced, layout.perplexity, torch.get_num_threads())
        if method.by_affinities
        else None
    )
    found = []
    for number in range(seeds):
        begun = from_chance(reduced, layout.seed + CHANCE + number)
        begun = begun if number else from_components(reduced)
        own = replace(layout, seed=layout.seed + number)
        found.append(
            method.lay_out(reduced, near, begun, own, later(told, number * own.iterations))
        )
    quality = [*_quality(points, reduced, found[0], episodes, layout.seed)]
    quality += _stability(found, layout.seed)
    if near is not None:
        quality.append(("map", "divergence", exact_divergence(near.P, found[0]), np.nan, np.nan))
    return Map(reduction, reduced, found[0], tuple(quality))


def later(told: Callable[[int], None], before: int) -> Callable[[int], None]:
    """The same, called with so many iterations more."""
    return lambda done: told(before + done)


def _quality(
    points: Points,
    reduced: Float32[np.ndarray, "points kept"],
    places: Float64[np.ndarray, "points 2"],
    episodes: Int[np.ndarray, "points"],
    seed: int,
) -> list[Quality]:
    """Of the map, of the first two components alone, and of the map's places dealt out anew."""
    neighbours = min(NEIGHBOURS, (len(points) - 1) // 2)
    rows = drawn_rows(len(points), ROWS, generator_seed(seed))
    dealt = np.random.default_rng(generator_seed(seed)).permutation(places)
    found = []
    for whose, each in (("map", places), ("PCA", reduced[:, :2]), ("shuffled", dealt)):
        ranks = embedded_ranks(points, each, neighbours, rows)
        values = {
            "trustworthiness": trustworthiness(ranks, len(points)),
            "preservation": preservation(ranks),
        }
        for name, value in values.items():
            found.append((whose, name, *pooled_interval(value, episodes[rows], seed)))
    return found


def _stability(found: list[np.ndarray], seed: int) -> list[Quality]:
    """How alike the first layout and the others are: nothing of one alone."""
    if len(found) < 2:
        return []
    first, *others = found
    neighbours = min(NEIGHBOURS, len(first) - 1)
    rows = drawn_rows(len(first), ROWS, generator_seed(seed))
    overlaps = [neighbour_overlap(first, other, neighbours, rows) for other in others]
    disparities = [procrustes(first, other)[2] for other in others]
    means = {"overlap": float(np.mean(overlaps)), "disparity": float(np.mean(disparities))}
    return [("seeds", name, value, np.nan, np.nan) for name, value in means.items()]


def kept_arrays(maps: list[Map]) -> dict[str, np.ndarray]:
    """What placing new points takes, by name."""
    found: dict[str, np.ndarray] = {}
    for number, one in enumerate(maps):
        found[f"reduced_{number}"] = one.reduced
        found[f"mean_{number}"] = one.reduction.mean
        found[f"components_{number}"] = one.reduction.components
    return found


def kept_map(arrays: Mapping[str, Any], number: int, places: np.ndarray) -> Map:
    """The map of that number again, its points at these places."""
    names = (f"mean_{number}", f"components_{number}", f"reduced_{number}")
    if not all(name in arrays for name in names):
        raise ValueError("no embedding that others can be placed in: its arrays are missing")
    mean, components, reduced = (np.asarray(arrays[name]) for name in names)
    return Map(Reduction(mean, components), reduced, places)
