"""Gabor functions fitted to filters: waves under a bell, as early visual cells and layers have.

The form is that of Jones and Palmer (1987, https://doi.org/10.1152/jn.1987.58.6.1233). Nine
numbers fit noise too: R^2 of a filter says something in excess of random filters' alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

STARTS, FIRST_STEPS = 16, 12  # of each slice: all of them take the first steps,
KEPT, STEPS = 3, 48  # and the best go on
ANGLES = 8  # of the grid of starts, over half a turn
WAVES, BELLS, CENTRES = (0.35, 0.6, 1.0, 1.75), (0.2, 0.35), (0.25, 0.5, 0.75)  # in slice sizes
STEP = 1e-6  # of the differences
# row, column, angle, log bell, log aspect, log wave; in pixels of a slice of size 1
LOWEST = np.array([-0.25, -0.25, -np.inf, np.log(0.08), np.log(0.25), np.log(0.25)])
HIGHEST = np.array([1.25, 1.25, np.inf, np.log(2.0), np.log(4.0), np.log(4.0)])


class GaborFit(NamedTuple):
    """Of each slice. r2: the share of its variance that is explained, 0..1; missing of a constant
    slice. angle: of the wave's direction, 0..pi, 0 along the rows. wave, bell: its length and the
    bell's deviation along it, in pixels. aspect: of the bell, along the wave over across it.
    centre: row and column."""

    r2: Float[np.ndarray, "slices"]
    angle: Float[np.ndarray, "slices"]
    wave: Float[np.ndarray, "slices"]
    bell: Float[np.ndarray, "slices"]
    aspect: Float[np.ndarray, "slices"]
    centre: Float[np.ndarray, "slices 2"]


def fit_gabors(slices: Float[np.ndarray, "slices height width"]) -> GaborFit:
    """The Gabor function nearest to each slice by least squares, from several starts.

    Amplitude, phase and offset are solved for exactly at every step (Golub and Pereyra, 1973);
    place, angle, bell, aspect and wave are sought by Levenberg and Marquardt's method, all slices
    at once.
    """
    count, height, width = slices.shape
    targets = slices.reshape(count, -1).astype(float)
    size = np.square(targets).sum(1)
    targets = targets - targets.mean(1, keepdims=True)
    length = np.linalg.norm(targets, axis=1, keepdims=True)
    # what rounding leaves of a constant slice is no shape
    shaped = length[:, 0] ** 2 > 1e-12 * size
    targets = np.where(shaped[:, None], targets / np.where(length > 0, length, 1), 0.0)
    places = _places(height, width)
    starts = _starts(targets, places)
    found, lost = _descend(starts, targets, places, FIRST_STEPS)
    best_few = np.argsort(lost, axis=1)[:, :KEPT, None]
    found, lost = _descend(np.take_along_axis(found, best_few, 1), targets, places, STEPS)
    best = found[np.arange(count), lost.argmin(1)]
    pixels = max(height, width)
    r2 = np.where(shaped, 1 - lost.min(1), np.nan)
    bell, aspect, wave = np.exp(best[:, 3:]).T
    return GaborFit(
        r2, best[:, 2] % np.pi, wave * pixels, bell * pixels, aspect, best[:, :2] * pixels - 0.5
    )


def _places(height: int, width: int) -> np.ndarray:
    """Row and column of each pixel's middle, in slice sizes."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    return np.stack([rows.ravel(), columns.ravel()]) / max(height, width)


def _waves(parameters: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The two waves under the bell, a quarter turn apart, without their means: (n, 2, pixels)."""
    row, column, angle = parameters.T[:3, :, None]
    bell, aspect, wave = np.exp(parameters.T[3:, :, None])
    rows, columns = places[0] - row, places[1] - column
    along = columns * np.cos(angle) + rows * np.sin(angle)
    across = rows * np.cos(angle) - columns * np.sin(angle)
    envelope = np.exp(-(along**2 + (aspect * across) ** 2) / (2 * bell**2))
    phase = 2 * np.pi * along / wave
    waves = np.stack([envelope * np.cos(phase), envelope * np.sin(phase)], 1)
    return waves - waves.mean(2, keepdims=True)


def _orthonormal(waves: np.ndarray) -> np.ndarray:
    """The same span, as two rows of length 1 at a right angle."""
    tiny = 1e-12
    first = waves[:, 0] / (np.linalg.norm(waves[:, 0], axis=1, keepdims=True) + tiny)
    second = waves[:, 1] - (waves[:, 1] * first).sum(1, keepdims=True) * first
    return np.stack([first, second / (np.linalg.norm(second, axis=1, keepdims=True) + tiny)], 1)


def _residuals(parameters: np.ndarray, targets: np.ndarray, places: np.ndarray) -> np.ndarray:
    """What the best amplitude and phase leave of the targets: (n, pixels)."""
    span = _orthonormal(_waves(parameters, places))
    return targets - np.einsum("nk,nkp->np", np.einsum("np,nkp->nk", targets, span), span)


def _starts(targets: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The best of a grid for each slice: as many of each angle, so that they differ."""
    angles = np.arange(ANGLES) * np.pi / ANGLES
    grid = np.array(
        [
            (row, column, angle, np.log(bell), 0.0, np.log(wave))
            for angle in angles
            for row in CENTRES
            for column in CENTRES
            for bell in BELLS
            for wave in WAVES
        ]
    )
    span = _orthonormal(_waves(grid, places))
    explained = np.square(np.einsum("tp,nkp->tnk", targets, span)).sum(2)
    explained = explained.reshape(len(targets), ANGLES, -1)
    inside = np.argsort(-explained, axis=2)[:, :, : STARTS // ANGLES]
    rows = inside + np.arange(ANGLES)[:, None] * explained.shape[2]
    return grid[rows.reshape(len(targets), -1)]


def _descend(
    starts: np.ndarray, targets: np.ndarray, places: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Levenberg and Marquardt's steps from each slice's starts (slices, starts, 6); the
    parameters, and the squares that are left (slices, starts)."""
    parameters = starts.reshape(-1, 6)
    targets = np.repeat(targets, starts.shape[1], axis=0)
    residuals = _residuals(parameters, targets, places)
    lost, damping = np.square(residuals).sum(1), np.full(len(parameters), 1e-2)
    for _ in range(steps):
        slopes = np.stack(
            [
                (_residuals(parameters + STEP * unit, targets, places) - residuals) / STEP
                for unit in np.eye(6)
            ],
            1,
        )
        normal = slopes @ slopes.transpose(0, 2, 1)
        diagonal = np.einsum("nii->ni", normal) * damping[:, None] + 1e-9
        normal[:, range(6), range(6)] += diagonal
        step = np.linalg.solve(normal, slopes @ residuals[..., None])[..., 0]
        tried = np.clip(parameters - step, LOWEST, HIGHEST)
        left = _residuals(tried, targets, places)
        now = np.square(left).sum(1)
        better = now < lost
        parameters = np.where(better[:, None], tried, parameters)
        residuals = np.where(better[:, None], left, residuals)
        lost = np.where(better, now, lost)
        damping = np.clip(np.where(better, damping / 3, damping * 4), 1e-9, 1e9)
    return parameters.reshape(starts.shape), lost.reshape(starts.shape[:2])
