"""Models of a Hub and a web server that stand on this machine, by their names and addresses."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from architectures import observations
from hub_server import Repository, SmallHub
from huggingface_hub import constants
from served import Served
from torch_zoo_files import cleanrl_model, sb3_model
from typer.testing import CliRunner

import atari_zoo as zoo
from atari_zoo.cli.app import app
from atari_zoo.converters import ConversionError
from atari_zoo.downloads.downloads import DownloadError
from atari_zoo.publishing import build_repository
from atari_zoo.remote.choosing import chosen_file, companions
from atari_zoo.remote.references import HubReference, hub_reference
from atari_zoo.remote.told_facts import told_card

PAGE = """---
library_name: stable-baselines3
license: mit
tags:
- BreakoutNoFrameskip-v4
- deep-reinforcement-learning
- stable-baselines3
model-index:
- name: PPO
  results:
  - metrics:
    - type: mean_reward
      value: 12.50 +/- 3.20
    task:
      type: reinforcement-learning
    dataset:
      name: BreakoutNoFrameskip-v4
      type: BreakoutNoFrameskip-v4
---
# **PPO** Agent playing **BreakoutNoFrameskip-v4**
"""


def sb3_files(actions: int = 4, seed: int = 0) -> dict[str, bytes]:
    """What RL Zoo pushes: the zip, the same unpacked, and what stands beside it."""
    file = io.BytesIO()
    sb3_model("PPO", (4, 4, 4), 8, actions, seed).save(file)
    with zipfile.ZipFile(file) as archive:
        parts = {f"ppo-Breakout/{name}": archive.read(name) for name in archive.namelist()}
    return {
        ".gitattributes": b"",
        "README.md": PAGE.encode(),
        "ppo-Breakout.zip": file.getvalue(),
        **parts,
        "train_eval_metrics.zip": b"PK",
        "replay.mp4": b"video",
    }


def cleanrl_files(game: str = "dqn_atari") -> dict[str, bytes]:
    file = io.BytesIO()
    torch.save(cleanrl_model("dqn", widths=(4, 4, 4), units=8).state_dict(), file)
    return {f"{game}.cleanrl_model": file.getvalue(), "dqn_atari.py": b"", "replay.mp4": b""}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallHub]:
    for name in ("ATARI_ZOO_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ATARI_ZOO_CACHE", str(tmp_path / "zoo"))
    other = sb3_files(seed=5)
    repositories = {
        "me/ppo": Repository({"main": sb3_files(), "second": other}),
        "cleanrl/PongNoFrameskip-v4-dqn_atari-seed3": Repository({"main": cleanrl_files()}),
        "me/two": Repository({"main": cleanrl_files("a") | cleanrl_files("b")}),
        "me/gated": Repository({"main": sb3_files()}, gated=True),
        "me/private": Repository({"main": sb3_files()}, private=True),
        "me/none": Repository({"main": {"README.md": b"# text", "q-table.pkl": b""}}),
        "me/wrong": Repository({"main": {"agent.zip": b"PK damaged"}}),
    }
    with SmallHub(repositories) as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        template = f"{server.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        yield server


def expected(seed: int = 0) -> torch.Tensor:
    policy = sb3_model("PPO", (4, 4, 4), 8, 4, seed).policy
    with torch.no_grad():
        return policy.get_distribution(observations()).distribution.logits


def outputs(name: str) -> torch.Tensor:
    with torch.no_grad():
        return zoo.load(name)(observations()).log_softmax(1)


def test_a_repository_of_stable_baselines3(hub: SmallHub) -> None:
    network = zoo.load("hf:me/ppo")
    card = network.card
    assert (card.algorithm, card.game, card.licence) == ("ppo", "Breakout", "mit")
    assert card.preprocessing.name == "deepmind" and card.action_meanings[1] == "FIRE"
    assert card.source.startswith("hf:me/ppo@") and card.source.endswith("/ppo-Breakout.zip")
    torch.testing.assert_close(outputs("hf:me/ppo"), expected(), atol=1e-5, rtol=1e-5)
    assert not any("replay" in path or "policy.pth" in path for path in hub.requests)


def test_a_revision_a_file_and_the_hubs_own_addresses(hub: SmallHub, monkeypatch) -> None:
    second = hub.repositories["me/ppo"].commit_of("second")
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    for name in (
        "hf:me/ppo@second",
        f"hf:me/ppo@{second}",
        "hf:me/ppo@second/ppo-Breakout.zip",
        f"{hub.address}/me/ppo/tree/second",
        f"{hub.address}/me/ppo/blob/second/ppo-Breakout.zip",
    ):
        torch.testing.assert_close(outputs(name), expected(5), atol=1e-5, rtol=1e-5)
        assert zoo.load(name).card.source.startswith(f"hf:me/ppo@{second}/")


def test_a_revision_with_slashes(hub: SmallHub, monkeypatch) -> None:
    hub.repositories["me/ppo"].revisions["refs/pr/1"] = sb3_files(seed=3)
    for _ in ("from the Hub", "from the cache"):
        for name in ("hf:me/ppo@refs/pr/1", "hf:me/ppo@refs/pr/1/ppo-Breakout.zip"):
            torch.testing.assert_close(outputs(name), expected(3), atol=1e-5, rtol=1e-5)
        monkeypatch.setenv("ATARI_ZOO_OFFLINE", "1")


def test_without_a_connection_the_same_file_is_meant(hub: SmallHub, monkeypatch) -> None:
    """Of a repository with two models one was fetched, by its name."""
    first = outputs("hf:me/two/b.cleanrl_model")
    monkeypatch.setenv("ATARI_ZOO_OFFLINE", "1")
    torch.testing.assert_close(outputs("hf:me/two/b.cleanrl_model"), first, atol=0, rtol=0)
    with pytest.raises(DownloadError, match=r"several models are in it; name one of 'a\.cleanrl"):
        zoo.load("hf:me/two")
    with pytest.raises(DownloadError, match=r"'a\.cleanrl_model' is not in the Hub's cache"):
        zoo.load("hf:me/two/a.cleanrl_model")


def test_what_another_program_fetched_is_taken_by_its_name(hub: SmallHub, monkeypatch) -> None:
    """Which files a repository has is not told by those that are in the cache."""
    import huggingface_hub

    huggingface_hub.hf_hub_download("me/two", "b.cleanrl_model")
    monkeypatch.setenv("ATARI_ZOO_OFFLINE", "1")
    assert zoo.load("hf:me/two/b.cleanrl_model").actions
    with pytest.raises(DownloadError, match=r"name the file that is meant, of 'b\.cleanrl_model'"):
        zoo.load("hf:me/two")


def test_what_the_name_of_a_repository_tells(hub: SmallHub) -> None:
    card = zoo.load("hf:cleanrl/PongNoFrameskip-v4-dqn_atari-seed3").card
    assert (card.algorithm, card.game, card.preprocessing.name) == ("dqn", "Pong", "cleanrl")


def test_what_the_zoo_itself_publishes_comes_back(hub: SmallHub, tmp_path: Path) -> None:
    paths = build_repository("a2c/Pong/1", tmp_path / "new", "me/mine")
    files = {path.name: path.read_bytes() for path in paths}
    hub.repositories["me/mine"] = Repository({"main": files})
    again, own = zoo.load("hf:me/mine"), zoo.load("a2c/Pong/1")
    assert again.card == own.card
    torch.testing.assert_close(again(observations()), own(observations()), atol=0, rtol=0)


def test_every_verb_that_takes_a_model(hub: SmallHub, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = CliRunner()
    told = run.invoke(app, ["info", "hf:me/ppo", "--json"])
    assert told.exit_code == 0 and json.loads(told.stdout)["game"] == "Breakout"
    made = run.invoke(app, ["convert", "hf:me/ppo@second", "--quiet"])
    assert made.exit_code == 0, made.output
    torch.testing.assert_close(outputs("hf-me-ppo@second.onnx"), expected(5), atol=1e-5, rtol=1e-5)
    played = run.invoke(app, "play hf:me/ppo --steps 8 --envs 1 --json".split())
    assert played.exit_code == 0 and json.loads(played.stdout)["game"] == "Breakout"
    checked = run.invoke(app, ["verify", "hf:me/ppo", "--json"])
    assert checked.exit_code == 0 and json.loads(checked.stdout)["difference"] < 1e-4
    ours = zoo.load("hf:me/ppo", input_range=None)
    assert zoo.activations(ours, observations(), "fc")["fc"].shape == (3, 8)


def test_what_was_fetched_needs_no_connection(hub: SmallHub, monkeypatch) -> None:
    first = outputs("hf:me/ppo@second")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # where nobody answers
    torch.testing.assert_close(outputs("hf:me/ppo@second"), first, atol=0, rtol=0)
    monkeypatch.setenv("ATARI_ZOO_OFFLINE", "1")
    torch.testing.assert_close(outputs("hf:me/ppo@second"), first, atol=0, rtol=0)
    with pytest.raises(DownloadError, match=r"not in the Hub's cache, and ATARI_ZOO_OFFLINE"):
        zoo.load("hf:me/two/a.cleanrl_model")
    monkeypatch.delenv("ATARI_ZOO_OFFLINE")
    with pytest.raises(DownloadError, match=r"^hf:me/two: no answer from http.*connection\?$"):
        zoo.load("hf:me/two")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hf:me/pppo", r"no such repository at http.*did you mean 'hf:me/ppo'\?.*private"),
        ("hf:me/private", "no such repository at http.*`hf auth login`"),
        ("hf:me/gated", r"gated: accept its conditions at http\S+/me/gated"),
        ("hf:me/ppo@third", "the repository has no revision 'third'"),
        ("hf:me/ppo/agent.zip", "no file 'agent.zip' in it; .*there are '.gitattributes'"),
        ("hf:me/ppo/ppo-Brekout.zip", r"did you mean 'ppo-Breakout.zip'\?"),
        ("hf:me/none", "no model in it, but 'README.md', 'q-table.pkl'"),
        (
            "hf:me/two",
            r"several models are in it; name one of 'a.cleanrl_model', 'b.cleanrl_model', as in "
            "hf:me/two/a.cleanrl_model",
        ),
        ("hf:ppo", r"'hf:ppo' is no repository of the Hub; expected hf:owner/repo"),
        ("hf:", "is no repository of the Hub"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_told_in_one_line(hub: SmallHub, name: str, words: str) -> None:
    with pytest.raises(DownloadError, match=words) as caught:
        zoo.load(name)
    assert "\n" not in str(caught.value) and name in str(caught.value)


def test_a_file_that_is_no_agent_and_a_hub_out_of_order(hub: SmallHub) -> None:
    with pytest.raises(ConversionError, match="hf:me/wrong"):
        zoo.load("hf:me/wrong")
    hub.status = 503
    with pytest.raises(DownloadError, match=r"answered 503: try again in a few minutes"):
        zoo.load("hf:me/ppo")


def test_a_token_opens_what_is_private(hub: SmallHub, monkeypatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    for name in ("hf:me/private", "hf:me/gated"):
        torch.testing.assert_close(outputs(name), expected(), atol=1e-5, rtol=1e-5)


def test_references() -> None:
    assert hub_reference("hf:a/b") == HubReference("a/b")
    assert hub_reference("hf:a/b@refs%2Fpr%2F1/c/d.zip") == HubReference(
        "a/b", "refs/pr/1", "c/d.zip"
    )
    assert hub_reference("https://huggingface.co/a/b") == HubReference("a/b")
    assert hub_reference("https://huggingface.co/a/b/resolve/main/c%20d.zip") == HubReference(
        "a/b", "main", "c d.zip"
    )
    for page in ("tree/refs/pr/1", "tree/refs%2Fpr%2F1"):
        found = hub_reference(f"https://huggingface.co/a/b/{page}")
        assert found == HubReference("a/b", "refs/pr/1")
    assert hub_reference("hf:a/b@refs/pr/1") == HubReference("a/b", "refs/pr/1")
    assert hub_reference("hf:a/b@refs/c.zip") == HubReference("a/b", "refs", "c.zip")
    for reference in (
        HubReference("a/b", "refs/pr/1", "c/d.zip"),
        HubReference("a/b", "my/branch", "c.zip"),
        HubReference("a/b", "v1.0"),
    ):
        assert hub_reference(str(reference)) == reference
    assert hub_reference("https://example.com/a/b") is None
    assert str(HubReference("a/b", "c", "d")) == "hf:a/b@c/d"


@pytest.mark.parametrize(
    ("files", "wanted", "found"),
    [
        (["x.zip", "x/policy.pth", "train_eval_metrics.zip"], "", "x.zip"),
        (["model.onnx", "model.safetensors", "card.json"], "", "model.onnx"),
        (["agent.pt", "optimizer.pt", "replay_buffer.npz"], "", "agent.pt"),
        (["best.zip", "last.zip", "repo.zip"], "", "repo.zip"),
        (["a/x.pt", "b/x.pt"], "b", "b/x.pt"),
        (["model.onnx", "model.onnx.data"], "", "model.onnx"),
    ],
)
def test_which_file_is_meant(files: list[str], wanted: str, found: str) -> None:
    assert chosen_file(files, HubReference("me/repo", "", wanted)) == found


def test_what_a_file_needs_beside_it() -> None:
    files = ["a.onnx", "a.onnx.data", "b.onnx", "tf.index", "tf.data-00000-of-00001"]
    assert companions("a.onnx", files) == ["a.onnx.data"]
    assert companions("tf.index", files) == ["tf.data-00000-of-00001"]
    files = ["cfg.json", "checkpoint_p0/checkpoint_1.pth", "git.diff"]
    assert companions(files[1], files) == ["cfg.json"]


@pytest.mark.parametrize(
    ("metadata", "names", "told"),
    [
        ({"tags": ["atari_breakout", "sample-factory"]}, [], {"game": "Breakout"}),
        ({"tags": ["ALE/MsPacman-v5"]}, ["dqn-agent"], {"game": "MsPacman", "algorithm": "dqn"}),
        ({"tags": ["Pong-v5", "Breakout-v5"]}, [], {}),  # of two games: it is asked for
        ({}, ["qr-dqn_SpaceInvadersNoFrameskip-v4"], {"game": "SpaceInvaders"}),
        ({"tags": "Pong", "model-index": 3}, ["agent"], {}),
        ({"model-index": [{"name": "QR-DQN", "results": [{"dataset": {"name": "Pong-v4"}}]}]}, [],
         {"game": "Pong", "algorithm": "qrdqn"}),
    ],
)  # fmt: skip
def test_what_metadata_and_names_tell(metadata, names, told) -> None:
    found = told_card(metadata, names)
    assert {key: found.get(key) for key in told} == told
    assert told or not {"game", "algorithm"} & found.keys()


def test_a_file_at_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATARI_ZOO_CACHE", str(tmp_path))
    files = sb3_files()
    path = "/runs/ppo-BreakoutNoFrameskip-v4.zip"
    with Served({path: files["ppo-Breakout.zip"], "/page": b"<html>sign in"}) as server:
        name = server.url + path
        torch.testing.assert_close(outputs(name), expected(), atol=1e-5, rtol=1e-5)
        card = zoo.load(name).card
        assert (card.game, card.algorithm, card.source) == ("Breakout", "ppo", name)
        assert len(server.requests) == 1  # it is in the cache
        (kept,) = tmp_path.rglob("*.zip")
        server.files[path] = sb3_files(seed=5)["ppo-Breakout.zip"]
        kept.unlink()
        with pytest.raises(DownloadError, match=r"sha256 expected .*cache --forget web:127.0.0.1"):
            zoo.load(name)
        run = CliRunner()
        forgotten = run.invoke(app, ["cache", "--forget", "web:127.0.0.1*"])
        assert forgotten.exit_code == 0, forgotten.output
        torch.testing.assert_close(outputs(name), expected(5), atol=1e-5, rtol=1e-5)
        for wrong, words in (("/none.zip", "404"), ("/page", "a web page")):
            with pytest.raises(DownloadError, match=words):
                zoo.load(server.url + wrong)
    with pytest.raises(DownloadError, match="connection refused"):
        zoo.load(f"{server.url}/other.zip")
