"""A published agent of every collection, all the way: served, fetched, converted, played."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from dopamine_files import save_agent
from frozen_graphs import a2c, dqn
from served import Served
from torch_zoo_files import save_atari_agents, save_cleanrl, save_sb3

import atari_zoo as zoo
from atari_zoo.catalog.catalog import find
from atari_zoo.catalog.conversions import MODEL_FILE
from atari_zoo.converters.convert import read, to_torch, written
from atari_zoo.converters.interchange import load_onnx, read_card

SIZES = {"widths": (8, 8, 8), "units": 16}


def _written(save: Callable[..., object], name: str, **more: object) -> bytes:
    with TemporaryDirectory() as folder:
        save(Path(folder) / name, **SIZES, **more)
        return (Path(folder) / name).read_bytes()


def _dopamine() -> list[bytes]:
    with TemporaryDirectory() as folder:
        save_agent(Path(folder) / "tf_ckpt-199", **SIZES)
        parts = ("index", "data-00000-of-00001")
        return [(Path(folder) / f"tf_ckpt-199.{part}").read_bytes() for part in parts]


def _jax() -> list[bytes]:
    import jax_files

    params = jax_files.parameters(jax_files.DopamineDense(**SIZES))
    return [jax_files.dopamine_pickle(jax_files.dopamine_bundle(params, "C"))]


# a model of every collection, and what is at its addresses; all play Pong, which has 6 actions
PUBLISHED: dict[str, Callable[[], list[bytes]]] = {
    "uber:a2c/Pong/2@400M": lambda: [a2c(**SIZES).data],
    "dopamine-lucid:dqn/Pong/1": lambda: [dqn(**SIZES).data],
    "dopamine:dqn/Pong/3": _dopamine,
    "dopamine-jax:dqn/Pong/1": _jax,
    "sb3:a2c/Pong/1": lambda: [_written(save_sb3, "a.zip", algorithm="A2C")],
    "cleanrl:dqn/Pong/1": lambda: [_written(save_cleanrl, "a.cleanrl_model", kind="dqn")],
    "atari-agents:dqn/Pong/0": lambda: [_written(save_atari_agents, "model_50000000.gz")],
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ATARI_ZOO_CACHE", str(tmp_path / "cache"))
    for name in ("ATARI_ZOO_OFFLINE", "ATARI_ZOO_CATALOG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache"


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_agent_goes_all_the_way(
    name: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = find(name)
    contents = PUBLISHED[name]()
    assert len(entry.files) == len(contents), [file.place for file in entry.files]
    files = {f"/{f.place}": data for f, data in zip(entry.files, contents, strict=True)}
    with Served(files) as server:
        monkeypatch.setenv("ATARI_ZOO_MIRROR", server.url)
        network = zoo.load(name)
        asked = len(server.requests)
        again = zoo.load(name)
        assert len(server.requests) == asked  # the cache has it
    card = network.card
    assert card.name == entry.card.name and card.collection == name.split(":")[0]
    assert card.source == Path(entry.files[0].place).name and card.verified["difference"] < 1e-4
    assert card.action_meanings == zoo.game("Pong").actions
    seen = torch.randint(0, 256, (2, 4, 84, 84), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(network(seen), again(seen))
    played = zoo.rollout(network, steps=4, envs=2, seed=0)
    assert played.game == "Pong"


def test_the_conversion_is_made_once_and_again_when_the_file_changes(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "uber:a2c/Pong/2@400M"
    entry = find(name)
    with Served({f"/{entry.files[0].place}": a2c(**SIZES).data}) as server:
        monkeypatch.setenv("ATARI_ZOO_MIRROR", server.url)
        zoo.load(name)
    made = entry.folder / MODEL_FILE
    first = made.read_bytes()
    zoo.load(name)
    assert made.read_bytes() == first
    assert read_card(load_onnx(made)) == zoo.load(name).card
    entry.path.write_bytes(a2c(**SIZES, seed=5).data)
    monkeypatch.setenv("ATARI_ZOO_OFFLINE", "1")
    changed = zoo.load(name)
    expected = to_torch(written(read(entry.path)))
    seen = torch.randint(0, 256, (2, 4, 84, 84), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(changed(seen), expected(seen))
    assert made.read_bytes() != first


def test_an_agent_of_another_game_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "uber:a2c/Seaquest/1@final"
    entry = find(name)
    with Served({f"/{entry.files[0].place}": a2c(**SIZES).data}) as server:
        monkeypatch.setenv("ATARI_ZOO_MIRROR", server.url)
        with pytest.raises(ValueError, match="has 6 actions, but Seaquest has 18"):
            zoo.load(name)
    assert not (entry.folder / MODEL_FILE).exists()
