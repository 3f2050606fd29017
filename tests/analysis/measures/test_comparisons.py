"""Prepared layers give what the measures give; resamples what the drawn states give."""

from __future__ import annotations

import numpy as np
import pytest

from atari_zoo.analysis.measures.canonical_correlation import principal_components, svcca
from atari_zoo.analysis.measures.comparisons import COMPARISONS, ComparedLayer, Resamples
from atari_zoo.analysis.measures.drawn_episodes import membership
from atari_zoo.analysis.measures.kernel_alignment import linear_cka
from atari_zoo.analysis.measures.procrustes import procrustes_similarity

RANDOM = np.random.default_rng(0)
EPISODES = np.repeat(np.arange(6), 40)
STATES = len(EPISODES)
SHARED = RANDOM.normal(size=(STATES, 5)) * [5, 4, 3, 2, 1]


def layer(units: int, noise: float = 0.5) -> np.ndarray:
    made = SHARED @ RANDOM.normal(size=(5, units))
    return np.hstack([made + noise * RANDOM.normal(size=made.shape), np.zeros((STATES, 2))])


A, B = layer(15), layer(30)
COPIES = np.array([[1, 1, 1, 1, 1, 1], [2, 0, 1, 1, 0, 2]], float)
RESAMPLES = Resamples(membership(EPISODES), COPIES)
LEFT, RIGHT = ComparedLayer(A, RESAMPLES), ComparedLayer(B, RESAMPLES)


def standardized(x: np.ndarray) -> np.ndarray:
    living = x.std(0) > 0
    return x[:, living] / x[:, living].std(0)


def without_first_component(x: np.ndarray) -> np.ndarray:
    left, values, right = np.linalg.svd(x - x.mean(0), full_matrices=False)
    return x - np.outer(left[:, 0] * values[0], right[0])


EXPECTED = {
    "cka": linear_cka(A, B),
    "cka_standardized": linear_cka(standardized(A), standardized(B)),
    "cka_without_first": linear_cka(without_first_component(A), without_first_component(B)),
    "svcca": svcca(A, B, most=24),
    "procrustes": procrustes_similarity(
        principal_components(A, most=24), principal_components(B, most=24)
    ),
}


@pytest.mark.parametrize("name", COMPARISONS)
def test_values_are_those_of_the_measures(name) -> None:
    assert COMPARISONS[name].value(LEFT, RIGHT) == pytest.approx(EXPECTED[name], abs=1e-9)
    assert COMPARISONS[name].value(RIGHT, LEFT) == pytest.approx(EXPECTED[name], abs=1e-9)
    assert COMPARISONS[name].value(LEFT, LEFT) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("name", COMPARISONS)
def test_a_resample_of_each_once_is_the_value(name) -> None:
    found = COMPARISONS[name].resampled(LEFT, RIGHT)
    assert found[0] == pytest.approx(EXPECTED[name], abs=1e-7)
    assert found[1] != pytest.approx(EXPECTED[name], abs=1e-8)


def test_resampled_components_are_those_of_the_states_that_were_drawn() -> None:
    drawn = np.concatenate(
        [
            np.flatnonzero(e == EPISODES)
            for e, times in enumerate(COPIES[1])
            for _ in range(int(times))
        ]
    )
    u, v = LEFT.components[drawn], RIGHT.components[drawn]
    expected = procrustes_similarity(u, v)
    found = COMPARISONS["procrustes"].resampled(LEFT, RIGHT)[1]
    assert found == pytest.approx(expected, abs=1e-9)
    (q, _), (r, _) = (np.linalg.qr(z - z.mean(0)) for z in (u, v))
    expected = np.linalg.svd(q.T @ r, compute_uv=False).mean()
    assert COMPARISONS["svcca"].resampled(LEFT, RIGHT)[1] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", COMPARISONS)
def test_shuffled_states_are_unrelated(name) -> None:
    order = RANDOM.permutation(STATES)
    mixed = RIGHT.shuffled(order)
    again = COMPARISONS[name].value(LEFT, ComparedLayer(B[order], RESAMPLES))
    found = COMPARISONS[name].value(LEFT, mixed)
    assert found == pytest.approx(again, abs=1e-9)
    assert abs(found) < (0.1 if name.startswith("cka") else 0.5) < EXPECTED[name]


def test_one_loud_unit_that_both_have_is_told_by_the_rest() -> None:
    """Unrelated layers are alike by it; without the largest component they are not."""
    a, b = RANDOM.random((2, STATES, 20))
    a[:, 0] = b[:, 0] = 50 * RANDOM.random(STATES)
    left, right = (ComparedLayer(x, RESAMPLES) for x in (a, b))
    values = {name: COMPARISONS[name].value(left, right) for name in COMPARISONS}
    assert values["cka"] > 0.99
    assert abs(values["cka_without_first"]) < 0.1
    assert values["cka_standardized"] < 0.5


def test_a_constant_layer_is_missing() -> None:
    constant = ComparedLayer(np.full((STATES, 3), 0.1, np.float32), RESAMPLES)
    for name in COMPARISONS:
        assert np.isnan(COMPARISONS[name].value(LEFT, constant)), name
        assert np.isnan(COMPARISONS[name].resampled(LEFT, constant)).all(), name
