"""A recording that the first version of its format wrote opens, and its play goes on.

`old_recording.zip` was written by `rollout` with the options `HOW`, before recordings' arrays and
a rollout's options were declared once each.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import torch

import atari_zoo as zoo

FILE = Path(__file__).with_name("old_recording.zip")
HOW = {
    "envs": 2,
    "seed": 3,
    "keep": ["frames", "ram", "screens", "outputs", "probabilities", "executed"],
    "layers": ["conv3", "fc"],
    "noise": zoo.Noise(actions=0.25),
    "difficulty": 1,
}
EXACT = "actions executed rewards terminated truncated starts lives scores ram raw_frames screens"


def same(found: zoo.Recording, expected: zoo.Recording, steps: int) -> None:
    assert found.card == expected.card and found.preprocessing == expected.preprocessing
    assert (found.game, found.seed) == ("Pong", 3) and len(found.starts) == steps
    for name in EXACT.split():
        array = np.asarray(getattr(found, name)[:])
        np.testing.assert_array_equal(array, getattr(expected, name)[:steps], err_msg=name)
    np.testing.assert_array_equal(found.frames[:], expected.frames[:steps])
    # float32 sums, in an order that the machine chooses; half precision has 11 bits
    np.testing.assert_allclose(found.outputs[:], expected.outputs[:steps], atol=1e-4)
    np.testing.assert_allclose(found.probabilities[:], expected.probabilities[:steps], atol=1e-4)
    for layer in HOW["layers"]:
        kept, made = found.activations[layer][:], expected.activations[layer][:steps]
        np.testing.assert_allclose(kept, made, rtol=2e-3, atol=1e-3)
    assert torch.equal(found.observations(1), expected.observations(1)[:steps])


def test_it_opens_and_the_same_seed_still_plays_it() -> None:
    same(zoo.open_recording(FILE), zoo.rollout(zoo.load("a2c/Pong/1"), steps=8, **HOW), 8)


def test_its_play_goes_on(tmp_path: Path) -> None:
    network, path = zoo.load("a2c/Pong/1"), tmp_path / "play.zarr"
    with zipfile.ZipFile(FILE) as archive:
        archive.extractall(path)
    longer = zoo.rollout(network, steps=70, path=path, resume=True, **HOW)
    same(longer, zoo.rollout(network, steps=70, **HOW), 70)
