"""`atari-zoo movie`, `grid` and `watch`: what they write, say and refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from movie_files import movie_file
from typer.testing import CliRunner

import atari_zoo as zoo
from atari_zoo.cli.app import app
from atari_zoo.converters import save_onnx, to_onnx
from atari_zoo.viz.movies import window

STEPS = 16
KEEP = ["screens", "frames", "outputs"]


@pytest.fixture(scope="module")
def files(tmp_path_factory, random_agent) -> Path:
    """An agent, and play of it."""
    folder, agent = tmp_path_factory.mktemp("files"), random_agent("Pong")
    save_onnx(to_onnx(agent), folder / "agent.onnx")
    zoo.rollout(agent, steps=STEPS, envs=1, keep=KEEP, path=folder / "play.zarr")
    return folder


@pytest.fixture
def run(files, monkeypatch, tmp_path):
    """Runs a line in a folder of its own; P and A stand for the play and the agent."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATARI_ZOO_CACHE", str(tmp_path / "cache"))
    names = {"P": str(files / "play.zarr"), "A": str(files / "agent.onnx")}

    def running(line: str):
        words = [names.get(word, word) for word in line.split()]
        return CliRunner().invoke(app, words, catch_exceptions=False)

    return running


@pytest.mark.parametrize(
    ("line", "count", "rate"),
    [
        ("movie P --show game", STEPS, 15),
        ("movie P --show game --from 3 --to 9 --speed 2 --scale 1", 6, 30),
        ("movie A --recording P --episode 0", STEPS, 15),
        ("movie A --recording P --show conv2 --show fc --to 4", 4, 15),
        ("movie A --recording P --show saliency --method gradient --no-control --to 3", 3, 15),
        ("movie A --ablate conv3:1 --ablate fc:3 --to 5 --seed 2", 5, 15),
        ("grid P --to 5", 5, 15),
        ("watch P --to 5 -o movie.mp4", 5, 15),
    ],
)
def test_a_line_writes_a_movie(run, line, count, rate) -> None:
    name = "grid.mp4" if line.startswith("grid") else "movie.mp4"
    done = run(line)
    assert done.exit_code == 0 and done.output.splitlines()[-1] == name
    found = movie_file(Path(name))
    assert (found.codec, found.rate, found.count) == ("h264", rate, count)


def test_facts_are_printed_for_scripts(run) -> None:
    facts = json.loads(run("movie A --recording P --from 2 --to 5 --json").stdout)
    assert {"first": 2, "stop": 5, "fps": 15.0, "output": "movie.mp4"}.items() <= facts.items()
    facts = json.loads(run("movie A --ablate fc --to 3 --json -o b.mp4").stdout)
    assert facts["parting"] is None or facts["parting"] in range(3)
    facts = json.loads(run("grid P P --to 3 --json").stdout)
    assert facts["agents"] == ["a2c/Pong/1", "a2c/Pong/1~2"]


def test_an_agent_without_play_has_its_standard_play(run, monkeypatch) -> None:
    """As much as is shown, and 2,500 steps at least."""
    asked = []
    play = zoo.rollout(zoo.load("a2c/Pong/1"), steps=6, envs=1, keep=KEEP)

    def standard(model, steps, seed):
        asked.append(((getattr(model, "card", None) and model.card.name) or model, steps, seed))
        return play

    monkeypatch.setattr("atari_zoo.play.standard.standard_play", standard)
    for line in (
        "movie a2c/Pong/1 --show game --force",
        "movie A --show game --force",
        "movie a2c/Pong/1 --show game --seed 3 --force",
    ):
        assert run(line).exit_code == 0
    with pytest.raises(ValueError, match="the recording of a2c/Pong/1 has 0 to 6"):
        run("movie a2c/Pong/1 --show game --from 2400 --to 3000 --force")
    name = "a2c/Pong/1"
    assert asked == [(name, None, 0), (name, None, 0), (name, None, 3), (name, 3000, 0)]


def test_watch_opens_a_window_or_says_that_there_is_none(run, monkeypatch) -> None:
    def none(title: str) -> None:
        raise window.NoScreen("no window: no display")

    monkeypatch.setattr(window, "open_window", none)
    done = run("watch P --to 4")
    assert "no window: no display; a movie instead: watch.mp4" in done.stderr
    assert movie_file(Path("watch.mp4")).count == 4
    calls: list[object] = []

    class Screen:
        def withdraw(self) -> None:
            calls.append("withdraw")

        def deiconify(self) -> None:
            calls.append("deiconify")

        def mainloop(self) -> None:
            calls.append("mainloop")

    monkeypatch.setattr(window, "open_window", lambda title: Screen())
    monkeypatch.setattr(window, "Watching", lambda *given: calls.append(given[1:]))
    assert run("watch P --speed 3").exit_code == 0
    assert calls[0] == "withdraw" and calls[2:] == ["deiconify", "mainloop"]
    recording, clip = calls[1]  # type: ignore[misc]
    assert len(recording.starts) == STEPS and clip.speed == 3 and clip.stop is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("movie P --show game -o a.gif", r"its name must end in \.mp4"),
        ("movie P --show game -o none/a.mp4", "there is no folder"),
        ("movie P --show game --from 16", "steps 16 to 16 are asked for, but"),
        ("movie P --show game --to 17", "has 0 to 16"),
        ("movie P --show game --speed 0", "speed is 0"),
        ("movie P --show game --episode 0 --to 3", "an episode and steps are two ways"),
        ("movie A --recording P --show game --show fc", "--show game and fc: give one of them"),
        ("movie A --recording P --show tarot", "has no layer 'tarot'; it has conv1"),
        ("movie A --recording P --method sarfa", "are of --show saliency"),
        ("movie A --ablate fc:1 --show game", "it goes with none of --show"),
        ("movie P --recording P --show game", "is recorded play; --recording"),
        ("movie a2c/* --show game", "stands for several agents; give one, or see `atari-zoo grid`"),
        ("grid P a2c/Seaquest/1", "a grid shows one game, but a2c/Pong/1 plays Pong, a2c/Seaq"),
        ("grid a2c/Pnog/1", "no model 'a2c/Pnog/1'"),
        ("watch dqn/Seaquest/1 --recording P -o a.mp4", "plays Seaquest, but the recording is of"),
    ],
)
def test_what_makes_no_sense_is_one_line_before_the_work(run, line, message, tmp_path) -> None:
    with pytest.raises((ValueError, OSError), match=message):
        run(line)
    assert not [path for path in tmp_path.iterdir() if path.suffix]


def test_a_file_that_is_there_is_kept(run) -> None:
    for verb in ("movie P --show game", "grid P", "watch P -o a.mp4"):
        Path("movie.mp4").write_text("kept")
        Path("grid.mp4").write_text("kept")
        Path("a.mp4").write_text("kept")
        with pytest.raises(FileExistsError, match="is there already"):
            run(verb)
    assert {path.read_text() for path in Path().glob("*.mp4")} == {"kept"}
