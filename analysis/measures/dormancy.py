"""Dormant units (Sokar et al., 2023, https://arxiv.org/abs/2302.12902), and those always on.

A unit's score is its mean magnitude over what was seen, divided by its layer's mean of that; a
unit is dormant where its score is at most a threshold. A map is one unit: its mean is over its
places too.
"""

from __future__ import annotations

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
