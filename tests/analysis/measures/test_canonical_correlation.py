"""SVCCA, PWCCA and Procrustes against known answers, scikit-learn's CCA and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from sklearn.cross_decomposition import CCA

from atari_zoo.analysis.measures.canonical_correlation import (
    canonical_correlations,
    principal_components,
    pwcca,
    svcca,
)
from atari_zoo.analysis.measures.procrustes import procrustes_distance, procrustes_similarity

RANDOM = np.random.default_rng(0)
STATES = 400


def layer(units: int = 12) -> np.ndarray:
    return RANDOM.normal(size=(STATES, units)) * np.linspace(1, 3, units)


def test_of_a_rotated_copy_is_1_and_of_any_invertible_map() -> None:
    x = layer()
    rotation = np.linalg.qr(RANDOM.normal(size=(12, 12)))[0]
    for y in (x @ rotation, 3 * x + 2, np.hstack([x, np.zeros((STATES, 5))])):
        assert svcca(x, y) == pytest.approx(1, abs=1e-10)
        assert pwcca(x, y) == pytest.approx(1, abs=1e-10)
    mapped = x @ RANDOM.normal(size=(12, 12))
    assert svcca(x, mapped, variance=1.0) == pytest.approx(1, abs=1e-10)


def test_correlations_are_those_of_scikit_learn() -> None:
    x, y = layer(4), layer(5)
    y[:, :2] += x[:, :2]
    x, y = x - x.mean(0), y - y.mean(0)
    found, directions = canonical_correlations(x, y)
    a, b = CCA(4, scale=False, max_iter=5000, tol=1e-12).fit_transform(x, y)
    expected = [np.corrcoef(a[:, i], b[:, i])[0, 1] for i in range(4)]
    assert found == pytest.approx(expected, abs=1e-6)
    np.testing.assert_allclose(directions.T @ directions, np.eye(4), atol=1e-10)
    for i in range(4):
        assert abs(np.corrcoef(directions[:, i], a[:, i])[0, 1]) == pytest.approx(1, abs=1e-5)


def test_components_hold_the_variance_that_is_asked_for() -> None:
    x = RANDOM.normal(size=(STATES, 6)) * [10, 5, 2, 1, 0.01, 0.01]
    shares = np.cumsum(np.linalg.svd(x - x.mean(0))[1] ** 2)
    shares /= shares[-1]
    for variance, count in ((0.5, 1), (0.9, 2), (0.99, 3), (0.999, 4)):
        assert (shares >= variance).argmax() + 1 == count  # what is planted
        assert principal_components(x, variance).shape == (STATES, count)
    assert principal_components(x, 1.0, most=2).shape[1] == 2
    places = principal_components(x, 1.0)
    np.testing.assert_allclose(places @ places.T, (x - x.mean(0)) @ (x - x.mean(0)).T, atol=1e-9)


def test_silent_units_drop_out() -> None:
    x = np.hstack([layer(3), np.full((STATES, 4), 0.1)])
    assert principal_components(x, 1.0).shape[1] == 3
    assert principal_components(np.full((STATES, 4), 0.1)).shape[1] == 0
    assert np.isnan(svcca(x, np.full((STATES, 4), 0.1)))
    assert np.isnan(pwcca(x, np.zeros((STATES, 4))))


def test_weights_of_pwcca_are_those_of_the_paper() -> None:
    """Equation 1, by loops: alpha_i = sum_j |<h_i, x_j>|."""
    x, y = layer(3), layer(5)
    y[:, :3] += 2 * x
    centred = x - x.mean(0)
    found, directions = canonical_correlations(centred, y - y.mean(0))
    weights = [sum(abs(sum(directions[:, i] * centred[:, j])) for j in range(3)) for i in range(3)]
    expected = sum(w * c for w, c in zip(weights, found, strict=True)) / sum(weights)
    assert pwcca(x, y, variance=1.0) == pytest.approx(expected, abs=1e-12)
    assert pwcca(y, x, variance=1.0) == pytest.approx(expected, abs=1e-12)  # the fewer weigh
    assert expected > svcca(x, y, variance=1.0)  # here loud directions are shared


def test_unrelated_layers_correlate_where_states_are_few() -> None:
    few, many = (svcca(*RANDOM.normal(size=(2, n, 20)), variance=1.0) for n in (50, 4000))
    assert few > 0.5 and many < 0.1


@pytest.mark.parametrize("measure", [svcca, pwcca])
def test_refuses_more_components_than_states(measure) -> None:
    x, y = RANDOM.normal(size=(2, 50, 60))
    with pytest.raises(ValueError, match=r"50 states of .* give more states, or most=5"):
        measure(x, y)
    assert 0 < measure(x, y, most=5) < 1


def test_procrustes_is_scipys_scale() -> None:
    for p, q in ((6, 6), (3, 9), (500, 700)):  # more units than states too
        x, y = RANDOM.normal(size=(STATES, p)), RANDOM.normal(size=(STATES, q)) + 4
        y[:, :3] += x[:, :3]
        width = max(p, q)
        a, b = (
            np.pad(z - z.mean(0), ((0, 0), (0, width - z.shape[1]))) / np.linalg.norm(z - z.mean(0))
            for z in (x, y)
        )
        rotation, scale = orthogonal_procrustes(a, b)
        assert procrustes_similarity(x, y) == pytest.approx(scale, abs=1e-10)
        assert procrustes_distance(x, y) == pytest.approx(np.linalg.norm(a @ rotation - b))


def test_procrustes_of_rotated_copies_and_as_a_metric() -> None:
    x, y, z = layer(5), layer(8), layer(6)
    y[:, :5] += x
    rotation = np.linalg.qr(RANDOM.normal(size=(5, 5)))[0]
    assert procrustes_similarity(x, 2 * x @ rotation + 1) == pytest.approx(1, abs=1e-12)
    sides = [procrustes_distance(*pair) for pair in ((x, y), (y, z), (x, z))]
    assert sides[2] <= sides[0] + sides[1] and sides[0] < sides[2]
    assert np.isnan(procrustes_similarity(x, np.ones((STATES, 2))))
