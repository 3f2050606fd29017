"""Intervals by the bootstrap against all resamples there are, and against means that are known."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest

from atari_zoo.intervals import FEW, bootstrap_band, interval


@pytest.mark.parametrize("runs", [2, 3, 4])
def test_the_band_is_that_of_all_resamples(runs: int) -> None:
    scores = np.random.default_rng(runs).normal(size=(runs, 40)).cumsum(axis=1)
    low, high = bootstrap_band(scores)
    means = np.array(
        [scores[list(of)].mean(0) for of in itertools.product(range(runs), repeat=runs)]
    )
    # of 10,000 draws the part below a quantile errs by 0.16 %: three times that
    for band, at in ((low, 0.025), (high, 0.975)):
        around = np.quantile(means, [at - 0.005, at + 0.005], axis=0, method="inverted_cdf")
        assert (band >= around[0] - 1e-9).all() and (band <= around[1] + 1e-9).all()
    mean = scores.mean(axis=0)
    assert (low <= mean).all() and (mean <= high).all()
    np.testing.assert_array_equal(bootstrap_band(scores), (low, high))  # the seed is fixed


def test_of_two_or_three_it_is_the_lowest_and_the_highest() -> None:
    """As the words beside it say; of four no longer."""
    scores = [1.0, 9.0, 5.0, 7.0]
    for count in range(2, FEW):
        some = scores[:count]
        assert interval(some) == (min(some), max(some))
    low, high = interval(scores[:FEW])
    assert min(scores) < low < high < max(scores)


def test_a_band_narrows_with_more_runs_and_one_run_has_none() -> None:
    scores = np.random.default_rng(0).normal(size=(40, 5))
    widths = [np.subtract(*bootstrap_band(scores[:n])[::-1]).mean() for n in (4, 10, 40)]
    assert widths[0] > widths[1] > widths[2] > 0
    assert np.isnan(bootstrap_band(scores[:1])).all()
    assert np.isnan(interval([3.0])).all()
    assert [len(end) for end in bootstrap_band(scores[:, :0])] == [0, 0]


def test_the_interval_covers_the_mean_as_often_as_it_says():
    """Of samples whose true mean is known, about 95 % have it inside; a little fewer for 30."""
    random = np.random.default_rng(0)
    inside = 0
    for case in range(200):
        low, high = interval(random.normal(5, 2, 30).tolist(), seed=case)
        inside += low <= 5 <= high
    assert 0.88 < inside / 200 < 0.99
    assert interval([3.0, 3.0]) == (3.0, 3.0)


def test_a_long_recording_takes_little_memory() -> None:
    """Of all resamples at once it would be 800 MB."""
    scores = np.random.default_rng(0).normal(5, 2, 10_000).tolist()
    interval(scores[:2])  # scipy is imported
    tracemalloc.start()
    low, high = interval(scores)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20
    # of so many the mean is normal: 1.96 standard errors; both ends err by some percent of that
    half = 1.96 * np.std(scores, ddof=1) / 100
    np.testing.assert_allclose([low, high], np.mean(scores) + [-half, half], atol=half / 10)
