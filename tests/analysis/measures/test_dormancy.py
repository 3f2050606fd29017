"""Dormancy and ranks against hand-made cases and plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from atari_zoo.analysis.measures.dormancy import (
    always_positive,
    dormancy_scores,
    episode_activity,
    unit_magnitudes,
)
from atari_zoo.analysis.measures.drawn_episodes import membership
from atari_zoo.analysis.measures.ranks import (
    entropy_rank,
    feature_ranks,
    participation_ratio,
    resampled_ranks,
    singular_values,
    srank,
)

RANDOM = np.random.default_rng(0)


def test_scores_of_a_hand_made_layer() -> None:
    """Means 0, 1, 2, 5: the layer's is 2."""
    values = np.array([[0.0, 2, 0, 5], [0, 0, 4, 5]])
    assert dormancy_scores(unit_magnitudes(values).mean(0)) == pytest.approx([0, 0.5, 1, 2.5])
    assert dormancy_scores(np.zeros(3)).tolist() == [0, 0, 0]  # all dormant, nothing divided by 0


def test_a_map_is_one_unit() -> None:
    maps = RANDOM.normal(size=(3, 4, 5, 6))
    found = unit_magnitudes(maps)
    for moment in range(3):
        for unit in range(4):
            plain = [abs(maps[moment, unit, r, c]) for r in range(5) for c in range(6)]
            assert found[moment, unit] == pytest.approx(sum(plain) / 30)
    maps[:] = 1
    maps[0, 1, 2, 3] = 0
    assert always_positive(maps).sum(0).tolist() == [3, 2, 3, 3]


def test_resamples_of_whole_episodes_by_loops() -> None:
    episodes = np.array([4, 4, 7, 7, 7, 9])
    values = np.maximum(RANDOM.normal(size=(6, 5)), 0)
    values[:, 1], values[:, 2] = 3, [1, 1, 0, 1, 1, 1]
    copies = np.array([[1, 1, 1], [2, 0, 1]], float)
    found = episode_activity(values, membership(episodes))
    for row, times in enumerate(copies):
        drawn = [
            moment
            for episode, count in zip((4, 7, 9), times, strict=True)
            for _ in range(int(count))
            for moment in range(6)
            if episodes[moment] == episode
        ]
        means = values[drawn].mean(0)
        np.testing.assert_allclose(found.scores(copies)[row], means / (means.mean() + 1e-9))
        lit = (values[drawn] > 0).all(0)
        assert found.always_on(copies)[row].tolist() == lit.tolist()
    assert found.always_on(copies)[:, 2].tolist() == [False, True]


def test_ranks_that_are_known() -> None:
    assert srank(singular_values(RANDOM.normal(size=(2048, 512)))) == 503
    exact = RANDOM.normal(size=(300, 20)) @ RANDOM.normal(size=(20, 100))
    assert srank(singular_values(exact)) == 20
    equal = np.linalg.qr(RANDOM.normal(size=(100, 20)))[0]
    found = singular_values(equal)
    assert entropy_rank(found) == pytest.approx(20)
    assert participation_ratio(found**2) == pytest.approx(20)
    assert srank(found) == 20  # 99 % of twenty equal ones is more than nineteen
    noise = 0.01 * exact.std() * RANDOM.normal(size=exact.shape)
    ranks = feature_ranks(exact + noise)
    assert ranks.srank > 40 and ranks.participation < 20  # a tail of noise, seen by one of them


def test_srank_is_the_first_that_reaches_the_share() -> None:
    for values in ([5.0, 3, 2], [100, 1, 0.01, 0.001], [1.0], [97, 2, 1]):
        for delta in (0.01, 0.1, 0.3):
            total, count = 0.0, 0
            while total / sum(values) < 1 - delta - 1e-12:
                total, count = total + values[count], count + 1
            assert srank(np.array(values, float), delta) == count, (values, delta)


def test_of_nothing_the_rank_is_0() -> None:
    assert feature_ranks(np.zeros((9, 4))) == (0, 0, 0)
    assert feature_ranks(np.full((9, 4), 2.0))[:2] == pytest.approx((1, 1))  # not centred
    members = membership(np.repeat([0, 1], [4, 5]))
    assert resampled_ranks(np.zeros((9, 4)), members, np.ones((1, 2))) == [(0, 0, 0)]


def test_ranks_of_resamples_are_those_of_the_states_that_were_drawn() -> None:
    episodes = np.repeat([0, 1, 2], [30, 20, 25])
    features = np.maximum(RANDOM.normal(size=(75, 12)) + RANDOM.normal(size=12), 0)
    features[:, 3] = 0
    copies = np.array([[1, 1, 1], [2, 0, 1]], float)
    found = resampled_ranks(features, membership(episodes), copies)
    second = np.concatenate([*[np.flatnonzero(episodes == 0)] * 2, np.flatnonzero(episodes == 2)])
    for ranks, drawn in zip(found, (np.arange(75), second), strict=True):
        assert ranks == pytest.approx(feature_ranks(features[drawn]), rel=1e-6)
