"""Sweeps: every task once, whoever does them, whatever fails or dies on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from threading import Thread, Timer
from typing import Any

import numpy as np
import pytest
from distributed import LocalCluster
from typer.testing import CliRunner

import atari_zoo as zoo
from atari_zoo.cli.app import app
from atari_zoo.sweeps import runners
from atari_zoo.sweeps.jobs import jobs
from atari_zoo.sweeps.sweeps import sweep

TESTS = str(Path(__file__).parents[1])
MODELS = [
    "a2c/Pong/1", "apex/Pong/1", "dqn/Seaquest/1", "es/Seaquest/1", "ga/Seaquest/1",
    "rainbow/Seaquest/1",
]  # fmt: skip
# raised within distributed, as its workers are killed or ended
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


@pytest.fixture
def marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder; and workers that find the tests' jobs."""
    monkeypatch.setenv("PYTHONPATH", TESTS)
    monkeypatch.syspath_prepend(TESTS)
    (tmp_path / "marks").mkdir()
    return tmp_path / "marks"


def begun(marks: Path) -> Counter[tuple[str, str]]:
    """How often each model and seed was begun."""
    return Counter(
        (words[0], words[1])
        for path in marks.iterdir()
        if len(words := path.read_text().split()) == 3
    )


@pytest.fixture
def cluster(marks: Path):
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        yield cluster


def check(done, place: Path, pairs) -> None:
    """All results, once each, and each as a rollout of its own gives it."""
    assert not done.failed
    found = [(o.task.model, o.task.seed) for o in done.outcomes]
    assert found == pairs
    files = sorted(path.relative_to(place).as_posix() for path in place.rglob("result.json"))
    names = {f"{m.replace('/', '-')}/seed-{s}/result.json" for m, s in pairs}
    assert set(files) == names and len(files) == len(pairs)
    assert not list(place.glob(".unfinished-*"))
    for outcome in done.outcomes[::5]:
        network = zoo.load(outcome.task.model)
        expected = zoo.rollout(network, steps=5, envs=1, seed=outcome.task.seed, keep=["outputs"])
        actions = (place / outcome.task.name / "actions.txt").read_text().split()
        assert list(map(int, actions)) == expected.actions[:, 0].tolist()
        assert outcome.result["best"] == pytest.approx(float(expected.outputs.max()), abs=1e-4)


def test_a_worker_killed_on_a_cluster_loses_nothing(marks, cluster, tmp_path):
    place, done = tmp_path / "out", []
    settings = {"marks": str(marks), "pause": 0.3}

    def run() -> None:
        done.append(
            sweep(
                "sweep_jobs:play",
                MODELS,
                place,
                [0, 1],
                settings,
                scheduler=cluster.scheduler_address,
            )
        )

    thread = Thread(target=run)
    thread.start()
    patience = time.monotonic() + 120
    while len(list(place.rglob("result.json"))) < 4 and time.monotonic() < patience:
        time.sleep(0.05)
    victim = next(iter(cluster.workers.values())).pid
    os.kill(victim, signal.SIGKILL)
    thread.join(timeout=180)
    check(done[0], place, [(model, seed) for model in MODELS for seed in (0, 1)])
    processes = {outcome.result["process"] for outcome in done[0].outcomes}
    assert len(processes) >= 2
    assert len(begun(marks)) == 12


def test_processes_that_die_are_begun_anew(marks, tmp_path):
    settings = {"marks": str(marks)}
    done = sweep("sweep_jobs:dies", ["a2c/Pong/1"], tmp_path / "out", range(4), settings, workers=2)
    results = [outcome.result for outcome in done.outcomes]
    assert results == [{"seed": 0}, {"seed": 1}, None, {"seed": 3}]
    assert done.failed[0].error == "its process died"


def test_a_cluster_without_workers_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(runners, "PATIENCE", 1.0)
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=None) as empty,
        pytest.raises(OSError, match=r"scheduler at inproc.* has no workers; start some, such as"),
    ):
        sweep("score", ["a2c/Pong/1"], tmp_path / "out", scheduler=empty.scheduler_address)


def test_a_scheduler_that_dies_is_missed(marks, tmp_path):
    settings = {"marks": str(marks), "pause": 60.0}
    scheduler = subprocess.Popen(
        [sys.executable, "-m", "dask", "scheduler", "--host", "127.0.0.1", "--no-dashboard"]
        + ["--port", "0", "--scheduler-file", str(tmp_path / "address.json")]
    )
    patience = time.monotonic() + 60
    while not (tmp_path / "address.json").exists() and time.monotonic() < patience:
        time.sleep(0.1)
    time.sleep(0.5)  # until it is written
    address = json.loads((tmp_path / "address.json").read_text())["address"]
    Timer(3, scheduler.kill).start()
    with pytest.raises(OSError, match=f"the Dask scheduler at {address} went away; sweep again"):
        sweep("sweep_jobs:play", MODELS, tmp_path / "out", [0], settings, scheduler=address)
    scheduler.wait()


