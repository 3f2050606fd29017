"""Units and variables: measures against plain loops and known values, and planted units."""

from __future__ import annotations

import numpy as np
import planted
import planted_play
import pytest
import torch
from scipy.stats import pearsonr, spearmanr

from atari_zoo.analysis.measures.correlations import partial, spearman, unit_correlations
from atari_zoo.analysis.measures.information import (
    binned,
    information_entropy,
    mutual_information,
)
from atari_zoo.analysis.subjects import Subject
from atari_zoo.analysis.tuning.places import (
    Cells,
    TrackedObject,
    cell_ranks,
    cells_of,
    map_cells,
    tracked_objects,
)
from atari_zoo.analysis.tuning.rows import Asked
from atari_zoo.analysis.tuning.tuning import next_best, same_variables
from atari_zoo.analysis.tuning.unit_values import shuffled_moments, unit_values
from atari_zoo.analysis.units import _halves, unit_variables
from atari_zoo.converters.network.receptive_fields import receptive_field
from atari_zoo.converters.preprocessings import Preprocessing
from atari_zoo.ram.variables import variables
from atari_zoo.recordings.recordings import Recording


@pytest.fixture(scope="module")
def numbers():
    """Units and variables that depend on each other, some absent now and then."""
    random = np.random.default_rng(0)
    units = random.normal(size=(200, 5))
    units[:, 3] = np.maximum(units[:, 3], 0)
    units[:, 4] = 1
    asked = np.stack([units[:, 0] + random.normal(size=200), units[:, 1] ** 2, units[:, 3]], axis=1)
    asked[::5, 1] = np.nan
    return units, asked


@pytest.mark.parametrize("ours, theirs", [(unit_correlations, pearsonr), (spearman, spearmanr)])
def test_correlations_are_scipys(numbers, ours, theirs):
    units, asked = numbers
    found = ours(units, asked)
    for unit in range(4):
        for variable in range(3):
            there = np.isfinite(asked[:, variable])
            expected = theirs(units[there, unit], asked[there, variable])[0]
            assert found[unit, variable] == pytest.approx(expected, abs=1e-9)
    assert (found[4] == 0).all()  # it never changes


def test_a_large_mean_costs_no_digits(numbers):
    units, asked = numbers
    np.testing.assert_allclose(
        unit_correlations(units + 1e6, asked + 1e6), unit_correlations(units, asked), atol=1e-6
    )


def test_partial_correlation_is_of_what_regressions_leave():
    random = np.random.default_rng(1)
    asked = random.normal(size=(4000, 3))
    asked[:, 1] += asked[:, 0]
    units = (asked[:, :1] + 0.5 * random.normal(size=(4000, 1))).repeat(2, axis=1)
    units[:, 1] = asked[:, 1] + random.normal(size=4000)
    found = partial(units, asked)
    for unit in range(2):
        for variable in range(3):
            others = np.column_stack([np.delete(asked, variable, axis=1), np.ones(4000)])
            left = [
                values - others @ np.linalg.lstsq(others, values, rcond=None)[0]
                for values in (units[:, unit], asked[:, variable])
            ]
            # the ridge of 1e-3 on the variables' correlations
            assert found[unit, variable] == pytest.approx(pearsonr(*left)[0], abs=0.01)
    assert abs(found[0, 1]) < 0.05 < abs(unit_correlations(units, asked)[0, 1])


def test_bins_are_about_equally_full_and_equal_values_are_in_one():
    random = np.random.default_rng(2)
    values = np.maximum(random.normal(size=(800, 1)), 0)
    numbers = binned(values)[:, 0]
    assert len(set(numbers[values[:, 0] == 0])) == 1
    counts = np.bincount(numbers)
    assert counts[0] == (values == 0).sum() and (abs(counts[1:] - 100) < 30).all()
    few = binned(np.array([[3.0], [np.nan], [7], [3]]))
    assert few[:, 0].tolist() == [0, -1, 1, 0]


def test_information_is_a_plain_loops():
    random = np.random.default_rng(3)
    units, asked = random.integers(-1, 4, (150, 3)), random.integers(-1, 6, (150, 2))
    plain, better = (mutual_information(units, asked, corrected) for corrected in (False, True))
    for unit in range(3):
        for variable in range(2):
            table: dict[tuple[int, int], int] = {}
            for a, b in zip(units[:, unit], asked[:, variable], strict=True):
                if a >= 0 and b >= 0:
                    table[a, b] = table.get((a, b), 0) + 1
            n = sum(table.values())
            rows = {a: sum(c for (x, _), c in table.items() if x == a) for a, _ in table}
            columns = {b: sum(c for (_, y), c in table.items() if y == b) for _, b in table}
            expected = sum(
                c / n * np.log(c * n / rows[a] / columns[b]) for (a, b), c in table.items()
            )
            assert plain[unit, variable] == pytest.approx(expected, abs=1e-9)
            bias = (len(table) - len(rows) - len(columns) + 1) / (2 * n)
            assert better[unit, variable] == pytest.approx(expected - bias, abs=1e-9)


