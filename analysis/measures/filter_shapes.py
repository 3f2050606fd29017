"""Shapes of first-layer filters: how they lean on the past, and how symmetric they are."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

MIRRORS = {"left_right": (-1,), "up_down": (-2,), "point": (-2, -1)}  # axes that are turned round


def frame_strengths(
    weights: Float[np.ndarray, "filters frames height width"], power: int = 2
) -> Float[np.ndarray, "filters frames"]:
    """The mean of |weight| ** power of each filter in each frame, oldest first.

    1 is the mean magnitude, of which the paper of the Atari Zoo speaks; 2 the mean square, which
    its code takes.
    """
    return (np.abs(weights.astype(float)) ** power).mean((-2, -1))


def relative_profile(
    strengths: Float[np.ndarray, "*resamples frames"],
) -> Float[np.ndarray, "*resamples frames"]:
    """Each frame's strength over the present one's; missing where that is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = strengths / strengths[..., -1:]
    return np.where(strengths[..., -1:] > 0, relative, np.nan)


def past_to_present(
    strengths: Float[np.ndarray, "resamples frames"],
) -> Float[np.ndarray, "resamples"]:
    """The mean strength of the past frames over the present one's: 1 of filters that treat all
    alike. Missing of a single frame, and where the present one has no weight."""
    if strengths.shape[-1] < 2:
        return np.full(len(strengths), np.nan)
    return relative_profile(strengths)[..., :-1].mean(-1)


def mirror_correlations(
    slices: Float[np.ndarray, "slices height width"], mirror: str
) -> Float[np.ndarray, "slices"]:
    """The correlation of each slice with its mirror image, -1..1; missing where it is constant.

    mirror: "left_right", "up_down", or "point", the reflection in its middle.
    """
    if mirror not in MIRRORS:
        raise ValueError(f"no mirror '{mirror}'; there are {', '.join(MIRRORS)}")
    flat = slices.astype(float).reshape(len(slices), -1)
    turned = np.flip(slices, MIRRORS[mirror]).reshape(flat.shape).astype(float)
    mean = flat.mean(1, keepdims=True)
    shared = ((flat - mean) * (turned - mean)).sum(1)
    own = np.square(flat - mean).sum(1)
    # what rounding leaves of a constant slice is no shape
    shaped = own > 1e-12 * np.square(flat).sum(1)
    return np.where(shaped, shared / np.where(shaped, own, 1), np.nan)
