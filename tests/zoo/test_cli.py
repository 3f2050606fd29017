"""The command line, as a person or a script meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from architectures import network
from safetensors.torch import save_file

from atari_zoo.converters import ModelCard, save_onnx, to_onnx, to_torch
from atari_zoo.games import game


def zoo(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs `atari-zoo` in a process of its own."""
    command = [sys.executable, "-m", "atari_zoo", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    """A random agent's ONNX file."""
    card = ModelCard("a2c", "Pong", action_meanings=game("Pong").actions, action_rule="sample")
    save_onnx(to_onnx(network("actor-critic"), card), tmp_path / "agent.onnx")
    return tmp_path / "agent.onnx"


@pytest.mark.parametrize("words", [["--help"], ["list"], ["list", "--json"], ["play", "--help"]])
def test_help_and_list_do_not_wait_for_torch(words: list[str]) -> None:
    program = (
        "import sys; from atari_zoo.cli.app import app\n"
        f"try: app({words!r})\n"
        "except SystemExit as stop: assert not stop.code\n"
        "heavy = {'torch', 'onnx', 'ale_py', 'gymnasium', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "verb",
    "list info convert verify play record tour train freeze fetch cache mirror logs push".split(),
)
def test_every_verb_explains_itself_with_examples(verb: str) -> None:
    done = zoo(verb, "--help")
    assert done.returncode == 0 and f"$ atari-zoo {verb}" in done.stdout


def test_list_and_info_tell_the_same(agent: Path) -> None:
    cards = json.loads(zoo("list", "--json").stdout)
    assert "a2c/Pong/1" in [card["name"] for card in cards]
    facts = json.loads(zoo("info", "a2c/pong/1", "--json").stdout)
    assert facts["name"] == "a2c/Pong/1" and facts["action_meanings"] == list(game("Pong").actions)
    assert "conv3" in facts["layers"]
    assert json.loads(zoo("info", agent, "--json").stdout)["parameters"] == sum(
        p.numel() for p in network("actor-critic").parameters()
    )


def test_play_prints_one_object_and_repeats_itself(agent: Path) -> None:
    words = ["play", agent, "--episodes", "2", "--envs", "2", "--seed", "5", "--json"]
    first, second = (json.loads(zoo(*words).stdout) for _ in range(2))
    keys = "model game episodes mean std interval returns steps_per_second"
    assert (
        set(first) == set(keys.split()) and first["model"] == str(agent) and first["episodes"] == 2
    )
    assert first["mean"] == sum(first["returns"]) / 2
    assert first["returns"] == second["returns"]


def test_convert_tells_what_it_found_and_keeps_the_check_in_the_card(
    agent: Path, tmp_path: Path
) -> None:
    made = tmp_path / "made.onnx"
    told = zoo("convert", agent, "--game", "Pong", "-o", made, "--report", "json")
    found = json.loads(told.stdout)
    assert found["output"] == str(made) and found["head"]["kind"] == "actor-critic"
    assert found["convolutions"][0]["padding"] == "VALID" and found["difference"] < 1e-4
    card = json.loads(zoo("info", made, "--json").stdout)
    assert card["verified"]["difference"] == found["difference"]
    assert card["verified"]["layers"] == ["conv1", "conv2", "conv3", "fc", "value", "output"]
    text = zoo("convert", agent, "--game", "Pong", "-o", made).stdout
    words = " ".join(text.replace("│", " ").split())  # the table folds long lines
    assert "32 filters 8x8" in words and "onnxruntime against torch" in words


def test_convert_does_not_write_over_its_source(agent: Path) -> None:
    before = agent.read_bytes()
    done = zoo("convert", agent, "--float16")
    assert done.returncode == 2 and "is the source itself" in done.stderr
    assert agent.read_bytes() == before


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_convert_goes_out_and_comes_back_exactly(agent: Path, tmp_path: Path, suffix: str) -> None:
    out, back = tmp_path / f"out{suffix}", tmp_path / "back.onnx"
    for source, made in ((agent, out), (out, back)):
        done = zoo("convert", source, "-o", made, "--report", "none")
        assert done.returncode == 0, done.stderr
    found = to_torch(back)
    assert found.card.game == "Pong" and found.card.action_rule == "sample"
    for name, weight in to_torch(agent).state_dict().items():
        assert torch.equal(found.state_dict()[name], weight)


def test_convert_writes_no_other_kind_of_file(agent: Path, tmp_path: Path) -> None:
    done = zoo("convert", agent, "-o", tmp_path / "agent.h5")
    assert done.returncode == 2 and ".safetensors" in done.stderr
    assert not (tmp_path / "agent.h5").exists()


def test_verify_measures_every_layer(agent: Path) -> None:
    result = json.loads(zoo("verify", agent, "--json").stdout)
    layers = {row["layer"]: row for row in result["layers"]}
    assert set(layers) == {"conv1", "conv2", "conv3", "fc", "value", "output"}
    assert result["difference"] == max(row["difference"] for row in layers.values()) <= 1e-4
    assert zoo("verify", agent, "--tolerance", "1e-12").returncode == 1


def test_convert_fills_the_card_from_the_names(tmp_path: Path) -> None:
    save_file(network("q", actions=9).state_dict(), tmp_path / "w.safetensors")
    done = zoo(
        "convert", tmp_path / "w.safetensors", "--algorithm", "rainbow", "--game", "ms_pacman"
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads(zoo("info", tmp_path / "w.onnx", "--json").stdout)
    assert facts["name"] == "rainbow/MsPacman/1"
    assert facts["action_meanings"] == list(game("MsPacman").actions)
    assert facts["action_rule"] == "argmax" and facts["preprocessing"]["name"] == "dopamine"
    assert facts["source"] == "w.safetensors" and len(facts["sha256"]) == 64


def bad(tmp_path: Path, agent: Path) -> dict[str, tuple[list[str | Path], str]]:
    """Mistakes a person makes, and what must be said."""
    weights = tmp_path / "w.safetensors"
    save_file(network("q").state_dict(), weights)
    (tmp_path / "cut.onnx").write_bytes(agent.read_bytes()[:5000])
    (tmp_path / "text.pth").write_text("not a model")
    torch.save({"weight": torch.zeros(3, 3)}, tmp_path / "other.pt")
    out = tmp_path / "out.onnx"
    convert = ["convert", weights, "-o", out]
    return {
        "no such model": (["play", "a2c/Pnog/1"], "did you mean 'a2c/Pong/1'"),
        "no such file": (["info", "missing.onnx"], "no file or model 'missing.onnx'"),
        "cut": (["verify", tmp_path / "cut.onnx"], "cut short"),
        "text": (["convert", tmp_path / "text.pth", "-o", out], "not a model file"),
        "other": (["convert", tmp_path / "other.pt", "-o", out], "state dict"),
        "game": ([*convert, "--game", "Seaqest"], "did you mean Seaquest"),
        "actions": ([*convert, "--game", "Seaquest"], "6 actions, but Seaquest has 18"),
        "algorithm": ([*convert, "--algorithm", "a3c"], "no algorithm 'a3c'; there are a2c"),
        "preprocessing": ([*convert, "--preprocessing", "new"], "no preprocessing 'new'"),
        "rule": ([*convert, "--action", "best"], "no action rule 'best'"),
        "folder": (["convert", weights, "-o", tmp_path / "no" / "x.onnx"], "No such file"),
        "read-only": (["convert", weights, "-o", "/proc/x.onnx"], "/proc/x.onnx"),
        "episodes": (["play", agent, "--episodes", "0"], "episodes is 0"),
        "another game": (["play", agent, "--game", "Breakout"], "6 actions, but Breakout has 4"),
        "gameless": (["play", weights], "names no game"),
        "page": (["tour", agent, "-o", tmp_path / "no" / "x.html"], "No such file"),
        "trainer": (["train", "dqn2", "Pong"], "no trainer for 'dqn2'"),
        "device": (["play", agent, "--device", "cuda:99"], "no device 'cuda:99' here"),
        "no device": (["train", "a2c", "Pong", "--device", "tpux"], "no device 'tpux'"),
        "option": (["play", agent, "--episodes", "many"], "Invalid value for '--episodes'"),
    }


CASES = ["no such model", "no such file", "cut", "text", "other", "game", "actions", "algorithm"]
CASES += ["preprocessing", "rule", "folder", "read-only", "episodes", "another game", "gameless"]
CASES += ["page", "trainer", "device", "no device", "option"]


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_gets_one_clear_line_and_status_2(tmp_path: Path, agent: Path, case: str) -> None:
    words, message = bad(tmp_path, agent)[case]
    before = sorted(tmp_path.rglob("*"))
    done = zoo(*words)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr and "Traceback" not in done.stderr
    if case != "option":  # typer draws a box around its own
        assert len(done.stderr.strip().splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before  # no partial file
