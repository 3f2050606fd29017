"""Planted filters: lean on the past, mirrors, and Gabor functions, against SciPy's fit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from atari_zoo.analysis.measures.filter_shapes import (
    frame_strengths,
    mirror_correlations,
    past_to_present,
    relative_profile,
)
from atari_zoo.analysis.measures.gabor import fit_gabors

RANDOM = np.random.default_rng(0)
ROWS, COLUMNS = np.mgrid[:8, :8].astype(float)


def gabor(row, column, angle, bell, aspect, wave, amplitude, phase, offset) -> np.ndarray:
    """A Gabor function in pixels, its angle from the rows towards the columns' direction."""
    y, x = ROWS - row, COLUMNS - column
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    envelope = np.exp(-(along**2 + (aspect * across) ** 2) / (2 * bell**2))
    return amplitude * envelope * np.cos(2 * np.pi * along / wave + phase) + offset


def test_strengths_by_loops() -> None:
    weights = RANDOM.normal(size=(3, 4, 5, 6))
    for power in (1, 2):
        found = frame_strengths(weights, power)
        for index in np.ndindex(3, 4):
            plain = [abs(w) ** power for w in weights[index].ravel()]
            assert found[index] == pytest.approx(sum(plain) / len(plain))


def test_a_planted_profile_is_found() -> None:
    weights = RANDOM.normal(size=(64, 4, 8, 8)) * np.array([0.1, 0.2, 0.5, 1])[:, None, None]
    squares, magnitudes = (frame_strengths(weights, p).mean(0) for p in (2, 1))
    assert relative_profile(squares) == pytest.approx([0.01, 0.04, 0.25, 1], rel=0.1)
    assert relative_profile(magnitudes) == pytest.approx([0.1, 0.2, 0.5, 1], rel=0.1)
    assert past_to_present(magnitudes[None])[0] == pytest.approx(0.8 / 3, rel=0.1)
    assert np.isnan(relative_profile(np.array([1.0, 2, 0]))).all()  # nothing to divide by
    assert np.isnan(past_to_present(np.array([[1.0]]))[0])  # no past


def test_mirrors_of_planted_filters() -> None:
    even = RANDOM.normal(size=(8, 4))
    cases = {
        "left_right": np.hstack([even, even[:, ::-1]]),
        "up_down": np.vstack([even.T, even.T[::-1]]),
        "point": np.vstack([even.T, even.T[::-1, ::-1]]),
    }
    for name, planted in cases.items():
        assert mirror_correlations(planted[None], name) == pytest.approx([1])
        others = [mirror_correlations(planted[None], other)[0] for other in cases if other != name]
        assert max(others) < 0.9
    odd = np.hstack([even, -even[:, ::-1]])
    assert mirror_correlations(odd[None], "left_right") == pytest.approx([-1])
    assert np.isnan(mirror_correlations(np.full((1, 8, 8), 0.1), "point")).all()
    noise = RANDOM.normal(size=(2000, 8, 8))
    for name in cases:
        turned = noise[5][:, ::-1] if name == "left_right" else noise[5][::-1]
        turned = noise[5][::-1, ::-1] if name == "point" else turned
        expected = np.corrcoef(noise[5].ravel(), turned.ravel())[0, 1]
        assert mirror_correlations(noise, name)[5] == pytest.approx(expected)
        assert abs(mirror_correlations(noise, name).mean()) < 0.03
    with pytest.raises(ValueError, match="no mirror 'top'; there are left_right, up_down, point"):
        mirror_correlations(noise, "top")


def test_planted_gabor_functions_are_found() -> None:
    planted = [
        (
            RANDOM.uniform(2, 5),
            RANDOM.uniform(2, 5),
            RANDOM.uniform(0, np.pi),
            RANDOM.uniform(1.5, 3),
            RANDOM.uniform(0.7, 1.4),
            RANDOM.uniform(3.5, 7),
            RANDOM.uniform(0.5, 2),
            RANDOM.uniform(0, 2 * np.pi),
            RANDOM.normal(),
        )
        for _ in range(12)
    ]
    slices = np.stack([gabor(*parameters) for parameters in planted])
    found = fit_gabors(slices)
    assert found.r2 == pytest.approx(1, abs=1e-6)
    expected = np.array(planted).T
    turn = (found.angle - expected[2] + np.pi / 2) % np.pi - np.pi / 2
    np.testing.assert_allclose(turn, 0, atol=1e-3)
    np.testing.assert_allclose(found.centre.T, expected[:2], atol=1e-2)
    for name, place in (("bell", 3), ("aspect", 4), ("wave", 5)):
        np.testing.assert_allclose(getattr(found, name), expected[place], rtol=1e-2)


def test_scale_and_offset_change_nothing_and_noise_fits_too() -> None:
    noise = RANDOM.normal(size=(16, 8, 8))
    r2 = fit_gabors(noise).r2
    # nine numbers of 64: that of noise is no 0
    assert 0.15 < r2.mean() < 0.4
    np.testing.assert_allclose(fit_gabors(1e-3 * noise + 5).r2, r2, atol=1e-6)
    mixed = fit_gabors(np.stack([gabor(3, 4, 0.5, 2, 1, 5, 1, 0.3, 0)]) + 0.1 * noise[:1])
    assert 0.7 < mixed.r2[0] < 1
    assert np.isnan(fit_gabors(np.full((1, 8, 8), 0.1)).r2).all()


def test_the_fit_is_as_near_as_scipys_from_many_starts() -> None:
    for target in RANDOM.normal(size=(3, 8, 8)):

        def left(p: np.ndarray, target: np.ndarray = target) -> np.ndarray:
            place, shape = p[:2], (p[2], np.exp(p[3]), np.exp(p[4]), np.exp(p[5]))
            return (gabor(*place, *shape, *p[6:]) - target).ravel()

        low = [-2.5, -2.5, -9, np.log(0.64), np.log(0.25), np.log(2), -50, -9, -50]
        high = [9.5, 9.5, 9, np.log(16), np.log(4), np.log(32), 50, 9, 50]
        best = 0.0
        for _ in range(8):
            start = [
                *RANDOM.uniform(1, 6, 2),
                RANDOM.uniform(0, 3),
                *np.log([RANDOM.uniform(1, 3), 1, RANDOM.uniform(3, 8)]),
                *(1.0, RANDOM.uniform(0, 6), 0.0),
            ]
            cost = least_squares(left, start, bounds=(low, high), max_nfev=60).cost
            best = max(best, 1 - 2 * cost / np.square(target - target.mean()).sum())
        assert fit_gabors(target[None]).r2[0] > best - 0.02
