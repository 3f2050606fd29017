"""Analyses: what a result says of itself, saved and opened again; the two that there are."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from matplotlib.figure import Figure

from atari_zoo.analysis.declarations import declarations
from atari_zoo.analysis.learning_curves import curves, curves_of, learning
from atari_zoo.analysis.peaks import recorded_peaks, unit_peaks
from atari_zoo.analysis.registry import ANALYSES, analysis
from atari_zoo.analysis.results import PICTURES, Made, Result, open_result
from atari_zoo.converters.cards import ModelCard, Preprocessing
from atari_zoo.converters.network.heads import QHead
from atari_zoo.converters.network.networks import SAME, MnihNetwork, Trunk, mnih_convolutions
from atari_zoo.converters.registration import RegisteredTwice
from atari_zoo.logs.tables import common_table
from atari_zoo.recordings.header import Header
from atari_zoo.recordings.recordings import Recording

STEPS, ENVS = 9, 2


@pytest.fixture(scope="module")
def network() -> MnihNetwork:
    torch.manual_seed(0)
    made = MnihNetwork(Trunk(mnih_convolutions((4, 5, 6), SAME), units=9), QHead(9, actions=3))
    made.card = ModelCard("dqn", "Seaquest", "7")
    return made.eval()


@pytest.fixture(scope="module")
def recording() -> Recording:
    """Episodes of 4, 4 and 1 steps in each of two environments."""
    random = np.random.default_rng(2)
    header = Header(ModelCard("dqn", "Seaquest", "7"), "Seaquest", Preprocessing())
    arrays = {
        "screens": random.integers(0, 256, (STEPS, ENVS, 84, 84), np.uint8),
        "starts": np.arange(STEPS)[:, None] % 4 == np.zeros(ENVS, int),
    }
    return Recording(header, arrays)


def log(algorithm: str, run: int, rows: int = 20) -> pandas.DataFrame:
    columns = {"algorithm": [algorithm] * rows, "game": ["Pong"] * rows, "run": [str(run)] * rows}
    frames = np.arange(1, rows + 1) * 1000 * run
    table = common_table(columns | {"frames": frames, "score": np.sqrt(frames + run)})
    table.attrs["source"] = f"{algorithm}/Pong/{run}"
    return table


LOGS = [log("a2c", 1), log("a2c", 2), log("dqn", 1), log("dqn", 40)]  # these two have no common x


def test_peaks_of_units_against_loops(network, recording) -> None:
    result = unit_peaks(network, recording, layer="conv2", units=[4, 0])
    found = recorded_peaks(network, recording, "conv2", [4, 0])
    values = found.values.reshape(STEPS, ENVS, 2).numpy()
    np.testing.assert_array_equal(result.arrays["values"], values)
    assert result.table["unit"].tolist() == [4, 0]
    for number, row in enumerate(result.table.itertuples()):
        parts = [
            values[begin : begin + length, env, number].astype(float).mean()
            for env in range(ENVS)
            for begin, length in ((0, 4), (4, 4), (8, 1))
        ]
        assert row.mean == pytest.approx(np.mean(parts), rel=1e-6)
        assert min(parts) <= row.low < row.mean < row.high <= max(parts)
        assert row.largest == values[..., number].max() == values[row.step, row.env, number]
        assert row.row == result.arrays["rows"][row.step, row.env, number]
        assert row.column == result.arrays["columns"][row.step, row.env, number]
        assert not row.dead


def test_a_result_tells_how_it_was_made(network, recording) -> None:
    made = unit_peaks(network, recording, layer="fc", progress=lambda done, total: None).made
    assert made.analysis == "peaks" and made.source.startswith("https://")
    assert made.inputs == {"network": "dqn/Seaquest/7", "recording": "dqn/Seaquest/7"}
    assert made.parameters == {"layer": "fc", "units": None, "before_relu": True, "seed": 0}
    assert made.version == importlib.metadata.version("atari-zoo")
    assert learning(LOGS[:2]).made.inputs == {"logs": ["a2c/Pong/1", "a2c/Pong/2"]}


def test_a_result_is_opened_as_it_was_saved(network, recording, tmp_path: Path) -> None:
    for result in (unit_peaks(network, recording, layer="fc"), learning(LOGS)):
        result.save(tmp_path / "made" / result.made.analysis)
        again = open_result(tmp_path / "made" / result.made.analysis)
        pandas.testing.assert_frame_equal(again.table, result.table)
        assert again.uncertainty == result.uncertainty and again.made == result.made
        assert again.arrays.keys() == result.arrays.keys()
        for name, array in result.arrays.items():
            np.testing.assert_array_equal(again.arrays[name], array)


def test_texts_and_missing_numbers_come_back(tmp_path: Path) -> None:
    table = pandas.DataFrame({"run": ["1", "", "nan"], "x": [0.1, np.nan, -np.inf], "n": [1, 2, 3]})
    Result(table, "none", made=Made("a")).save(tmp_path)
    pandas.testing.assert_frame_equal(open_result(tmp_path).table, table)


@pytest.mark.parametrize("damage", ["made.json", "arrays.npz", "table.csv", "nothing"])
def test_a_folder_without_a_whole_result_is_refused(tmp_path: Path, damage: str) -> None:
    learning(LOGS).save(tmp_path)
    if damage == "nothing":
        (tmp_path / "made.json").unlink()
    else:
        (tmp_path / damage).write_bytes((tmp_path / damage).read_bytes()[:5])
    with pytest.raises(ValueError, match=r"no result of an analysis, which has table\.csv, arrays"):
        open_result(tmp_path)


def test_curves_come_back_from_a_result(tmp_path: Path) -> None:
    learning(LOGS, x="frames", seed=3).save(tmp_path)
    expected = curves(LOGS, seed=3)
    found = curves_of(open_result(tmp_path))
    assert [(c.label, c.game) for c in found] == [("A2C", "Pong"), ("DQN", "Pong")]
    assert len(found[1].x) == 0 and len(found[1].runs) == 2  # nothing in common, but drawn
    for curve, again in zip(expected, found, strict=True):
        for name in ("x", "mean", "low", "high"):
            np.testing.assert_array_equal(getattr(again, name), getattr(curve, name))
        for run, same in zip(curve.runs, again.runs, strict=True):
            np.testing.assert_array_equal(same, run)


def test_every_analysis_has_a_picture_that_draws(network, recording) -> None:
    results = [unit_peaks(network, recording), learning(LOGS[:2])]
    assert set(ANALYSES) == set(PICTURES)  # the others draw in tests of their own
    for result in results:
        figure = result.picture()
        assert isinstance(figure, Figure)
        figure.draw_without_rendering()
    (panel,) = results[1].picture().axes
    drawn = panel.lines[-3].get_ydata()  # before the lines of a person and of random play
    np.testing.assert_allclose(drawn, results[1].table["mean"])


def test_without_a_picture_it_says_so() -> None:
    with pytest.raises(ValueError, match="no picture of an analysis 'mine'; there are"):
        Result(pandas.DataFrame(), "", made=Made("mine")).picture()


def test_files_declare_what_they_register() -> None:
    registered = [(made.name, made.verb, made.summary) for made in ANALYSES.values()]
    assert sorted(map(tuple, declarations())) == sorted(registered)
    assert all(made.summary for made in ANALYSES.values())


def test_a_name_is_given_once() -> None:
    with pytest.raises(RegisteredTwice, match=r"peaks\.unit_peaks and .*test_results"):
        analysis("peaks")(lambda: Result(pandas.DataFrame(), ""))


def test_no_file_of_a_result_is_left_half_written(tmp_path: Path) -> None:
    result = Result(pandas.DataFrame({"a": [1]}), "", {"x": np.array([object()])})
    with pytest.raises(ValueError, match="allow_pickle"):
        result.save(tmp_path)
    assert not (tmp_path / "made.json").exists()
    with pytest.raises(ValueError, match="no result of an analysis"):
        open_result(tmp_path)
