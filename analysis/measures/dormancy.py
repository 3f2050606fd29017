"""Dormant units (Sokar et al., 2023, https://arxiv.org/abs/2302.12902), and those always on.

A unit's score is its mean magnitude over what was seen, divided by its layer's mean of that; a
unit is dormant where its score is at most a threshold. A map is one unit: its mean is over its
places too.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

EPSILON = 1e-9  # added to the layer's mean, as Dopamine's `estimate_neuron_score` does
THRESHOLDS = (0.0, 0.025, 0.1)


def dormancy_scores(
    magnitudes: Float[np.ndarray, "*resamples units"],
) -> Float[np.ndarray, "*resamples units"]:
    """The normalised score of each unit of a layer: 1 for one as strong as the layer's mean."""
    return magnitudes / (magnitudes.mean(-1, keepdims=True) + EPSILON)


def unit_magnitudes(
    values: Float[np.ndarray, "moments units *places"],
) -> Float[np.ndarray, "moments units"]:
    """The mean magnitude of each unit at each moment, over its places."""
    return np.abs(values).reshape(*values.shape[:2], -1).mean(-1, dtype=float)


def always_positive(
    values: Float[np.ndarray, "moments units *places"],
) -> Bool[np.ndarray, "moments units"]:
    """Whether each unit is above 0 at every place of a moment. One that is so at every moment is
    linear in what is below it: its ReLU does nothing."""
    return values.reshape(*values.shape[:2], -1).min(-1) > 0


class EpisodeActivity(NamedTuple):
    """What a layer's units did in each episode, for resamples of whole ones.

    magnitudes: their sums over an episode's moments. counts: of its moments. rested: whether a unit
    was not above 0 everywhere.
    """

    magnitudes: Float[np.ndarray, "episodes units"]
    counts: Float[np.ndarray, "episodes"]
    rested: Bool[np.ndarray, "episodes units"]

    def scores(
        self, copies: Float[np.ndarray, "resamples episodes"]
    ) -> Float[np.ndarray, "resamples units"]:
        """`dormancy_scores` in each resample; copies: how often it has each episode."""
        return dormancy_scores(copies @ self.magnitudes / (copies @ self.counts)[:, None])

    def always_on(
        self, copies: Float[np.ndarray, "resamples episodes"]
    ) -> Bool[np.ndarray, "resamples units"]:
        """Which units were above 0 at every place of every moment."""
        return (copies > 0).astype(float) @ self.rested == 0


def episode_activity(
    values: Float[np.ndarray, "moments units *places"],
    members: Float[np.ndarray, "moments episodes"],
) -> EpisodeActivity:
    """Of a layer's values after its ReLU; members: 1 where a moment is of an episode, else 0."""
    rested = members.T @ ~always_positive(values) > 0
    return EpisodeActivity(members.T @ unit_magnitudes(values), members.sum(0), rested)