def test_information_of_known_distributions():
    random = np.random.default_rng(4)
    bits = random.integers(0, 2, (40_000, 1))
    flipped = np.where(random.random((40_000, 1)) < 0.1, 1 - bits, bits)
    # of a binary symmetric channel: ln 2 - H(0.1)
    known = np.log(2) + 0.1 * np.log(0.1) + 0.9 * np.log(0.9)
    assert mutual_information(bits, flipped)[0, 0] == pytest.approx(known, abs=0.01)
    assert mutual_information(bits, bits)[0, 0] == pytest.approx(np.log(2), abs=1e-3)
    assert information_entropy(bits)[0] == pytest.approx(np.log(2), abs=1e-3)
    few = random.integers(0, 8, (1000, 2, 300))
    plain, better = (
        np.mean([mutual_information(few[:, :1, i], few[:, 1:, i], c) for i in range(300)])
        for c in (False, True)
    )
    assert plain > 0.02 and abs(better) < 0.002  # independent: the bias alone


def test_shuffled_moments_are_all_moments_in_stretches():
    for moved in shuffled_moments(np.arange(1000), 50, seed=1):
        assert sorted(moved) == list(range(1000))
        assert (np.diff(moved) == 1).mean() > 0.95 and (moved != np.arange(1000)).mean() > 0.9


def test_a_channel_is_the_largest_of_its_map():
    maps = np.random.default_rng(0).normal(size=(3, 2, 4, 5))
    assert unit_values(maps)[1, 1] == np.float32(maps[1, 1].max())
    assert unit_values(maps[..., 0, 0]).shape == (3, 2)


def test_next_best_is_of_what_is_not_the_same():
    share = np.array([[0.9, 0.8, 0.3]])
    same = np.eye(3, dtype=bool)
    assert next_best(share, same)[0].tolist() == [[0.8, 0.9, 0.9]]
    same[0, 1] = same[1, 0] = True
    largest, whose = next_best(share, same)
    assert largest.tolist() == [[0.3, 0.3, 0.9]] and whose.tolist() == [[2, 2, 0]]
    assert next_best(share[:, :1], same[:1, :1])[1].tolist() == [[-1]]


def test_two_names_of_one_variable_are_the_same():
    values = np.random.default_rng(0).normal(size=(100, 3))
    values[:, 1] = np.exp(values[:, 0])
    assert same_variables(values).tolist() == [[True, True, False]] * 2 + [[False, False, True]]


# --- places


def test_ranks_are_a_plain_loops():
    maps = np.random.default_rng(0).integers(0, 4, (2, 2, 5, 6)).astype(np.float32)
    found = cell_ranks(maps, (True, True))
    for moment in range(2):
        for unit in range(2):
            grown = np.array(
                [
                    [
                        maps[moment, unit, max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2].max()
                        for c in range(6)
                    ]
                    for r in range(5)
                ]
            ).ravel()
            for cell, value in enumerate(grown):
                expected = (grown < value).mean() + (grown == value).mean() / 2
                assert found[moment, unit, cell] == pytest.approx(expected)
    assert cell_ranks(maps, (False, True)).shape == (2, 2, 6)
    assert (cell_ranks(np.zeros_like(maps), (True, True)) == 0.5).all()


def test_cells_stand_where_their_receptive_fields_are():
    network = planted.network()
    cells = map_cells(network, "conv3", Preprocessing())
    field = receptive_field(network, "conv3", 3, 3).seen
    assert cells.rows[3] == pytest.approx((field.top + field.height / 2) * 210 / 84, abs=1)
    assert cells.columns[3] == pytest.approx((field.left + field.width / 2) * 160 / 84, abs=1)
    assert len(cells.rows) == len(cells.columns) == 7
    assert map_cells(network, "fc", Preprocessing()) is None


def test_cells_of_an_object():
    cells = Cells(np.array([10.0, 30, 50]), np.array([20.0, 60]), (60, 80))
    rows, columns = np.array([12.0, 49, np.nan, 70]), np.array([70.0, 10, 10, 10])
    found, axes = cells_of(TrackedObject("a", rows, columns, ()), cells)
    assert found.tolist() == [1, 4, -1, -1] and axes == (True, True)
    found, axes = cells_of(TrackedObject("a", None, columns, ()), cells)
    assert found.tolist() == [1, 0, 0, 0] and axes == (False, True)


def test_objects_are_of_variables_with_pixels():
    subject = planted_play.sprite_play(steps=40)
    known = {variable.name: variable for variable in variables("Seaquest")}
    found = {thing.name: thing for thing in tracked_objects(subject.variables, known)}
    assert found["player"].variables == ("player_x", "player_y")
    np.testing.assert_allclose(found["player"].rows, subject.ram[:, planted_play.PLAYER_Y] + 33.0)
    assert found["player_missile"].rows is None and "oxygen" not in found


# --- the whole


