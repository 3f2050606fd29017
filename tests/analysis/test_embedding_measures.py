"""Measures of embeddings: against scikit-learn, plain loops, and cases known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import procrustes
from sklearn import manifold

from atari_zoo.analysis.measures.divergence import affinities, exact_divergence
from atari_zoo.analysis.measures.neighbourhoods import (
    drawn_rows,
    embedded_ranks,
    neighbour_overlap,
    preservation,
    trustworthiness,
)
from atari_zoo.analysis.measures.pooling import pooled_interval
from atari_zoo.analysis.measures.visits import exclusive_shares, plane_cells

RANDOM = np.random.default_rng(0)
POINTS = RANDOM.normal(size=(700, 12))
FLAT = POINTS[:, :2] + 0.3 * RANDOM.normal(size=(700, 2))


@pytest.mark.parametrize("neighbours", [5, 15, 60])
def test_trustworthiness_is_scikit_learns(neighbours: int) -> None:
    ours = trustworthiness(embedded_ranks(POINTS, FLAT, neighbours), len(POINTS)).mean()
    theirs = manifold.trustworthiness(POINTS, FLAT, n_neighbors=neighbours)
    assert ours == pytest.approx(theirs, abs=1e-12)
    assert 0.6 < ours < 0.95  # neither of the ends, where anything agrees


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = embedded_ranks(POINTS, FLAT, 7)
    monkeypatch.setattr("atari_zoo.analysis.measures.neighbourhoods.AT_ONCE", 33 * len(POINTS))
    np.testing.assert_array_equal(np.sort(embedded_ranks(POINTS, FLAT, 7)), np.sort(whole))
    rows = drawn_rows(len(POINTS), 90, seed=4)
    assert len(set(rows)) == 90
    some = embedded_ranks(POINTS, FLAT, 7, rows)
    np.testing.assert_array_equal(np.sort(some), np.sort(whole[rows]))


def test_preservation_against_sets() -> None:
    def nearest(points: np.ndarray, row: int) -> set[int]:
        gaps = ((points - points[row]) ** 2).sum(axis=1)
        return set(np.argsort(gaps)[1:11].tolist())  # itself is the first

    kept = [len(nearest(POINTS, row) & nearest(FLAT, row)) / 10 for row in range(50)]
    found = preservation(embedded_ranks(POINTS, FLAT, 10, np.arange(50)))
    np.testing.assert_allclose(found, kept)


def test_of_equal_points_each_is_the_nearest() -> None:
    """RAM repeats itself: which of two equal moments comes first must not count against a map."""
    twice = np.repeat(POINTS[:40], 5, axis=0)  # each point and four equal ones
    ranks = embedded_ranks(twice, twice[:, :12], 4)
    assert (ranks == 1).all()
    assert preservation(ranks).mean() == 1


def test_the_bounds() -> None:
    assert trustworthiness(embedded_ranks(POINTS, POINTS, 15), 700).mean() == 1
    chance = trustworthiness(embedded_ranks(POINTS, RANDOM.permutation(FLAT), 15), 700).mean()
    assert chance == pytest.approx(0.5, abs=0.03)
    with pytest.raises(ValueError, match=r"15 neighbours of 30 points; .* for 1 to 14"):
        embedded_ranks(POINTS[:30], FLAT[:30], 15)


def test_overlap_of_a_turned_map_is_whole() -> None:
    turned = FLAT @ np.array([[0.6, -0.8], [0.8, 0.6]]) * 3 + 5
    assert neighbour_overlap(FLAT, turned) == 1
    assert procrustes(FLAT, turned)[2] < 1e-12
    strangers = neighbour_overlap(FLAT, RANDOM.permutation(FLAT), rows=np.arange(300))
    assert strangers == pytest.approx(15 / 699, abs=0.01)


def test_the_exact_divergence_is_a_double_loop() -> None:
    points, places = POINTS[:60], FLAT[:60]
    matrix = affinities(points, 8).P
    p = matrix.toarray()
    assert p.sum() == pytest.approx(1, abs=1e-9)
    np.testing.assert_allclose(p, p.T)
    similar = [
        [1 / (1 + ((places[i] - places[j]) ** 2).sum()) * (i != j) for j in range(60)]
        for i in range(60)
    ]
    normal = sum(map(sum, similar))
    loop = sum(
        p[i, j] * np.log(p[i, j] / (similar[i][j] / normal))
        for i in range(60)
        for j in range(60)
        if p[i, j] > 0
    )
    assert exact_divergence(matrix, places) == pytest.approx(loop, abs=1e-10)


def test_progress_of_the_divergence_counts_points(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = affinities(POINTS[:90], 8).P
    whole = exact_divergence(matrix, FLAT[:90])
    monkeypatch.setattr("atari_zoo.analysis.measures.divergence.AT_ONCE", 40 * 90)
    ticks: list[tuple[int, int]] = []
    parts = exact_divergence(matrix, FLAT[:90], lambda *tick: ticks.append(tick))
    assert parts == pytest.approx(whole, abs=1e-12)
    assert ticks == [(40, 90), (80, 90), (90, 90)]


def test_too_few_points_for_a_perplexity() -> None:
    with pytest.raises(ValueError, match=r"takes 90 neighbours .* of 50 points it may be 1 to 16"):
        affinities(POINTS[:50], 30)


def test_who_is_where_no_other_is() -> None:
    cells = np.array([1, 1, 2, 3, 3, 3, 4, 4])
    agents = ["a", "b", "a", "a", "a", "a", "b", "b"]
    episodes = np.array([0, 0, 0, 1, 1, 1, 0, 1])
    found = exclusive_shares(cells, agents, episodes).set_index("agent")
    # a: of episode 0 one of two moments, of episode 1 all; b: one of two, and one of one
    assert found["share"].to_dict() == {"a": 4 / 5, "b": 2 / 3}
    assert (found.loc["a", "low"], found.loc["a", "high"]) == (0.5, 1)
    assert found["moments"].to_dict() == {"a": 5, "b": 3}
    with pytest.raises(ValueError, match="moments of one agent"):
        exclusive_shares(cells, ["a"] * 8, episodes)


def test_intervals_over_episodes_pool_their_moments() -> None:
    values, units = RANDOM.random(400), RANDOM.integers(0, 9, 400) ** 2
    values += units / 64
    mean, low, high = pooled_interval(values, units)
    assert mean == pytest.approx(values.mean())
    parts = [values[units == unit] for unit in np.unique(units)]
    drawn = [
        np.concatenate([parts[i] for i in RANDOM.integers(0, 9, 9)]).mean() for _ in range(2000)
    ]
    np.testing.assert_allclose([low, high], np.quantile(drawn, [0.025, 0.975]), atol=0.03)
    assert pooled_interval(values[:3], np.array([7, 7, 8]))[1:] == (
        min(values[:2].mean(), values[2]),
        max(values[:2].mean(), values[2]),
    )
    assert np.isnan(pooled_interval(values, np.zeros(400))[1:]).all()


def test_shares_of_agents_alike_are_those_of_chance() -> None:
    places = RANDOM.normal(size=(3000, 2))
    agents = RANDOM.permutation(["a", "b", "c"] * 1000).tolist()
    episodes = RANDOM.integers(0, 10, 3000)
    alike = exclusive_shares(plane_cells(places), agents, episodes)
    np.testing.assert_allclose(alike["share"], alike["dealt"], atol=0.03)
    apart = places + [[9 * (name == "c"), 0] for name in agents]
    found = exclusive_shares(plane_cells(apart), agents, episodes).set_index("agent")
    assert found.loc["c", "share"] == 1 > 0.2 > found.loc["a", "share"]


def test_plays_that_go_separate_ways_are_no_different_agents() -> None:
    """Slow walks of one and the same walker: nearly all of each is where no other was."""
    walks = RANDOM.normal(size=(10, 300, 2)).cumsum(axis=1)
    agents = ["a"] * 1500 + ["b"] * 1500
    episodes = np.repeat(np.arange(10), 300) % 5
    found = exclusive_shares(plane_cells(walks.reshape(-1, 2)), agents, episodes)
    assert (found["share"] > 0.4).all()
    np.testing.assert_allclose(found["share"], found["dealt"], atol=0.2)
    alone = exclusive_shares(plane_cells(walks.reshape(-1, 2)), agents, np.zeros(3000, int))
    assert alone["dealt"].isna().all()


def test_cells_of_a_grid() -> None:
    places = np.array([[0, 0], [1, 1], [0.5, 0], [0.49, 1], [0, 0.9]])
    assert plane_cells(places, 2).tolist() == [0, 3, 1, 2, 2]
    assert plane_cells(np.ones((3, 2)), 5).tolist() == [0, 0, 0]
