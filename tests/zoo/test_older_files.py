"""Files that version 0.1.0 wrote, against what it read of them itself."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import atari_zoo as zoo
from atari_zoo.logs.checkpoint_files import folder_checkpoints
from atari_zoo.training.freeze import freeze
from atari_zoo.training.trained_agents import trained_agent

OLDER = Path(__file__).parents[1] / "older"


def unpacked(name: str, folder: Path) -> Path:
    with zipfile.ZipFile(OLDER / f"{name}.zip") as archive:
        archive.extractall(folder / name)
    return folder / name


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    with np.load(OLDER / "expected.npz") as arrays:
        return dict(arrays)


def test_a_recording_reads_the_same(tmp_path, expected):
    recording = zoo.open_recording(unpacked("play.zarr", tmp_path))
    for name in ("actions", "rewards", "ram"):
        np.testing.assert_array_equal(getattr(recording, name), expected[name], err_msg=name)
    np.testing.assert_array_equal(recording.frames[::8], expected["frames"])
    np.testing.assert_array_equal(recording.activations["fc"], expected["fc"])
    np.testing.assert_array_equal(recording.observations(1)[::8], expected["observations"])
    assert recording.card.name == "a2c/Breakout/7" and recording.game == "Breakout"


def test_an_agent_computes_and_plays_the_same(expected):
    network = zoo.load(OLDER / "agent.onnx")
    assert network.card.scores == {"mean": 1.5} and network.card.action_rule == "sample"
    keep = ["screens"]
    play = zoo.rollout(network, steps=24, envs=2, seed=3, keep=keep)
    np.testing.assert_array_equal(play.actions, expected["actions"])
    with torch.no_grad():
        outputs = network(torch.cat([play.observations(env) for env in range(2)]))
    # float32 sums, perhaps in another order
    np.testing.assert_allclose(outputs, expected["outputs"], atol=1e-5)


def test_a_run_is_read(tmp_path):
    run = unpacked("run", tmp_path)
    found = sorted(folder_checkpoints(run), key=lambda checkpoint: checkpoint.frames)
    assert [checkpoint.frames for checkpoint in found] == [0, 400, 800]
    log = zoo.training_log(run)
    assert log["frames"].tolist() == [200, 400, 600, 800]  # one row each 200 frames
    agent = trained_agent(run, Path(found[-1].path))
    assert agent.card.name == "a2c/Pong/1" and agent.card.frames == 800
    assert all((weight == 0.08).all() for weight in agent.parameters())
    rows = freeze(run, tmp_path / "frozen", hours=(), frames=(400,))
    assert any(row.file for row in rows)


def test_a_cached_model_is_neither_fetched_nor_converted_again(tmp_path, monkeypatch):
    monkeypatch.setenv("ATARI_ZOO_CACHE", str(unpacked("cache", tmp_path)))
    monkeypatch.setenv("ATARI_ZOO_OFFLINE", "1")
    (made,) = tmp_path.rglob("model.onnx")
    os.utime(made)  # it was made after the file was fetched; the archive does not tell
    before = made.stat().st_mtime_ns
    network = zoo.load("uber:a2c/Pong/2@400M")
    assert network.card.name == "uber:a2c/Pong/2@400M" and network.actions == 6
    assert made.stat().st_mtime_ns == before
