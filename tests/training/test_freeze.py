"""Frozen models: what is picked from made runs, against what a person would pick."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from architectures import observations
from jax_files import DopamineDense, dopamine_bundle, dopamine_outputs, dopamine_pickle, parameters
from log_files import write_dopamine, write_monitors
from torch_zoo_files import sb3_model

from atari_zoo.__main__ import main
from atari_zoo.converters import to_torch
from atari_zoo.converters.cards import PREPROCESSINGS, Preprocessing
from atari_zoo.games import game
from atari_zoo.logs.checkpoint_files import Checkpoint
from atari_zoo.logs.logs import training_log
from atari_zoo.training.criteria import criteria, shortened
from atari_zoo.training.freeze import freeze
from atari_zoo.training.on_policy.a2c import A2C, A2CConfig
from atari_zoo.training.runs import RunFolder
from atari_zoo.training.trained_agents import trained_agent

Zoo = Callable[..., tuple[int, str, str]]
CONFIG = A2CConfig(rom="pong", seed=3, preprocessing=Preprocessing(sticky=0.25, noops=7))
M = 1_000_000
LOG = [  # frames, seconds, score; a person's in Pong is 14.6
    (50 * M, 1800, -15.0),
    (100 * M, 3500, -5.0),
    (150 * M, 5400, 16.0),  # a person's level, but no checkpoint
    (200 * M, 7300, 12.0),
    (250 * M, 9000, 20.0),
    (300 * M, 10800, 18.0),
]
KEPT = [0, 100 * M, 200 * M, 250 * M, 300 * M]
# by hand from these two: the nearest in frames or hours, the first of 14.6, the ends
PICKED = {
    "initial": 0,
    "1HR": 100 * M,  # 3500 s; 7300 s are farther from 3600
    "2HR": 200 * M,  # 7300 s
    "3.1HR": 300 * M,  # 10800 s: 3 % short of 11160
    "3.2HR": None,  # 6 % short
    "10HR": None,
    "20M": None,  # 0 and 100M: neither is near
    "150M": None,  # 100M and 200M are a third away
    "220M": 200 * M,
    "230M": 250 * M,
    "400M": None,
    "human": 250 * M,
    "final": 300 * M,
}
HOURS, FRAMES = (1, 2, 3.1, 3.2, 10), [at * M for at in (20, 150, 220, 230, 400)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder as the trainer writes it; the checkpoints differ in the output's biases."""
    path = tmp_path_factory.mktemp("runs") / "mine"
    folder = RunFolder(path, "a2c", CONFIG)
    for frames, seconds, score in LOG:
        folder.log(frames=frames, seconds=float(seconds), score=score, episodes=100)
    weights = A2C.new_network(6).state_dict()
    for index, frames in enumerate(KEPT):
        weights["head.output.bias"].fill_(index)
        folder.save(frames, weights, {})
    return path


