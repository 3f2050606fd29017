"""The interpolated repulsion of t-SNE against plain sums over all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from openTSNE.tsne import kl_divergence_bh

from atari_zoo.analysis.embedding import methods
from atari_zoo.analysis.embedding.gradient import InterpolatedGradient
from atari_zoo.analysis.embedding.grid_kernels import MARGIN, SPACING, grid_around
from atari_zoo.analysis.embedding.methods import TSNE, MapSettings, from_components
from atari_zoo.analysis.embedding.repulsion import Repulsion, too_wide
from atari_zoo.analysis.measures.divergence import affinities, exact_divergence

SCATTERED = np.random.default_rng(0).random((300, 2))
ASKED = {"dof": 1, "n_jobs": 1, "should_eval_error": True, "bh_params": {"theta": 0.5}}


def summed(places: np.ndarray) -> tuple[np.ndarray, float]:
    """Forces and normalizer, point by point."""
    forces, normalizer = np.zeros_like(places), 0.0
    for i, place in enumerate(places):
        way = place - places
        similar = 1 / (1 + (way**2).sum(axis=1))
        forces[i] = (similar[:, None] ** 2 * way).sum(axis=0)
        normalizer += similar.sum() - similar[i]
    return forces, normalizer


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


# what is seen: forces 1e-7, 3e-6, .037, .022. At 50 openTSNE's interpolated ones are .043 off
@pytest.mark.parametrize(
    ("span", "forces_off", "normalizer_off"),
    [(1e-4, 5e-7, 1e-7), (5, 1e-5, 1e-6), (50, 0.04, 2e-4), (300, 0.025, 4e-4)],
)
def test_is_the_sum_over_all_pairs(span: float, forces_off: float, normalizer_off: float) -> None:
    places = SCATTERED * span - span / 3
    forces, normalizer = Repulsion()(places)
    expected, whole = summed(places)
    assert relative_error(forces, expected) < forces_off
    assert normalizer == pytest.approx(whole, rel=normalizer_off)


def test_nothing_comes_round() -> None:
    """Two crowds at opposite ends, on a grid longer than it is wide."""
    places = np.concatenate([SCATTERED[:150] * 3, SCATTERED[150:] * 3 + [4, 90]])
    forces, normalizer = Repulsion()(places)
    expected, whole = summed(places)
    np.testing.assert_allclose(forces, expected, atol=0.02 * abs(expected).max())
    assert normalizer == pytest.approx(whole, rel=5e-4)


def test_forces_are_equal_and_opposite_and_none_pushes_itself() -> None:
    forces, _ = Repulsion()(SCATTERED * 50)
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-4 * abs(forces).sum())
    far, normalizer = Repulsion()(np.array([[0.0, 0.0], [30.3, 17.7]]))
    np.testing.assert_allclose(far, 0, atol=1e-4)
    assert normalizer == pytest.approx(2 / (1 + 30.3**2 + 17.7**2), rel=0.05)


def test_kernels_are_those_of_the_grid() -> None:
    kept = Repulsion()
    for span in (50, 5, 50):
        found, fresh = kept(SCATTERED * span), Repulsion()(SCATTERED * span)
        np.testing.assert_array_equal(found[0], fresh[0])
        assert found[1] == fresh[1]


@pytest.mark.parametrize("span", [0.0, 1e-4, 0.3, 7.0, 23.9, 24.1, 400.0])
def test_a_grid_holds_its_points(span: float) -> None:
    grid = grid_around(np.array([span, span / 2]))
    assert grid.spacing * (grid.rows - 2 * MARGIN) >= span
    assert grid.spacing * (grid.columns - 2 * MARGIN) >= span / 2
    # fine enough for points near each other, and no finer than it helps
    assert grid.spacing <= min(SPACING, max(span, 1e-9) / 48 * (1 + 1e-9))
    assert grid.rows < 1.2 * max(span / SPACING, 48 * 2**0.5) + 25


def test_a_grid_lasts_while_points_spread() -> None:
    grids = {grid_around(np.array([span, span])) for span in np.linspace(200, 300, 200)}
    assert len(grids) < 12


def test_the_gradient_is_the_slope_of_the_exact_divergence() -> None:
    random = np.random.default_rng(1)
    near = affinities(random.normal(size=(80, 5)), 8).P
    places = random.normal(size=(80, 2))  # dense, where interpolation is nearly exact
    divergence, gradient = InterpolatedGradient()(places, near, **ASKED)
    assert divergence == pytest.approx(exact_divergence(near, places), abs=1e-6)
    step = 1e-5
    for point, axis in ((0, 0), (17, 1), (44, 0), (79, 1)):
        up, down = places.copy(), places.copy()
        up[point, axis] += step
        down[point, axis] -= step
        slope = (exact_divergence(near, up) - exact_divergence(near, down)) / (2 * step)
        assert 4 * gradient[point, axis] == pytest.approx(slope, rel=1e-4)
    assert abs(gradient).max() > 2e-3  # and that is no small thing


def test_points_that_shot_off_need_no_grid() -> None:
    random = np.random.default_rng(2)
    near = affinities(random.normal(size=(80, 5)), 8).P
    places = random.normal(size=(80, 2))
    places[3] = 1e5
    assert too_wide(places) and not too_wide(SCATTERED * 900)
    divergence, gradient = InterpolatedGradient()(places, near, **ASKED)
    expected, theirs = kl_divergence_bh(places, near, **ASKED)
    assert divergence == expected
    np.testing.assert_array_equal(gradient, theirs)
    with pytest.raises(ValueError, match="too wide for a grid"):
        Repulsion()(places)


def test_a_layout_is_as_good_as_by_barnes_and_hut(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    points = random.normal(size=(400, 10)) + random.normal(size=(5, 10))[np.arange(400) % 5] * 4
    points = points[:, points.std(axis=0).argsort()[::-1]].astype(np.float32)
    near, layout = affinities(points, 15.0), MapSettings(15.0, 400)

    def laid_out() -> np.ndarray:
        return TSNE().lay_out(points, near, from_components(points), layout, lambda done: None)

    theirs = laid_out()
    monkeypatch.setattr(methods, "MANY", len(points))
    ours = laid_out()
    assert not np.array_equal(ours, theirs)
    # beginnings that differ in a digit end some hundredths apart
    assert exact_divergence(near.P, ours) < 1.1 * exact_divergence(near.P, theirs)
    np.testing.assert_array_equal(laid_out(), ours)
