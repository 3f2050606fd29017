"""Chainer's files, laid out as its serializers do, against the same networks in torch."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from architectures import observations
from chainer_files import chainer_link, save_chainer

from atari_zoo.converters import ConversionError, MnihNetwork, to_torch
from atari_zoo.converters.convert import read
from atari_zoo.converters.weights.state_dicts import network_from_state_dict

KINDS = {
    "dqn": ("unknown", "q"),  # told by shapes alone
    "dueling": ("dqn", "dueling"),
    "a3c": ("unknown", "actor-critic"),
    "rainbow": ("rainbow", "categorical"),
    "rainbow without noise": ("rainbow", "categorical"),
}


@pytest.mark.parametrize("ending", [".h5", ".npz"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_links_arrays_give_its_outputs(tmp_path: Path, kind: str, ending: str) -> None:
    path, seen = save_chainer(tmp_path / f"model{ending}", kind), observations()
    found = to_torch(path)
    assert isinstance(found, MnihNetwork) and found.card.format == "chainer"
    assert (found.card.algorithm, found.head.kind) == KINDS[kind]
    with torch.no_grad():
        expected = chainer_link(kind)(seen / 255.0)
    torch.testing.assert_close(found(seen), expected, atol=1e-5, rtol=1e-5)


def test_the_snapshot_of_a_trainer(tmp_path: Path) -> None:
    path = save_chainer(tmp_path / "a.npz", prefix="updater/model:main/")
    with np.load(path) as arrays:
        content = dict(arrays) | {"updater/optimizer:main/t": np.array(3)}
    np.savez(path, **content)
    seen = observations()
    with torch.no_grad():
        expected = chainer_link()(seen / 255.0)
    torch.testing.assert_close(to_torch(path)(seen), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["rainbow", "rainbow without noise", "dueling"])
def test_pfrls_state_dicts_have_the_same_names(kind: str) -> None:
    link, seen = chainer_link(kind), observations()
    found = network_from_state_dict(link.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(found(seen), link(seen / 255.0), atol=1e-5, rtol=1e-5)


def test_other_links_are_refused(tmp_path: Path) -> None:
    path = save_chainer(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file["2/lateral/W"], file["2/upward/W"] = np.zeros((4, 4)), np.zeros((4, 4))
    with pytest.raises(ConversionError, match=r"'2\.lateral' \(4, 4\)|2\.lateral"):
        read(path)
    with h5py.File(path, "w") as file:
        file["0/W"] = np.zeros((3, 3), "S3")
    with pytest.raises(ConversionError, match="texts where numbers were expected"):
        read(path)
    with h5py.File(path, "w") as file:
        file["anything"] = np.zeros(3)
    with pytest.raises(ConversionError, match="not a model file of a known kind"):
        read(path)