@pytest.fixture
def zoo(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Zoo:
    """Runs `atari-zoo` here; gives the exit status, and what was printed and complained of."""

    def run_here(*words: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["atari-zoo", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            main()
        return int(stopped.value.code or 0), *capsys.readouterr()

    return run_here


def test_what_is_picked(run: Path, tmp_path: Path) -> None:
    rows = freeze(run, tmp_path, HOURS, FRAMES)
    assert {row.tag: row.checkpoint and row.checkpoint.frames for row in rows} == PICKED
    assert [row.tag for row in rows] == list(PICKED)
    written = {f"a2c-Pong-3@{tag}.onnx" for tag, at in PICKED.items() if at is not None}
    assert {file.name for file in tmp_path.iterdir()} == written
    for row in rows:
        if row.file is not None and row.checkpoint is not None:
            bias = to_torch(row.file).state_dict()["head.output.bias"]
            assert bias.tolist() == [KEPT.index(row.checkpoint.frames)] * 6, row.tag


def test_the_card_is_complete(run: Path, tmp_path: Path) -> None:
    rows = {row.tag: row for row in freeze(run, tmp_path, [1], [])}
    assert list(rows) == ["initial", "1HR", "human", "final"]
    card = to_torch(rows["1HR"].file).card
    assert card.name == "a2c/Pong/3@1HR" and card.frames == 100 * M
    assert card.preprocessing == CONFIG.preprocessing and card.action_rule == "sample"
    assert card.action_meanings == game("Pong").actions
    assert card.scores == {"mean": -5.0, "measured": "while training"}
    weights = Path(rows["1HR"].checkpoint.path)
    assert not trained_agent(run, weights).training
    assert trained_agent(run, weights, "7").card.name == "a2c/Pong/7"
    assert to_torch(rows["initial"].file).card.scores == {}  # the log begins later


def test_half_the_bytes(run: Path, tmp_path: Path) -> None:
    (*_, last) = freeze(run, tmp_path, [], [])
    assert last.file.stat().st_size < 2.1 * sum(
        weight.numel() for weight in A2C.new_network(6).parameters()
    )


def test_without_a_log_frames_alone_are_known(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "copy", ignore=shutil.ignore_patterns("log.jsonl"))
    rows = freeze(copy, hours=HOURS, frames=FRAMES)
    unknown = ("1HR", "2HR", "3.1HR", "human")
    expected = PICKED | dict.fromkeys(unknown)
    assert {row.tag: row.checkpoint and row.checkpoint.frames for row in rows} == expected
    assert rows[-1].file == copy.resolve() / "frozen" / "a2c-Pong-3@final.onnx"


def test_human_level_is_unknown_in_a_game_that_nobody_measured() -> None:
    kept = [Checkpoint("1", 1, score=1e9)]
    assert game("Adventure").human is None
    log = pandas.DataFrame()
    assert criteria("Adventure")["human"](kept, log) is None
    assert criteria("")["human"](kept, log) is None
    assert criteria("Pong")["human"](kept, log) == kept[0]


@pytest.mark.parametrize(
    "frames, tag",
    [(10**9, "1B"), (4 * 10**8, "400M"), (2_500_000, "2.5M"), (40_000, "40k"), (999, "999")],
)
def test_tags_of_frames(frames: int, tag: str) -> None:
    assert shortened(frames) == tag


def test_a_run_of_dopamine(tmp_path: Path) -> None:
    """Its last checkpoints of 1 million frames each, the scores in its own log."""
    folder = tmp_path / "dqn" / "Pong" / "5"
    data = write_dopamine(folder, list(range(12)))
    (folder / "checkpoints").mkdir()
    module = DopamineDense(widths=(8, 12, 10), units=24)
    params = {kept: parameters(module, seed=kept) for kept in (9, 10, 11)}
    for kept in params:
        bundle = dopamine_bundle(params[kept], training_steps=250_000 * (kept + 1) + 99)
        (folder / "checkpoints" / f"ckpt.{kept}").write_bytes(dopamine_pickle(bundle))
        (folder / "checkpoints" / f"sentinel_checkpoint_complete.{kept}").touch()
    scores = {n: np.mean(data[f"iteration_{n}"]["train_episode_returns"]) for n in params}
    human = next(n for n in params if scores[n] >= 14.6)

    rows = {row.tag: row for row in freeze(folder, tmp_path / "out", [], [5 * M, 11 * M])}
    picked = {tag: row.checkpoint and row.checkpoint.frames for tag, row in rows.items()}
    assert picked == {
        "initial": None,
        "5M": None,  # of those only the log tells
        "11M": 11 * M,
        "human": (human + 1) * M,
        "final": 12 * M,
    }
    frozen = to_torch(rows["11M"].file)
    assert (frozen.card.name, frozen.card.frames) == ("dqn/Pong/5@11M", 11 * M)
    assert frozen.card.scores["mean"] == scores[10]
    assert frozen.card.preprocessing == PREPROCESSINGS["dopamine"]
    seen = observations().numpy()
    with torch.no_grad():
        found = frozen(torch.from_numpy(seen)).numpy()
    # weights of 11 bits, so that values near 1 differ in the fourth digit
    np.testing.assert_allclose(found, dopamine_outputs(module, params[10], seen), atol=5e-3)


@pytest.mark.parametrize("inside", ["", "checkpoints"])
def test_a_run_of_stable_baselines3(tmp_path: Path, inside: str) -> None:
    """Zips as its CheckpointCallback names them, beside its Monitor's log."""
    from stable_baselines3.common.callbacks import CheckpointCallback

    folder = tmp_path / "a2c" / "PongNoFrameskip-v4_2"
    folder.mkdir(parents=True)
    write_monitors(folder)
    log = training_log(folder)
    models = {}
    for seed, frames in enumerate((4000, 8000, 12000)):
        models[frames] = sb3_model("A2C", widths=(8, 8, 8), units=16, seed=seed)
        callback = CheckpointCallback(1, str(folder / inside))
        callback.init_callback(models[frames])
        callback.num_timesteps = frames // 4
        models[frames].save(callback._checkpoint_path(extension="zip"))
    rows = {row.tag: row for row in freeze(folder, tmp_path / "out", [], [8000])}
    picked = {tag: row.checkpoint and row.checkpoint.frames for tag, row in rows.items()}
    assert picked == {"initial": None, "8k": 8000, "human": None, "final": 12000}
    frozen = to_torch(rows["8k"].file)
    assert (frozen.card.name, frozen.card.frames) == ("a2c/Pong/2@8k", 8000)
    assert rows["8k"].checkpoint.score == log["score"][log["frames"] <= 8000].iloc[-1]
    seen = observations()
    with torch.no_grad():
        expected = models[8000].policy.get_distribution(seen).distribution.logits
        found = frozen(seen)
    # the logits of a distribution have their softmax's logarithm taken; weights are of 11 bits
    torch.testing.assert_close(found.log_softmax(1), expected, atol=5e-3, rtol=0)


def test_the_command_line(run: Path, tmp_path: Path, zoo: Zoo) -> None:
    words = [
        "freeze",
        run,
        "-o",
        tmp_path / "frozen",
        "--at-hours",
        "1,10",
        "--at-frames",
        "220M, 1B",
    ]
    status, shown, _ = zoo(*words)
    assert status == 0
    lines = [line for line in shown.splitlines() if "not reached" in line]
    assert ["10HR" in lines[0], "1B" in lines[1]] == [True, True] and len(lines) == 3
    assert "200,000,000" in shown and "2.03" in shown and "12.0" in shown

    told = json.loads(zoo(*words, "--json", "--force")[1])
    rows = {row["tag"]: row for row in told["frozen"]}
    assert told["run"] == str(run) and list(rows) == "initial 1HR 10HR 220M 1B human final".split()
    assert rows["10HR"] == dict.fromkeys(rows["10HR"]) | {"tag": "10HR"}
    assert rows["220M"]["frames"] == 200 * M and rows["220M"]["score"] == 12.0
    assert rows["220M"]["hours"] == pytest.approx(7300 / 3600)
    assert (rows["initial"]["hours"], rows["initial"]["score"]) == (None, None)
    assert json.loads(zoo("info", rows["human"]["file"], "--json")[1])["name"] == (
        "a2c/Pong/3@human"
    )


def test_the_verb_explains_itself(zoo: Zoo) -> None:
    status, shown, _ = zoo("freeze", "--help")
    assert status == 0 and "$ atari-zoo freeze" in shown


def damaged(name: str, content: bytes | None):
    """A run's copy with a file of other content, or without it."""

    def make(run: Path, place: Path) -> Path:
        copy = shutil.copytree(run, place / "run")
        (copy / name).unlink()
        if content is not None:
            (copy / name).write_bytes(content)
        return copy

    return make


def empty(run: Path, place: Path) -> Path:
    (place / "run").mkdir()
    return place / "run"


def another_game(run: Path, place: Path) -> Path:
    copy = shutil.copytree(run, place / "run")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"rom": "breakout"}))
    return copy


