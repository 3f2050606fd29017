"""A published agent of every collection, all the way: served, fetched, converted, played."""

from __future__ import annotations

import errno
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from dopamine_files import save_agent
from frozen_graphs import a2c, dqn
from served import Served
from torch_zoo_files import save_atari_agents, save_cleanrl, save_sb3

import atari_zoo as zoo
from atari_zoo.catalog.catalog import find
from atari_zoo.catalog.conversions import MODEL_FILE
from atari_zoo.catalog.fetching import fetch_all, wanted_files
from atari_zoo.converters.convert import read, to_torch, written
from atari_zoo.converters.errors import ConversionError
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


def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    row = {"name": "lab:dqn/Pong/7", "urls": [url]}
    (tmp_path / "catalogue.json").write_text(json.dumps([row]))
    monkeypatch.setenv("ATARI_ZOO_CATALOG", str(tmp_path / "catalogue.json"))


def test_what_never_was_a_model_is_not_kept(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A portal answers in the file's place; once it is gone, there is nothing to clear away."""
    model = _written(save_cleanrl, "a.cleanrl_model", kind="dqn")
    with Served({"/pong.cleanrl_model": b"<html>Please sign in</html>"}) as server:
        catalogue(tmp_path, monkeypatch, f"{server.url}/pong.cleanrl_model")
        with pytest.raises(ValueError, match="a web page, not a model"):
            zoo.load("lab:dqn/Pong/7")
        server.files["/pong.cleanrl_model"] = b"busy, please come back"
        with pytest.raises(ConversionError, match="what was fetched is not kept"):
            zoo.load("lab:dqn/Pong/7")
        assert not [*cache.rglob("pong*")]
        server.files["/pong.cleanrl_model"] = model
        assert zoo.load("lab:dqn/Pong/7").actions == 6
        # and once it was one, another content is told, not taken
        find("lab:dqn/Pong/7").path.unlink()
        server.files["/pong.cleanrl_model"] = model[:-1] + b"x"
        with pytest.raises(ValueError, match="sha256 expected"):
            zoo.load("lab:dqn/Pong/7")


def test_what_somebody_damaged_later_is_left_to_them(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Served({"/m": _written(save_cleanrl, "a.cleanrl_model", kind="dqn")}) as server:
        catalogue(tmp_path, monkeypatch, f"{server.url}/m")
        zoo.load("lab:dqn/Pong/7")
        entry = find("lab:dqn/Pong/7")
        entry.path.write_bytes(b"an editor's mistake")
        with pytest.raises(ConversionError) as caught:
            zoo.load("lab:dqn/Pong/7")
    assert "not kept" not in str(caught.value) and entry.path.exists()


def test_a_cache_that_is_only_to_be_read(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a cluster's shared disk; what root may write all the same is made to refuse."""
    with Served({"/m": _written(save_cleanrl, "a.cleanrl_model", kind="dqn")}) as server:
        catalogue(tmp_path, monkeypatch, f"{server.url}/m")
        for _ in fetch_all(wanted_files([find("lab:dqn/Pong/7")])):
            pass
    made = tempfile.mkstemp

    def refuses(*words: Any, dir: Any = None, **more: Any) -> Any:
        if dir is not None and Path(dir).is_relative_to(cache):
            raise PermissionError(errno.EACCES, "Permission denied", str(dir))
        return made(*words, dir=dir, **more)

    monkeypatch.setattr(tempfile, "mkstemp", refuses)
    before = sorted(cache.rglob("*"))
    assert zoo.load("lab:dqn/Pong/7").actions == 6
    (cache / "index.json").unlink()  # a cache that somebody copied by hand
    assert zoo.load("lab:dqn/Pong/7").actions == 6
    left = sorted(path for path in before if path.name != "index.json")
    assert sorted(cache.rglob("*")) == left
