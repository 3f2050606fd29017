"""Learning curves: the numbers against exact enumeration, the picture by what must hold of it."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import typer
from log_files import original_rows, write_original, write_run
from PIL import Image
from typer.testing import CliRunner

from atari_zoo.analysis.learning_curves import common_grid, curves
from atari_zoo.cli.logs import logs
from atari_zoo.games import game, games
from atari_zoo.logs.logs import training_log
from atari_zoo.logs.tables import common_table
from atari_zoo.viz.curves import OKABE_ITO, learning_curves, save_curves


def log(
    algorithm: str = "a2c",
    title: str = "Breakout",
    run: int = 1,
    top: float = 300.0,
    end: float = 40e6,
    rows: int = 50,
    base: float = 0.0,
) -> pandas.DataFrame:
    frames = np.linspace(end / rows, end, rows).astype(int)
    noise = np.random.default_rng([run, rows]).normal(0, top / 20, rows)
    table = common_table(
        {
            "algorithm": [algorithm] * rows,
            "game": [title] * rows,
            "run": [str(run)] * rows,
            "frames": frames,
            "seconds": frames / 1000,
            "score": base + top * (1 - np.exp(-frames / 1e7)) + noise,
        }
    )
    table.attrs["source"] = f"{algorithm}/{run}"
    return table


def test_nothing_is_extrapolated() -> None:
    tables = [log(run=1, end=40e6), log(run=2, end=10e6), log(run=3, end=25e6, rows=7)]
    (curve,) = curves(tables)
    assert curve.x[0] == max(table["frames"].iloc[0] for table in tables)
    assert curve.x[-1] == min(table["frames"].iloc[-1] for table in tables) == 10e6
    scores = [np.interp(curve.x, table["frames"], table["score"]) for table in tables]
    np.testing.assert_allclose(curve.mean, np.mean(scores, axis=0))
    assert (curve.low <= curve.mean).all() and (curve.mean <= curve.high).all()
    assert [x[-1] for x, _ in curve.runs] == [40e6, 10e6, 25e6]  # drawn to their ends


def test_runs_without_frames_in_common_have_no_mean() -> None:
    runs = [(np.array([0.0, 1.0]), np.array([1.0, 2.0])), (np.array([2.0, 3.0]), np.ones(2))]
    grid, scores = common_grid(runs)
    assert grid.shape == (0,) and scores.shape == (2, 0)
    touching, scores = common_grid([runs[0], (np.array([1.0, 3.0]), np.array([5.0, 6.0]))])
    assert list(touching) == [1] and scores.tolist() == [[2], [5]]


def test_a_single_run_is_its_rows_and_missing_scores_are_left_out() -> None:
    table = log()
    table.loc[[0, 7], "score"] = np.nan
    table.loc[9, "score"] = np.inf
    (curve,) = curves([table])
    known = table.drop([0, 7, 9])
    np.testing.assert_array_equal(curve.x, known["frames"])
    np.testing.assert_array_equal(curve.mean, known["score"])


def test_after_a_restart_the_later_row_counts() -> None:
    frames, score = [1, 2, 3, 2, 3, 4], [0.0, 0.0, 0.0, 5.0, 6.0, 7.0]
    table = common_table({"frames": frames, "score": score, "seconds": [1, 2, 3, 4, 5, 6]})
    (curve,) = curves([table])
    assert curve.x.tolist() == [1, 2, 3, 4] and curve.mean.tolist() == [0, 5, 6, 7]


def test_what_is_a_curve_of_its_own() -> None:
    uber = log(run=1)
    uber.attrs["collection"] = "uber"
    unknown = [log("unknown", run=n) for n in (1, 2)]
    found = curves([log(run=1), log(run=2), uber, log("dqn", "Pong"), *unknown])
    assert [(c.label, c.game, len(c.runs)) for c in found] == [
        ("A2C", "Breakout", 2),
        ("A2C (uber)", "Breakout", 1),
        ("DQN", "Pong", 1),
        ("unknown/1", "Breakout", 1),  # nothing tells that they are of one algorithm
        ("unknown/2", "Breakout", 1),
    ]


def test_what_cannot_be_drawn() -> None:
    timeless = log()
    timeless["seconds"] = np.nan
    with pytest.raises(ValueError, match="the logs tell no seconds"):
        curves([timeless], "seconds")
    assert len(curves([timeless, log("dqn")], "seconds")) == 1
    with pytest.raises(ValueError, match="no axis 'steps'; there are frames, seconds"):
        curves([log()], "steps")
    with pytest.raises(ValueError, match=r"must end in \.png or \.svg or \.pdf"):
        save_curves([log()], "picture.gif")


def line(panel: Any, who: str) -> float:
    (found,) = [artist for artist in panel.lines if artist.get_gid() == who]
    return float(found.get_ydata()[0])


@pytest.mark.parametrize("of", [g for g in games() if g.human is not None], ids=lambda g: g.name)
def test_a_persons_and_random_plays_lines_stand_at_their_scores(of: Any) -> None:
    figure = learning_curves([log(title=of.name, top=500, base=of.random)])
    (panel,) = figure.axes
    assert line(panel, "a person") == of.human and line(panel, "random play") == of.random
    figure.draw_without_rendering()
    person, random = (text.get_window_extent() for text in panel.texts)
    assert not person.overlaps(random)
    assert min(person.x0, random.x0) >= panel.get_window_extent().x1  # beside the panel
    low, high = panel.get_ylim()
    assert low < of.random < high
    drawn = panel.lines[0].get_ydata()
    assert np.ptp(drawn) >= 0.2 * (high - low) or high < of.human * 1.5


def test_a_person_far_above_does_not_flatten_the_curves() -> None:
    figure = learning_curves([log(title="Seaquest", top=700)])
    (panel,) = figure.axes
    assert line(panel, "a person") == game("Seaquest").human > panel.get_ylim()[1]
    assert panel.texts[0].get_text() == "a person\n42,054.7 ↑"


def test_the_axis_counts_in_what_is_readable() -> None:
    def title(of: pandas.DataFrame, x: str) -> tuple[str, float]:
        (panel,) = learning_curves([of], x).axes
        return panel.get_xlabel(), panel.lines[0].get_xdata()[-1]

    assert title(log(), "frames") == ("million emulator frames", 40)
    assert title(log(end=5e5), "frames") == ("thousand emulator frames", 500)
    assert title(log(), "seconds") == ("hours of training", pytest.approx(40_000 / 3600))
    assert title(log(end=1.2e6), "seconds") == ("minutes of training", 20)


def test_the_legend_covers_nothing_and_tells_every_curve() -> None:
    algorithms = ["a2c", "dqn", "es", "ga", "impala", "apex", "rainbow", "iqn"]
    tables = [log(a, g, n) for a in algorithms for g in ("Pong", "Breakout") for n in (1, 2)]
    figure = learning_curves([*tables, log("a2c", "Pong", 3)])
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert not any(panel.get_tightbbox().overlaps(box) for panel in figure.axes)
    words = [text.get_text() for text in legend.get_texts()]
    assert words[0] == "A2C, 2 to 3 runs" and words[1] == "DQN, 2 runs" and len(words) == 8
    styles = {(h.get_color(), h.get_linestyle()) for h in legend.legend_handles}
    assert len(styles) == 8
    for panel in figure.axes:  # an algorithm looks the same in every panel
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            place = next(n for n, text in enumerate(words) if text.startswith(f"{label},"))
            assert handle.get_color() == legend.legend_handles[place].get_color()


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        ((1, 1), None),
        ((2, 1), "bands: from the lowest to the highest of 2 or 3 runs"),
        ((4, 1), "bands: 95% bootstrap of the mean over runs"),
        (
            (5, 3),
            "bands: 95% bootstrap of the mean over runs; from the lowest to the highest of 2 or 3 "
            "runs",
        ),
    ],
)
def test_the_legend_says_what_the_bands_are(runs, words) -> None:
    """A band over two runs is the two runs, and no interval of a mean."""
    named = zip(("a2c", "dqn"), runs, strict=True)
    tables = [log(name, "Pong", n) for name, count in named for n in range(1, count + 1)]
    figure = learning_curves(tables)
    assert (figure.legends[0].get_title().get_text() or None) == words


# Machado et al. (2009), severity 1.0: linear RGB as people without red or green cones see it
VISION = {
    "all cones": np.eye(3),
    "no red": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no green": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ],
}


@pytest.mark.parametrize("vision", VISION)
def test_the_colours_are_told_apart(vision: str) -> None:
    codes = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in OKABE_ITO]) / 255
    linear = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(VISION[vision]).T, 0, 1)
    xyz = (
        seen
        @ np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]).T
    )
    f = np.cbrt(xyz / [0.9505, 1, 1.089])
    lab = np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], -1)
    apart = [np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2)]
    assert min(apart) > 10  # CIELAB; 2.3 is just noticeable


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_file_is_a_picture(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"curves.{suffix}"
    save_curves([log(run=1), log(run=2)], path, "seconds")
    if suffix == "png":
        with Image.open(path) as picture:
            assert picture.width >= 1000 and picture.height >= 600
            assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 20
    else:
        assert path.read_bytes().startswith({"svg": b"<?xml", "pdf": b"%PDF"}[suffix])
    assert list(tmp_path.iterdir()) == [path]


def run(*words: str | Path) -> Any:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(logs)
    return CliRunner().invoke(app, list(map(str, words)))


def test_the_command_prints_and_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path / "a2c-Pong-9")
    picture = tmp_path / "curves.png"
    done = run("a2c/Pong/1", tmp_path / "a2c-Pong-9", "--x", "hours", "-o", picture)
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == [str(picture)] and picture.is_file()
    rows = json.loads(run("a2c/Pong/1", "--json").stdout)["rows"]
    assert len(rows) == len(training_log("a2c/Pong/1")) and rows[0]["score"] is None
    printed = run(tmp_path / "a2c-Pong-9", "--csv").stdout.splitlines()
    assert printed[0].startswith("algorithm,game,run,frames,seconds,score,episodes,entropy")
    assert len(printed) == 13 and printed[2].startswith("a2c,Pong,3,2000,5.0,-19.0,2.0")
    assert "11.6" in run("a2c/Pong/1").stdout


def test_the_command_takes_a_game_and_algorithms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATARI_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ATARI_ZOO_OFFLINE", "1")
    for algorithm in ("a2c", "apex"):
        folder = tmp_path / "cache" / "uber" / algorithm / "Pong" / "1"
        write_original(folder / "PongNoFrameskip-v4_1_log.json", original_rows())
    done = run(
        "--game",
        "pong",
        "--collection",
        "uber",
        "--algorithm",
        "a2c",
        "--algorithm",
        "apex",
        "--json",
    )
    rows = json.loads(done.stdout)["rows"]
    assert {row["source"] for row in rows} == {"uber:a2c/Pong/1", "uber:apex/Pong/1"}
    # the other runs' logs are not here: a line for each
    assert done.exit_code == 1 and done.stderr.count("ATARI_ZOO_OFFLINE") == 4
    assert len(done.stderr.strip().splitlines()) == 4


MISTAKES = {
    "nothing": ([], "give a model's name"),
    "no game": (["--algorithm", "a2c"], "give --game too"),
    "game": (["--game", "Pnog"], "did you mean Pong"),
    "algorithm": (["--game", "Pong", "--algorithm", "a3c"], "no algorithm 'a3c'; there are a2c"),
    "none": (["--game", "Pong", "--algorithm", "acktr"], "no training logs of acktr in Pong"),
    "axis": (["a2c/Pong/1", "--x", "days"], "no axis 'days'; there are frames, hours"),
    "twice": (["a2c/Pong/1", "--csv", "--json"], "give one of them"),
    "picture": (["a2c/Pong/1", "-o", "x.gif"], "must end in .png"),
    "model": (["a2c/Pong/77"], "a2c/Pong/77"),
    "file": (["missing.csv"], "no file or model"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_gets_one_clear_line(case: str) -> None:
    words, message = MISTAKES[case]
    error = run(*words).exception
    assert isinstance(error, ValueError) and message in str(error)


def test_the_command_itself_imports_nothing_heavy() -> None:
    code = "import sys, atari_zoo.cli.logs; print([m for m in sys.modules if m in HEAVY])"
    heavy = ("pandas", "matplotlib", "torch", "numpy", "requests", "onnx")
    command = [sys.executable, "-c", f"HEAVY = {heavy}; {code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