def test_what_is_done_is_not_done_again(marks, tmp_path):
    settings, place = {"marks": str(marks)}, tmp_path / "out"
    models = ["a2c/Pong/1", "ga/Seaquest/1"]
    first = sweep("sweep_jobs:fails", models, place, range(3), settings, retries=2)
    errors = [outcome.error for outcome in first.outcomes]
    assert errors == ["", "the disk | went away", "no such thing"] * 2
    assert [outcome.attempts for outcome in first.outcomes] == [1, 3, 1] * 2
    report = (place / "report.md").read_text()
    assert report == first.report() and report.count("\n") == 8
    assert "| a2c/Pong/1 | 1 |" in report and "the disk / went away |" in report
    (marks / "mended").write_text("")
    second = sweep("sweep_jobs:fails", models, place, range(3), settings)
    assert [outcome.attempts for outcome in second.outcomes] == [0, 1, 1] * 2
    assert len(second.failed) == 2 and "was there" in second.report()
    assert begun(marks) == {
        (model, seed): count for model in models for seed, count in (("0", 1), ("1", 4), ("2", 2))
    }


def test_the_zoos_own_jobs_in_processes(tmp_path):
    place = tmp_path / "out"
    settings = {"steps": 12, "keep": ["ram", "outputs"]}
    done = sweep("record", ["a2c/Pong/1", "apex/Pong/1"], place, [3], settings, workers=2)
    assert not done.failed
    for model in ("a2c/Pong/1", "apex/Pong/1"):
        kept = zoo.open_recording(place / model.replace("/", "-") / "seed-3" / "play.zarr")
        played = zoo.rollout(zoo.load(model), steps=12, envs=1, seed=3, keep=["ram"])
        np.testing.assert_array_equal(kept.ram[:], played.ram)
        assert kept.activations["fc"].shape == (12, 1, 512)
    settings = {"kind": "actions", "levels": [0.0, 1.0], "episodes": 1, "envs": 1}
    noisy = sweep("noise", ["es/Seaquest/1"], tmp_path / "noise", settings=settings)
    steady, random = noisy.outcomes[0].result["means"]
    assert steady > 200 > 150 > random
    settings = {"objective": "output:0..1", "steps": 8, "play": 6}
    images = sweep("maximize", ["a2c/Pong/1"], tmp_path / "images", settings=settings)
    assert images.outcomes[0].result["percentiles"] == [100.0, 100.0]
    kept = np.load(tmp_path / "images/a2c-Pong-1/seed-0/images.npz")["images"]
    assert kept.shape == (2, 4, 84, 84)
    assert {"record", "score", "noise", "maximize"} <= set(jobs())


def test_patterns_and_paths(marks, tmp_path, random_agent):
    from atari_zoo.converters.export.graph import network_to_onnx
    from atari_zoo.converters.interchange import save_onnx

    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        save_onnx(network_to_onnx(random_agent("Pong")), tmp_path / folder / "mine.onnx")
    mine = [tmp_path / "a/mine.onnx", tmp_path / "b/mine.onnx"]
    models = ["?2c/Pong/*", "a2c/Pong/*@*", *mine, "a2c/pong/1"]
    done = sweep("sweep_jobs:play", models, tmp_path / "out", settings={"marks": str(marks)})
    names = [outcome.task.name for outcome in done.outcomes]
    every = [f"a2c-Pong-1{tag}/seed-0" for tag in ("", "@initial")]
    assert names == [*every, "mine/seed-0", "mine~2/seed-0"]


@pytest.mark.parametrize(
    "words, message",
    [
        (["scoer", "--models", "a2c/Pong/1"], "no job 'scoer'; there are "),
        (["no_module:f", "--models", "a2c/Pong/1"], "no job 'no_module:f'"),
        (["score", "--models", "a2c/Pnog/1"], "did you mean 'a2c/Pong/1'"),
        (["score", "--models", "*/Pnog/*"], "no model's name is like '*/Pnog/*'"),
        (["score", "--models", "a2c/Pong/1", "--set", "step=3"], "no setting 'step'; it has epis"),
        (["score", "--models", "a2c/Pong/1", "--set", "x"], "--set takes NAME=VALUE, such as st"),
    ],
)
def test_mistakes_are_explained(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["sweep", *words])
    assert isinstance(result.exception, ValueError) and message in str(result.exception)
    assert not list(tmp_path.iterdir())


def test_another_sweep_is_not_mixed_in(tmp_path):
    place = tmp_path / "out"
    settings = {"episodes": 1, "envs": 1}
    words = ["sweep", "score", "--models", "es/Seaquest/1", "-o", str(place), "--json"]
    words += [f"--set={name}={value}" for name, value in settings.items()]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    assert told["result"]["episodes"] == 1 and told["result"]["mean"] > 150
    again = CliRunner().invoke(app, words)
    assert json.loads(again.output)["attempts"] == 0
    with pytest.raises(ValueError, match="another sweep is there, score with"):
        sweep("score", ["es/Seaquest/1"], place, settings={"episodes": 2})


@pytest.mark.parametrize("setting", [{"steps": -1}, {"envs": 0}, {"keep": ["sound"]}])
def test_settings_that_make_no_plan_are_told_before_the_work(tmp_path: Path, setting: Any) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(setting))}"):
        sweep("score", ["a2c/Pong/1"], tmp_path / "out", settings=setting)
    assert not (tmp_path / "out").exists()
