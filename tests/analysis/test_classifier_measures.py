"""Measures of classifiers: against scikit-learn, and permutations counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from atari_zoo.analysis.measures.confusions import (
    accuracy,
    class_f1,
    confusion_counts,
    macro_f1,
    resampled_band,
    unit_counts,
)
from atari_zoo.analysis.measures.permutations import labellings, permutation_p

RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.integers(0, 4, 500)
TAKEN = np.where(RANDOM.random(500) < 0.6, TRUTH, RANDOM.integers(0, 4, 500))


def test_confusions_are_scikit_learns() -> None:
    counts = confusion_counts(TRUTH, TAKEN, 4)
    np.testing.assert_array_equal(counts, metrics.confusion_matrix(TRUTH, TAKEN))
    assert accuracy(counts) == pytest.approx(metrics.accuracy_score(TRUTH, TAKEN))
    np.testing.assert_allclose(class_f1(counts), metrics.f1_score(TRUTH, TAKEN, average=None))
    assert macro_f1(counts) == pytest.approx(metrics.f1_score(TRUTH, TAKEN, average="macro"))
    assert class_f1(np.zeros((3, 3))).tolist() == [0, 0, 0]


def test_units_add_up_to_the_confusion() -> None:
    units = TRUTH * 10 + RANDOM.integers(0, 5, 500)
    counts, labels = unit_counts(TRUTH, TAKEN, units, 4)
    whole = confusion_counts(TRUTH, TAKEN, 4)
    for label in range(4):
        np.testing.assert_array_equal(counts[labels == label].sum(axis=0), whole[label])
    low, high = resampled_band(accuracy, counts, labels)
    assert low < accuracy(whole) < high
    lows, highs = resampled_band(class_f1, counts, labels)
    assert (lows < class_f1(whole)).all() and (class_f1(whole) < highs).all()


def test_one_unit_of_a_class_gives_no_interval() -> None:
    counts, labels = unit_counts(TRUTH, TAKEN, np.where(TRUTH == 2, 7, np.arange(500) % 3), 4)
    assert np.isnan(resampled_band(accuracy, counts, labels)).all()


# three runs a side: 20 labellings; the true one and none else reaches what is all right
@pytest.mark.parametrize(
    ("right", "p"),
    [
        ([1, 1, 1, 1, 1, 1], 1 / 20),
        # taken for 0: units 0, 1 and 5. Of the labellings 1, 9, 9, 1 share 0, 1, 2, 3 of their
        # three zeros with that, and have 0, 2, 4, 6 right; the true one has 4
        ([1, 1, 0, 1, 1, 0], 10 / 20),
    ],
)
def test_p_of_a_case_by_hand(right: list[int], p: float) -> None:
    labels = np.array([0, 0, 0, 1, 1, 1])
    taken = np.where(np.array(right, bool), labels, 1 - labels)
    assert labellings(labels) == 20
    assert permutation_p(np.eye(2)[taken], labels) == pytest.approx(p)


def test_many_labellings_are_drawn() -> None:
    labels = np.repeat([0, 1, 2], 8)
    assert labellings(labels) > 10_000
    assert permutation_p(np.eye(3)[labels], labels) == pytest.approx(1 / 10_001)
    ps = [
        permutation_p(RANDOM.dirichlet([1, 1, 1], 24), labels, seed) for seed in range(12)
    ]  # nothing to find: p is anything between 0 and 1
    assert 0.2 < np.mean(ps) < 0.8
