"""Verbs of analyses: made from a registered function, as a person meets them."""

from __future__ import annotations

import errno
import inspect
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas
import pytest
from architectures import network
from command_line import zoo
from typer.testing import CliRunner

import atari_zoo
from atari_zoo.analysis.peaks import unit_peaks
from atari_zoo.analysis.registry import ANALYSES, RegisteredAnalysis
from atari_zoo.analysis.results import Result, open_result
from atari_zoo.cli.analyses import setting_helps, verb_of
from atari_zoo.cli.app import app
from atari_zoo.converters import ModelCard, save_onnx, to_onnx
from atari_zoo.converters.network.foreign import Network
from atari_zoo.games import game
from atari_zoo.recordings.recordings import Recording


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """An agent's file and its play."""
    folder = tmp_path_factory.mktemp("played")
    card = ModelCard("a2c", "Pong", action_meanings=game("Pong").actions, action_rule="sample")
    save_onnx(to_onnx(network("actor-critic"), card), folder / "agent.onnx")
    agent = atari_zoo.load(folder / "agent.onnx")
    play = atari_zoo.rollout(agent, steps=6, envs=2, keep=["screens", "outputs"])
    play.save(folder / "play.zarr")
    return str(folder / "agent.onnx"), str(folder / "play.zarr")


def test_a_verb_saves_what_the_function_finds(played, tmp_path: Path) -> None:
    agent, play = played
    words = ["peaks", agent, "fc:3..5", "--recording", play, "-o", str(tmp_path)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    expected = unit_peaks(
        atari_zoo.load(agent), atari_zoo.open_recording(play), layer="fc", units=[3, 4, 5]
    )
    found = open_result(tmp_path)
    pandas.testing.assert_frame_equal(found.table, expected.table)
    assert found.made == expected.made
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert "bootstrap" in done.output and str(tmp_path) in done.output


def test_rows_as_json_and_csv(played) -> None:
    words = ["peaks", played[0], "--recording", played[1]]
    told = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert told["made"]["parameters"]["layer"] == "conv3" and len(told["rows"]) == 64
    csv = CliRunner().invoke(app, [*words, "--csv"]).stdout.splitlines()
    assert csv[0].split(",") == list(told["rows"][0]) and len(csv) == 65
    assert float(csv[1].split(",")[2]) == told["rows"][0]["mean"]


def test_without_a_recording_the_agent_plays(played) -> None:
    words = ["peaks", played[0], "output:FIRE", "--steps", "6", "--envs", "2", "--json"]
    (row,) = json.loads(CliRunner().invoke(app, words).stdout)["rows"]
    network, recording = atari_zoo.load(played[0]), atari_zoo.open_recording(played[1])
    outputs = recording.outputs[...].reshape(-1, network.actions)
    assert row["unit"] == 1 and row["largest"] == pytest.approx(outputs[:, 1].max(), abs=1e-5)


def test_seed_of_play_where_an_analysis_has_none(played) -> None:
    def count(network: Network, recording: Recording) -> Result:
        table = pandas.DataFrame({"seed": [recording.header.seed]})
        return Result(table, "exact")

    made = verb_of(RegisteredAnalysis("count", count, "Counts.", "", "count"))
    done = CliRunner().invoke(made, [played[0], "--steps", "2", "--seed", "7", "--csv"])
    assert done.stdout.split() == ["seed", "7"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["conv9", "--steps", "9" * 9], "no layer 'conv9'"),
        (["fc:9..600", "--steps", "9" * 9], "no unit"),
        (["--wrong"], "--wrong"),
        (["--json", "--csv"], "give one of them"),
        (["--steps", "0"], "'--steps'"),
    ],
)
def test_a_mistake_ends_with_2_and_one_reason(played, words, says) -> None:
    done = zoo("peaks", played[0], *words)
    assert done.returncode == 2 and says in done.stderr and "Traceback" not in done.stderr


def test_what_cannot_be_saved_is_printed(played, tmp_path, monkeypatch) -> None:
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Result, "save", lambda self, folder: full(folder / "table.csv"))
    done = zoo("peaks", played[0], "fc", "--recording", played[1], "-o", tmp_path / "found")
    assert done.returncode == 2 and done.stderr.strip().endswith("the table is printed instead")
    assert "No space left on device" in done.stderr and len(done.stderr.splitlines()) == 1
    assert len(pandas.read_csv(io.StringIO(done.stdout))) == 128


def test_help_tells_inputs_settings_and_an_example() -> None:
    done = CliRunner().invoke(app, ["peaks", "--help"], terminal_width=200)
    assert done.exit_code == 0
    for words in (
        "network",
        "units",
        "--recording",
        "--steps",
        "--before-relu",
        "--seed",
        "--device",
    ):
        assert words in done.output
    assert "$ atari-zoo peaks a2c/Pong/1 conv3:0..3 -o peaks" in done.output
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


def test_every_setting_of_every_analysis_is_explained() -> None:
    for name, registered in ANALYSES.items():
        signature = inspect.signature(registered.function).parameters
        usual = [p.default for p in signature.values() if isinstance(p.default, str)]
        helps = setting_helps(inspect.getdoc(registered.function) or "", usual)
        for parameter in signature.values():
            if parameter.kind is parameter.KEYWORD_ONLY and not callable(parameter.default):
                words = helps.get(parameter.name, "")
                assert words.endswith("."), f"{name}: {parameter.name}: {words!r}"
                assert len(words) < 300, f"{name}: {parameter.name}: {words!r}"