BAD = {
    "no folder": (lambda run, place: place / "none", "no such folder; give a run's"),
    "a file": (lambda run, place: run / "config.json", "no such folder; give a run's"),
    "no run": (empty, "no checkpoints in it"),
    "no configuration": (damaged("config.json", None), "the configuration .* was expected"),
    "cut configuration": (damaged("config.json", b'{"rom'), "the configuration .* was expected"),
    "another's": (damaged("config.json", b'{"env": 1}'), r"config.json: no configuration"),
    "a list": (damaged("config.json", b"[]"), "an object was expected, not list"),
    "cut log": (damaged("log.jsonl", b'{"frames": 1, "score": 1}\n{"fra\n{}\n'), "damaged JSON"),
    "cut weights": (
        damaged(f"checkpoints/{300 * M:012d}.safetensors", b"\x00" * 10),
        "300000000.safetensors: not the weights of a2c in Pong, or damaged",
    ),
    "another game": (another_game, "not the weights of a2c in Breakout"),
}


@pytest.mark.parametrize("case", BAD)
def test_mistakes_are_one_line(run: Path, tmp_path: Path, case: str) -> None:
    make, message = BAD[case]
    place = make(run, tmp_path)
    with pytest.raises(ValueError, match=rf"^[^\n]*{message}[^\n]*$") as caught:
        freeze(place, tmp_path / "out")
    assert str(place) in str(caught.value)


@pytest.mark.parametrize(
    "words, message",
    [
        (["--at-hours", "soon"], "'soon' is no number above 0"),
        (["--at-frames", "1M,-5M"], "'-5M' is no number above 0"),
        (["--at-hours", "inf"], "'inf' is no number above 0"),
        ([], "no such folder"),
    ],
)
def test_the_command_line_names_mistakes(
    tmp_path: Path, zoo: Zoo, words: list[str], message: str
) -> None:
    status, _, complaint = zoo("freeze", tmp_path / "none", *words)
    assert status == 2 and message in complaint and complaint.count("\n") == 1