def test_finds_the_planted_units_with_their_variables():
    result = unit_variables([planted_play.dense_play()], layer=["fc"], most=20)
    first, second = result.table.iloc[0], result.table.iloc[1]
    assert {(row["unit"], row["variable"]) for row in (first, second)} == {
        ("fc:3", "oxygen"), ("fc:5", "player_direction"),
    }  # fmt: skip
    for row in (first, second):
        assert row["share"] > 0.6 and row["selectivity"] > 0.4 and row["untrained"] < 0.5
        assert row["low"] <= row["score"] <= row["high"] and row["shuffled"] < 0.5 * row["score"]
        assert row["partial"] > 0.8
    rest = result.table.iloc[2:]
    assert (rest["selectivity"] < 0.3).all() and "fc:9" not in set(result.table["unit"])
    share = result.arrays["dqn/Seaquest/7 fc share"]
    names = result.arrays["dqn/Seaquest/7 variables"].tolist()
    assert share.shape == (24, len(names))
    assert share[3].argmax() == names.index("oxygen")
    assert "player_missile_x_present" in names


def test_finds_the_unit_that_fires_where_its_object_is():
    result = unit_variables([planted_play.sprite_play()], layer=["conv3"], most=5)
    row = result.table.iloc[0]
    assert (row["unit"], row["aspect"], row["variable"]) == ("conv3:5", "place", "player")
    assert row["score"] > 0.9 and row["shuffled"] < 0.65 and row["selectivity"] > 0.5
    assert row["low"] > 0.85 and row["n"] == 80  # half of the episodes


def test_an_object_that_is_elsewhere_is_not_found(monkeypatch):
    """The same play with its places read the wrong way round."""
    subject = planted_play.sprite_play()
    table = subject.variables.copy()
    table[["player_x", "player_y"]] = table[["player_x", "player_y"]].to_numpy()[::-1]
    monkeypatch.setitem(subject.__dict__, "variables", table)
    result = unit_variables([subject], layer=["conv3"])
    places = result.table[
        (result.table["aspect"] == "place") & (result.table["variable"] == "player")
    ]
    assert len(places) and (places["share"] < 0.2).all()


def noisy_play(episode: int = 40) -> Subject:
    """Of units that follow no variable, but each a walk of its own."""
    subject = planted_play.dense_play(episode=episode)
    arrays = dict(subject.recording.arrays)
    walks = np.random.default_rng(0).normal(size=(240, 2, 24)).cumsum(axis=0)
    arrays["activations/fc"] = walks.astype(np.float32)
    return Subject(Recording(subject.recording.header, arrays), subject.network)


def test_intervals_hold_their_own_scores():
    """Information of a sample with copies in it is larger: plain percentiles lie above."""
    table = unit_variables([noisy_play()], layer=["fc"]).table
    assert len(table) > 50
    assert (table["low"] <= table["score"]).all() and (table["score"] <= table["high"]).all()
    assert (table["low"] < table["high"]).all()


def test_what_is_absent_in_a_whole_half_is_no_finding(monkeypatch):
    subject = planted_play.dense_play()
    halves, _ = _halves(Asked((), np.zeros((480, 0)), (), subject.episodes), 0)
    table = subject.variables.copy()
    table.loc[halves[1], "player_missile_x"] = np.nan
    monkeypatch.setitem(subject.__dict__, "variables", table)
    result = unit_variables([subject], layer=["fc"], variable=["player_missile_x", "oxygen"])
    assert "player_missile_x" not in set(result.table["variable"])
    assert (result.table["unit"].iloc[0], result.table["variable"].iloc[0]) == ("fc:3", "oxygen")


def test_rows_are_told_of_by_other_episodes_than_they_were_chosen_by():
    result = unit_variables([noisy_play()], layer=["fc"], most=10)
    table = result.table
    assert table["chosen_by"].is_monotonic_decreasing and (table["episodes"] == 6).all()
    assert table["chosen_by"].mean() > 0.1 > 2 * table["selectivity"].mean()
    assert "rows are chosen by half of the episodes" in result.uncertainty
    few = unit_variables([noisy_play(episode=240)], layer=["fc"], most=10)
    assert np.array_equal(few.table["chosen_by"], few.table["selectivity"])
    assert "fewer than 4 episodes: rows are the best" in few.uncertainty


def test_what_is_not_there_is_told():
    subject = planted_play.sprite_play(steps=40)
    for settings, message in (
        ({"layer": ["conv9"]}, "no layer 'conv9'"),
        ({"variable": ["playr_x"]}, "did you mean player_x"),
        ({"most": 0}, "most is 0"),
    ):
        with pytest.raises(ValueError, match=message):
            unit_variables([subject], **settings)


def test_units_of_a_dead_layer_are_left_out():
    subject = planted_play.sprite_play(steps=80)
    with torch.no_grad():
        for parameter in subject.network.parameters():
            parameter.zero_()
    result = unit_variables([subject], layer=["conv3", "output"])
    assert result.table.empty
