"""The command line, as a person or a script meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from architectures import network
from command_line import zoo
from safetensors.torch import save_file

from atari_zoo.cli.tables import print_table
from atari_zoo.cli.verbs import verb as make_verb
from atari_zoo.cli.verbs import verbs
from atari_zoo.converters import ModelCard, save_onnx, to_onnx, to_torch
from atari_zoo.games import game
from atari_zoo.models import load

VERBS = [command.name for command in verbs()]
ODD = r"a [/b] :fire: [red]b"  # rich would refuse it, or change it


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    """A random agent's ONNX file."""
    card = ModelCard("a2c", "Pong", action_meanings=game("Pong").actions, action_rule="sample")
    save_onnx(to_onnx(network("actor-critic"), card), tmp_path / "agent.onnx")
    return tmp_path / "agent.onnx"


def test_help_and_list_do_not_wait_for_torch() -> None:
    lines = [["--help"], ["list"], ["list", "--json"], *([verb, "--help"] for verb in VERBS)]
    program = (
        "import sys; from atari_zoo.cli.app import app\n"
        "heavy = 'torch onnx ale_py gymnasium scipy pandas matplotlib requests zarr'\n"
        f"for words in {lines!r}:\n"
        "    try: app(words)\n"
        "    except SystemExit as stop: assert not stop.code\n"
        "    found = set(heavy.split()) & set(sys.modules)\n"
        "    assert not found, (words, found)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_examples(verb: str) -> None:
    done = zoo(verb, "--help")
    assert done.returncode == 0 and f"$ atari-zoo {verb}" in done.stdout


def test_the_verbs_are_those_of_the_rooms_files() -> None:
    expected = "list info fetch convert verify play record sweep train freeze logs patches maximize"
    assert {*expected.split(), "attribute", "tour", "atlas", "movie", "grid", "watch"} <= set(VERBS)
    shown = zoo("--help").stdout
    assert all(f"\n  {name} " in shown for name in VERBS)


def test_a_verb_has_examples_and_a_name_of_its_own() -> None:
    def tour() -> None:
        """Another."""

    for examples in ((), ("atari-zoo play x",)):
        with pytest.raises(ValueError, match="'tour' wants examples"):
            make_verb(*examples)(tour)
    with pytest.raises(ValueError, match=r"two verbs 'tour': atari_zoo\.cli\.tour"):
        make_verb("atari-zoo tour")(tour)


def test_a_cards_text_is_shown_as_it_is(tmp_path: Path) -> None:
    """No markup, no emoji, and nothing that would steer the terminal."""
    card = ModelCard("a2c", "Pong", tag=ODD, licence=f"{ODD} \x1b[31mred\x07", source="[/]")
    path = tmp_path / "odd [b].onnx"
    save_onnx(to_onnx(network("actor-critic"), card), path)
    done = zoo("info", path)
    assert done.returncode == 0, done.stderr
    words = " ".join(done.stdout.replace("│", " ").split())
    assert f"licence {ODD} \ufffd[31mred\ufffd" in words and "source [/]" in words
    assert f"a2c/Pong/1@{ODD}" in words
    done = zoo("convert", path, "-o", tmp_path / ":fire:.onnx")
    assert done.returncode == 0 and f"{tmp_path}/:fire:.onnx" in done.stdout
    assert zoo("info", ODD).stderr.startswith(f"atari-zoo: no file or model '{ODD}'")


def test_help_is_text_as_it_is() -> None:
    assert "atom:FIRE:50" in zoo("attribute", "--help").stdout
    done = zoo("play", "a2c/Pong/1", "--[/b]:fire:")
    assert done.returncode == 2 and "--[/b]:fire:" in done.stderr


def test_a_table_leaves_nothing_out(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 300
    print_table([(long, ODD)], "model [/b]", "facts")
    shown = capsys.readouterr().out
    assert shown.count("x") == 300 and ODD in shown and "model [/b]" in shown.replace("\n", "")


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
    told = zoo("convert", agent, "--game", "Pong", "-o", made, "--json")
    found = json.loads(told.stdout)
    assert found["output"] == str(made) and found["head"]["kind"] == "actor-critic"
    assert found["convolutions"][0]["padding"] == "VALID" and found["difference"] < 1e-4
    card = json.loads(zoo("info", made, "--json").stdout)
    assert card["verified"]["difference"] == found["difference"]
    assert card["verified"]["layers"] == ["conv1", "conv2", "conv3", "fc", "value", "output"]
    text = zoo("convert", agent, "--game", "Pong", "-o", made, "--force").stdout
    words = " ".join(text.replace("│", " ").split())  # the table folds long lines
    assert "32 filters 8x8" in words and "onnxruntime against torch" in words


@pytest.mark.parametrize("name", ["a2c/Pong/1", "a2c/pong/1@initial"])
def test_convert_takes_what_the_zoo_calls_so(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = zoo("convert", name, "--quiet")
    assert done.returncode == 0, done.stderr
    (made,) = tmp_path.iterdir()
    there, found = load(name), load(made)
    assert found.card.name == there.card.name
    for one, other in zip(there.state_dict().values(), found.state_dict().values(), strict=True):
        assert one.equal(other)
    done = zoo("convert", name.replace("1", "9"), "--quiet")
    assert done.returncode == 2 and "has the runs 1" in done.stderr


def test_convert_does_not_write_over_its_source(agent: Path) -> None:
    before = agent.read_bytes()
    done = zoo("convert", agent, "--float16")
    assert done.returncode == 2 and "is the source itself" in done.stderr
    assert agent.read_bytes() == before


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_convert_goes_out_and_comes_back_exactly(agent: Path, tmp_path: Path, suffix: str) -> None:
    out, back = tmp_path / f"out{suffix}", tmp_path / "back.onnx"
    for source, made in ((agent, out), (out, back)):
        done = zoo("convert", source, "-o", made, "--quiet")
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

    def train(setting: str) -> list[str | Path]:
        return ["train", "a2c", "Pong", "-o", tmp_path / "run", "--set", setting]

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
        "folder": (["convert", weights, "-o", tmp_path / "no" / "x.onnx"], "there is no folder"),
        "read-only": (["convert", weights, "-o", "/proc/x.onnx"], "/proc/x.onnx"),
        "episodes": (["play", agent, "--episodes", "0"], "episodes is 0"),
        "another game": (["play", agent, "--game", "Breakout"], "6 actions, but Breakout has 4"),
        "gameless": (["play", weights], "names no game"),
        "page": (["tour", agent, "-o", tmp_path / "no" / "x.html"], "there is no folder"),
        "trainer": (["train", "dqn2", "Pong"], "no trainer for 'dqn2'"),
        "device": (["play", agent, "--device", "cuda:99"], "no device 'cuda:99' here"),
        "no device": (["train", "a2c", "Pong", "--device", "tpux"], "no device 'tpux'"),
        "setting": (train("envs=abc"), "envs is 'abc'; expected a whole number of at least 1"),
        "no envs": (train("envs=0"), "envs is 0; expected a whole number of at least 1"),
        "rate": (train("learning_rate=-1"), "learning_rate is -1; expected a number above 0"),
        "not a number": (train("discount=nan"), "discount is 'nan'; expected a number from 0 to 1"),
        "unknown setting": (train("speed=2"), "a2c has no 'speed'; there are rom, frames"),
        "no value": (train("envs"), "--set takes NAME=VALUE"),
        "variant": (train("preprocessing=deepmnid"), "no preprocessing 'deepmnid'"),
        "rom": (train("rom=pong"), "--set rom= is given another way too"),
        "twice": ([*train("envs=4"), "--envs", "8"], "--set envs= is given another way too"),
        "option": (["play", agent, "--episodes", "many"], "Invalid value for '--episodes'"),
    }


CASES = ["no such model", "no such file", "cut", "text", "other", "game", "actions", "algorithm"]
CASES += ["preprocessing", "rule", "folder", "read-only", "episodes", "another game", "gameless"]
CASES += ["page", "trainer", "device", "no device", "option", "setting", "no envs", "rate"]
CASES += ["not a number", "unknown setting", "no value", "variant", "rom", "twice"]


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_gets_one_clear_line_and_status_2(tmp_path: Path, agent: Path, case: str) -> None:
    words, message = bad(tmp_path, agent)[case]
    before = sorted(tmp_path.rglob("*"))
    # within these tests beartype looks at settings before they themselves do
    done = zoo(*words, alone=case in ("setting", "not a number"))
    assert done.returncode == 2, done.stderr
    assert message in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before  # no partial file


def test_train_tells_what_comes_next_and_its_folder_is_a_model(tmp_path: Path) -> None:
    run = tmp_path / "my runs [/b]" / "a2c"
    words = "--envs 2 --frames 400 --set threads=1 --set save_every=200 --seed 7".split()
    done = zoo("train", "a2c", "ms_pacman", *words, "-o", run)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == str(run) and second == f"look inside it: atari-zoo tour '{run}'"
    facts = json.loads(zoo("info", run, "--json").stdout)
    assert (facts["name"], facts["frames"]) == ("a2c/MsPacman/7", 400)
    assert facts["action_meanings"] == list(game("MsPacman").actions)
    assert facts["action_rule"] == "sample" and facts["preprocessing"]["name"] == "vector"
    page = tmp_path / "page.html"
    done = zoo("tour", run, "-o", page)
    assert done.returncode == 0 and page.stat().st_size > 10_000, done.stderr
