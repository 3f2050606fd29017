"""Verbs of analyses: made from a registered function, as a person meets them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas
import pytest
from architectures import network
from typer.testing import CliRunner

import atari_zoo
from atari_zoo.analysis.peaks import unit_peaks
from atari_zoo.analysis.registry import RegisteredAnalysis
from atari_zoo.analysis.results import Result, open_result
from atari_zoo.cli.analyses import setting_helps, verb_of
from atari_zoo.cli.app import app
from atari_zoo.converters import ModelCard, save_onnx, to_onnx
from atari_zoo.games import game


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """An agent's file and its play."""
    folder = tmp_path_factory.mktemp("played")
    card = ModelCard("a2c", "Pong", action_meanings=game("Pong").actions, action_rule="sample")
    save_onnx(to_onnx(network("actor-critic"), card), folder / "agent.onnx")
    agent = atari_zoo.load(folder / "agent.onnx")
    atari_zoo.rollout(agent, steps=6, envs=2, keep=["screens"]).save(folder / "play.zarr")
    return str(folder / "agent.onnx"), str(folder / "play.zarr")


def test_a_verb_saves_what_the_function_finds(played, tmp_path: Path) -> None:
    words = ["peaks", *played, "--layer", "fc", "--units", "3", "--units", "5", "-o", str(tmp_path)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    agent, play = played
    expected = unit_peaks(
        atari_zoo.load(agent), atari_zoo.open_recording(play), layer="fc", units=[3, 5]
    )
    found = open_result(tmp_path)
    pandas.testing.assert_frame_equal(found.table, expected.table)
    assert found.made == expected.made
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert "bootstrap" in done.output and str(tmp_path) in done.output


def test_rows_as_json_and_csv(played) -> None:
    told = json.loads(CliRunner().invoke(app, ["peaks", *played, "--json"]).stdout)
    assert told["made"]["parameters"]["layer"] == "conv3" and len(told["rows"]) == 64
    csv = CliRunner().invoke(app, ["peaks", *played, "--csv"]).stdout.splitlines()
    assert csv[0].split(",") == list(told["rows"][0]) and len(csv) == 65
    assert float(csv[1].split(",")[2]) == told["rows"][0]["mean"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--layer", "conv9"], "no layer 'conv9'"),
        (["--wrong"], "--wrong"),
        (["--json", "--csv"], "give one of them"),
        (["--units", "x"], "'--units'"),
    ],
)
def test_a_mistake_ends_with_2_and_one_reason(played, words, says) -> None:
    command = [sys.executable, "-m", "atari_zoo", "peaks", *played, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and says in done.stderr and "Traceback" not in done.stderr


def test_help_tells_inputs_settings_and_an_example() -> None:
    done = CliRunner().invoke(app, ["peaks", "--help"], terminal_width=200)
    assert done.exit_code == 0
    for words in ("network", "recording", "--layer", "--units", "--before-relu", "--seed"):
        assert words in done.output
    assert "$ atari-zoo peaks a2c/Pong/1 play.zarr -o peaks" in done.output
    assert "--progress" not in done.output


def test_a_verb_that_is_written_by_hand_stays() -> None:
    done = CliRunner().invoke(app, ["logs", "--help"], terminal_width=200)
    assert "--algorithm" in done.output and "--x" in done.output


def test_logs_are_read_by_their_names(tmp_path: Path) -> None:
    seen = []

    def count(
        logs: Sequence[pandas.DataFrame],
        *,
        least: float = 0.5,
        names: Sequence[str] = ("a", "b"),
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Result:
        progress(1, 1)
        seen.append((len(logs), least, list(names)))
        return Result(pandas.DataFrame({"rows": [len(log) for log in logs]}), "exact")

    made = verb_of(RegisteredAnalysis("count", count, "Counts.", "", "count"))
    words = ["a2c/Pong/1", "a2c/Pong/1", "--least", "2", "--csv"]
    done = CliRunner().invoke(made, words)
    rows = len(atari_zoo.training_log("a2c/Pong/1"))
    assert done.stdout.split() == ["rows", str(rows), str(rows)]
    assert seen == [(2, 2.0, ["a", "b"])]


def test_an_argument_of_an_unknown_kind_is_refused() -> None:
    def wrong(number: int) -> Result:
        raise AssertionError

    with pytest.raises(TypeError, match="wrong: no words for 'number'"):
        verb_of(RegisteredAnalysis("wrong", wrong, "", "", "wrong"))


def test_settings_are_explained_by_the_docstring() -> None:
    text = (
        "A line: no.\n\nlayer: its name. seed, draws: of\n    the draws, 0.5 at\n    least.\nRaises"
    )
    assert setting_helps(text) == {
        "layer": "Its name.",
        "seed": "Of the draws, 0.5 at least.",
        "draws": "Of the draws, 0.5 at least.",
    }
