"""Activations that a recording leaves to its model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import atari_zoo as zoo
from atari_zoo.catalog.names import UnknownModel
from atari_zoo.converters import ConversionError

HOW = {"steps": 70, "envs": 2, "seed": 3, "keep": ["frames"]}


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_they_are_what_was_computed_while_it_played(tmp_path: Path) -> None:
    network = zoo.load("dqn/Seaquest/1")
    kept, left = tmp_path / "kept.zarr", tmp_path / "left.zarr"
    zoo.rollout(network, layers=["fc", "conv3"], path=kept, **HOW)
    zoo.rollout(network, recompute=["fc", "conv3"], path=left, **HOW)
    one, two = zoo.open_recording(kept), zoo.open_recording(left)
    for layer in ("fc", "conv3"):
        stored, made = one.activations[layer], two.activations[layer]
        assert made.shape == stored.shape and made.dtype == stored.dtype
        for index in (5, slice(60, 70), (slice(None), 1), (slice(3, 60, 7), slice(1)), [9, 2]):
            np.testing.assert_allclose(made[index], stored[index], rtol=2e-3, atol=2e-3)
    assert not (left / "activations").exists() and size(left) < size(kept)


def test_in_memory_and_saved_they_are_the_same(tmp_path: Path) -> None:
    played = zoo.rollout(zoo.load("a2c/Pong/1"), recompute=["fc"], **HOW)
    expected = np.asarray(played.activations["fc"])
    played.save(tmp_path / "saved.zarr")  # whole: nobody needs the model to read it
    assert (tmp_path / "saved.zarr" / "activations" / "fc").exists()
    saved = zoo.open_recording(tmp_path / "saved.zarr")
    # the same to the last bit of float16: sums depend on how many steps are computed at once
    np.testing.assert_allclose(saved.activations["fc"][:], expected, rtol=1e-3, atol=1e-6)


def test_what_cannot_be_computed_again_is_refused(random_agent) -> None:
    network = zoo.load("a2c/Pong/1")
    with pytest.raises(
        ValueError, match="without some frames or in fewer bits cannot be recomputed"
    ):
        zoo.rollout(network, recompute=["fc"], noise=zoo.Noise(0.1), **HOW)
    with pytest.raises(ValueError, match="keep 'screens' or 'frames' too"):
        zoo.rollout(network, recompute=["fc"], **HOW | {"keep": []})
    with pytest.raises(ValueError, match="no layer 'conv9'; this network has conv1, conv2"):
        zoo.rollout(network, recompute=["conv9"], **HOW)
    other = random_agent("Pong")
    with pytest.raises(ValueError, match="is called a2c/Pong/1, but is not what the zoo calls so"):
        zoo.rollout(other, recompute=["fc"], **HOW)
    other.card = other.card.replace(run="mine")
    with pytest.raises(UnknownModel):
        zoo.rollout(other, recompute=["fc"], **HOW)


def test_a_model_that_has_changed_since_is_told(tmp_path: Path) -> None:
    zoo.rollout(zoo.load("a2c/Pong/1"), recompute=["fc"], path=tmp_path / "play.zarr", **HOW)
    place = tmp_path / "play.zarr" / "zarr.json"
    told = json.loads(place.read_text())
    told["attributes"]["played"]["recompute"]["weights"] = "0" * 64
    place.write_text(json.dumps(told))
    damaged = tmp_path / "damaged.zarr"
    shutil.copytree(tmp_path / "play.zarr", damaged)
    told["attributes"]["played"]["recompute"] = ["fc"]
    (damaged / "zarr.json").write_text(json.dumps(told))
    with pytest.raises(ConversionError, match=r"damaged\.zarr: its attributes are damaged"):
        zoo.open_recording(damaged)
    recording = zoo.open_recording(tmp_path / "play.zarr")
    assert recording.actions.shape == (70, 2)  # the rest can be read
    with pytest.raises(ValueError, match="what a2c/Pong/1 now is did not play this"):
        recording.activations["fc"][0]
