"""Debiased linear CKA against the definition on kernels, its invariances, and unrelated data."""

from __future__ import annotations

import numpy as np
import pytest

from atari_zoo.analysis.measures.drawn_episodes import (
    centred_interval,
    membership,
    resampled_copies,
)
from atari_zoo.analysis.measures.kernel_alignment import (
    alignment_ratio,
    feature_criterion,
    kernel,
    kernel_criterion,
    linear_cka,
    minibatch_cka,
    resampled_criteria,
    without_diagonal,
)

RANDOM = np.random.default_rng(0)


def by_definition(x: np.ndarray, y: np.ndarray) -> float:
    """The sum over all quadruples of different states, which HSIC_1 is the shortcut of."""
    k, other = x @ x.T, y @ y.T
    n, total, count = len(x), 0.0, 0
    for i in range(n):
        for j in range(n):
            for q in range(n):
                for r in range(n):
                    if len({i, j, q, r}) == 4:
                        total += k[i, j] * (other[i, j] + other[q, r] - 2 * other[i, q])
                        count += 1
    return total / count


def zeroed_diagonals(x: np.ndarray, y: np.ndarray) -> float:
    """Song et al.'s equation 5 as it stands in facts, centred or not."""
    k, other, n = x @ x.T, y @ y.T, len(x)
    np.fill_diagonal(k, 0)
    np.fill_diagonal(other, 0)
    one = np.ones(n)
    parts = [
        np.trace(k @ other),
        (one @ k @ one) * (one @ other @ one) / ((n - 1) * (n - 2)),
        -2 / (n - 2) * (one @ k @ other @ one),
    ]
    return sum(parts) / (n * (n - 3))


def ratio(criterion, x, y) -> float:
    return criterion(x, y) / np.sqrt(criterion(x, x) * criterion(y, y))


@pytest.mark.parametrize("units", [(3, 5), (40, 60)])  # in feature space, and by kernels
def test_equals_the_definition_over_quadruples(units) -> None:
    x, y = RANDOM.normal(size=(9, units[0])), RANDOM.normal(size=(9, units[1])) + 1
    y[:, 0] += 2 * x[:, 0]
    assert linear_cka(x, y) == pytest.approx(ratio(by_definition, x, y), abs=1e-12)


@pytest.mark.parametrize("units", [(7, 11), (300, 200), (20, 500)])
def test_equals_zeroed_diagonals(units) -> None:
    x = RANDOM.normal(size=(120, units[0]))
    y = np.tanh(x[:, :7]) @ RANDOM.normal(size=(7, units[1])) + 3
    expected = ratio(zeroed_diagonals, x, y)
    assert linear_cka(x, y) == pytest.approx(expected, abs=1e-12)
    centred = [z - z.mean(0) for z in (x, y)]
    both = feature_criterion(*centred), kernel_criterion(*map(kernel, (x, y)))
    assert both[0] == pytest.approx(both[1], rel=1e-12)
    assert both[0] == pytest.approx(zeroed_diagonals(x, y), rel=1e-9)


def test_the_biased_one_is_that_of_the_paper() -> None:
    x, y = RANDOM.normal(size=(30, 50)), RANDOM.normal(size=(30, 8))
    centring = np.eye(30) - 1 / 30
    k, other = (centring @ z @ z.T @ centring for z in (x, y))
    expected = np.sum(k * other) / np.sqrt(np.sum(k * k) * np.sum(other * other))
    assert linear_cka(x, y, debiased=False) == pytest.approx(expected, abs=1e-12)
    assert linear_cka(y, x[:, :9], debiased=False) == pytest.approx(
        np.linalg.norm(y.T @ centring @ x[:, :9]) ** 2
        / np.linalg.norm(y.T @ centring @ y)
        / np.linalg.norm(x[:, :9].T @ centring @ x[:, :9]),
        abs=1e-12,
    )


@pytest.mark.parametrize("units", [10, 400])
def test_rotation_scale_and_shift_change_nothing(units) -> None:
    x = RANDOM.normal(size=(100, units)) * np.arange(1, units + 1)
    rotation = np.linalg.qr(RANDOM.normal(size=(units, units)))[0]
    assert linear_cka(x, 3 * x @ rotation + 5) == pytest.approx(1, abs=1e-10)
    assert linear_cka(x, x @ RANDOM.normal(size=(units, units))) < 0.95  # CCA would not see it


