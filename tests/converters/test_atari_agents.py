"""The gzipped models of floringogianu/atari-agents, against a module with its arithmetic."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
import torch
from architectures import observations
from torch_zoo_files import atari_agents_model, save_atari_agents

from atari_zoo.converters import ConversionError, MnihNetwork, to_torch
from atari_zoo.converters.convert import read
from atari_zoo.converters.formats.atari_agents import LARGEST
from atari_zoo.converters.network.heads import CategoricalHead, QHead

SMALL: dict[str, Any] = {"widths": (4, 4, 4), "units": 8}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("distributional", [False, True], ids=["dqn", "c51"])
def test_its_models_give_their_own_outputs(
    tmp_path: Path, distributional: bool, legacy: bool
) -> None:
    path = save_atari_agents(tmp_path / "model_50000000.gz", distributional, legacy)
    source, seen = read(path), observations()
    assert isinstance(source.model, MnihNetwork)
    assert isinstance(source.model.head, CategoricalHead if distributional else QHead)
    with torch.no_grad():
        expected = atari_agents_model(distributional)(seen)
        torch.testing.assert_close(source.model(seen), expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(to_torch(path)(seen), expected, atol=1e-5, rtol=1e-5)


# folder, algorithm, tag, sticky actions, no-ops
KINDS = [
    ("DQN_classic_adam", "dqn", "", 0.0, 30),
    ("C51_classic", "c51", "", 0.0, 30),
    ("DQN_modern", "dqn", "", 0.25, 0),
    ("MDQN_modern", "dqn", "munchausen", 0.25, 0),
]


@pytest.mark.parametrize(("folder", "algorithm", "tag", "sticky", "noops"), KINDS)
def test_the_card_says_what_its_folders_tell(
    tmp_path: Path, folder: str, algorithm: str, tag: str, sticky: float, noops: int
) -> None:
    place = tmp_path / folder / "MsPacman" / "2" / "model_49750000.gz"
    card = read(save_atari_agents(place, folder.startswith("C51"), **SMALL)).card
    assert (card["algorithm"], card["tag"], card["action_rule"]) == (algorithm, tag, "argmax")
    assert (card["game"], card["run"], card["frames"]) == ("MsPacman", "2", 199_000_000)
    assert (card["preprocessing"].sticky, card["preprocessing"].noops) == (sticky, noops)
    assert not card["preprocessing"].fire_reset


@pytest.mark.parametrize(
    "place", ["model_1.gz", "DQN_modern/Pong/model_1.gz", "DQN_modern/Pong/1/last.gz"]
)
def test_other_folders_tell_nothing(tmp_path: Path, place: str) -> None:
    card = read(save_atari_agents(tmp_path / place, **SMALL)).card
    assert "game" not in card and "preprocessing" not in card and card["algorithm"] == "dqn"


def test_a_state_dict_without_a_checkpoint_around_it(tmp_path: Path) -> None:
    model, seen = atari_agents_model(True, **SMALL), observations()
    torch.save(model.state_dict(), tmp_path / "a.pt")
    (tmp_path / "a.gz").write_bytes(gzip.compress((tmp_path / "a.pt").read_bytes()))
    with torch.no_grad():
        for name in ("a.pt", "a.gz"):
            found = to_torch(tmp_path / name)(seen)
            torch.testing.assert_close(found, model(seen), atol=1e-5, rtol=1e-5)


def test_damaged_files_and_bombs_are_refused(tmp_path: Path) -> None:
    path = save_atari_agents(tmp_path / "a.gz", **SMALL)
    whole, start = path.read_bytes(), gzip.decompress(path.read_bytes())[:4096]
    path.write_bytes(whole[:-100])
    with pytest.raises(ConversionError, match="not a whole gzip file"):
        to_torch(path)
    bomb = gzip.compress(start + bytes(LARGEST), compresslevel=1)
    path.write_bytes(bomb)
    with pytest.raises(ConversionError, match=r"more than \d+ bytes when"):
        to_torch(path)
    path.write_bytes(gzip.compress(b"some text, " * 100))
    with pytest.raises(ConversionError, match="known kind"):
        to_torch(path)
