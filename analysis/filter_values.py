"""Measures of first-layer filters, with resamples of whole filters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from atari_zoo.analysis.measures.filter_shapes import (
    MIRRORS,
    frame_strengths,
    mirror_correlations,
    past_to_present,
    relative_profile,
)
from atari_zoo.analysis.measures.gabor import fit_gabors
from atari_zoo.seeds import generator_seed

FEWEST = 25  # weights of a slice: a Gabor function's nine numbers fit fewer whatever they are
SQUARE, MAGNITUDE, LEAN = "relative_square", "relative_magnitude", "past_to_present"
GABOR = "gabor_r2"
SHAPES = (GABOR, *MIRRORS)


class FilterValues(NamedTuple):
    """magnitudes, squares: the mean |weight| and weight^2 of each filter in each frame. shapes: by
    the names of `SHAPES`, missing where a filter is constant in a frame."""

    magnitudes: Float[np.ndarray, "filters frames"]
    squares: Float[np.ndarray, "filters frames"]
    shapes: Mapping[str, Float[np.ndarray, "filters frames"]]

    def by_filter(self) -> dict[str, Float[np.ndarray, "filters frames"]]:
        """All of them by name."""
        return {"mean_magnitude": self.magnitudes, "mean_square": self.squares, **self.shapes}

    def resampled(
        self, copies: Float[np.ndarray, "resamples filters"]
    ) -> dict[str, Float[np.ndarray, "resamples columns"]]:
        """Each measure over all filters, in resamples that have each of them so often.

        Columns: the frames, oldest first; of shapes then all frames together; of the lean on the
        past these alone.
        """
        magnitudes = copies @ self.magnitudes
        found = {
            SQUARE: relative_profile(copies @ self.squares),
            MAGNITUDE: relative_profile(magnitudes),
            LEAN: past_to_present(magnitudes)[:, None],
        }
        for name, values in self.shapes.items():
            there = np.isfinite(values)
            sums, counts = copies @ np.where(there, values, 0), copies @ there
            sums, counts = (np.column_stack([c, c.sum(1)]) for c in (sums, counts))
            found[name] = np.where(counts > 0, sums / np.where(counts > 0, counts, 1), np.nan)
        return found


def filter_values(weights: Float[np.ndarray, "filters frames height width"]) -> FilterValues:
    """All measures of each filter; the Gabor fit is missing where a slice has under 25 weights."""
    filters, frames, height, width = weights.shape
    slices = weights.reshape(-1, height, width)
    few = height * width < FEWEST
    shapes = {GABOR: np.full(len(slices), np.nan) if few else fit_gabors(slices).r2}
    shapes |= {mirror: mirror_correlations(slices, mirror) for mirror in MIRRORS}
    return FilterValues(
        frame_strengths(weights, 1),
        frame_strengths(weights, 2),
        {name: values.reshape(filters, frames) for name, values in shapes.items()},
    )


def shuffled_pixels(
    weights: Float[np.ndarray, "filters frames height width"], seed: int
) -> Float[np.ndarray, "filters frames height width"]:
    """The same weights, those of each filter and frame in another order.

    A Gabor function fits a single loud weight better than noise of a normal distribution: what is
    no better than this has loud weights, but no shape.
    """
    flat = weights.reshape(*weights.shape[:2], -1)
    random = np.random.default_rng(generator_seed(seed))
    return random.permuted(flat, axis=2).reshape(weights.shape)