def test_unrelated_layers_are_near_0_where_the_biased_one_is_not() -> None:
    for states, biased in ((64, 0.889), (512, 0.499), (2500, 0.170)):
        x, y = RANDOM.normal(size=(2, states, 512))
        assert linear_cka(x, y, debiased=False) == pytest.approx(biased, abs=0.01)
        assert abs(linear_cka(x, y)) < 0.03


def test_over_batches_it_is_near_that_of_all_and_exact_for_one() -> None:
    x = RANDOM.normal(size=(1024, 30))
    y = np.maximum(x @ RANDOM.normal(size=(30, 50)), 0)
    assert minibatch_cka(x, y, 1024) == pytest.approx(linear_cka(x, y), abs=1e-12)
    assert minibatch_cka(x, y, 64) == pytest.approx(linear_cka(x, y), abs=0.02)
    assert linear_cka(x[:64], y[:64], debiased=False) > linear_cka(x, y) + 0.05


def test_resamples_repeat_whole_episodes_without_comparing_copies() -> None:
    """Against loops over the states that were drawn, copies of a state left out as the diagonal."""
    episodes = np.repeat([3, 1, 8], [5, 7, 6])
    x, y = RANDOM.normal(size=(18, 4)), RANDOM.normal(size=(18, 6))
    y[:, 0] += 3 * x[:, 0]
    k, other = kernel(x), kernel(y)
    copies = np.array([[1, 1, 1], [2, 0, 1], [0, 3, 0]], float)
    found = resampled_criteria(
        without_diagonal(k), without_diagonal(other), membership(episodes), copies
    )
    assert found[0] == pytest.approx(kernel_criterion(k, other), rel=1e-12)
    order = sorted(set(episodes))
    for row, value in zip(copies, found, strict=True):
        drawn = [
            state
            for episode, times in zip(order, row.astype(int), strict=True)
            for _ in range(times)
            for state in np.flatnonzero(episodes == episode)
        ]
        n = len(drawn)
        a, b = np.zeros((n, n)), np.zeros((n, n))
        for i in range(n):
            for j in range(n):
                if drawn[i] != drawn[j]:
                    a[i, j], b[i, j] = k[drawn[i], drawn[j]], other[drawn[i], drawn[j]]
        sums = (a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2))
        expected = (sums - 2 / (n - 2) * a.sum(0) @ b.sum(0)) / (n * (n - 3))
        assert value == pytest.approx(expected, rel=1e-10)


def test_a_constant_layer_has_no_similarity() -> None:
    x = RANDOM.normal(size=(20, 3))
    assert np.isnan(linear_cka(x, np.ones((20, 5))))
    assert np.isnan(alignment_ratio(1.0, 0.0, 1.0))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ((3, 2), (3, 2), "3 states; this measure needs at least 4"),
        ((5, 2), (6, 2), "5 states and 6: layers are compared on the same states"),
    ],
)
def test_refuses_too_few_or_different_states(x, y, message) -> None:
    with pytest.raises(ValueError, match=message):
        linear_cka(np.ones(x), np.ones(y))
    with pytest.raises(ValueError, match="a batch of 3"):
        minibatch_cka(np.ones((9, 2)), np.ones((9, 2)), 3)


def test_episodes_are_drawn_as_often_as_there_are() -> None:
    copies = resampled_copies(5, 4000, seed=1)
    assert copies.shape == (4000, 5) and (copies.sum(1) == 5).all()
    assert copies.mean(0) == pytest.approx(1, abs=0.06)
    # a multinomial's variance: n p (1 - p) = .8
    assert copies.var(0) == pytest.approx(0.8, abs=0.1)
    np.testing.assert_array_equal(copies, resampled_copies(5, 4000, seed=1))


def test_an_interval_holds_its_value_and_keeps_its_limits() -> None:
    draws = RANDOM.normal(5, 2, size=100_000)
    low, high = centred_interval(0.5, draws)
    # 1.96 deviations of a normal one, wherever the resamples lie
    assert (low, high) == pytest.approx((0.5 - 3.92, 0.5 + 3.92), abs=0.06)
    assert centred_interval(0.5, draws, (0, 1)) == (0, 1)
    assert np.isnan(centred_interval(0.5, np.empty(0))).all()
    assert np.isnan(centred_interval(np.nan, draws)).all()
