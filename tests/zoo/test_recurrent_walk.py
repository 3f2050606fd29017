"""All verbs on recurrent agents' files: each works, or says in one line why not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from recurrent_agents import WithMemory, exported, recurrent_network

import atari_zoo as zoo
from atari_zoo.__main__ import main
from atari_zoo.converters import save_onnx, to_onnx
from atari_zoo.models import convert, facts_about

NAMED, GRAPH = "named.onnx", "graph.onnx"
ZERO = "that of an episode's first step"
# the words of each verb, what it refuses with, and what it says; none where it works, or is silent
WALK: dict[str, tuple[list[str], str, str]] = {
    "info": (["NAMED"], "", ""),
    "info of a graph": (["GRAPH"], "", ""),
    "verify": (["NAMED"], "", ""),
    "verify of a graph": (["GRAPH"], "", ""),
    "play": (["NAMED", "--steps", "3"], "", ""),
    "record": (["NAMED", "--steps", "3", "--layer", "memory", "-o", "new.zarr"], "", ""),
    "record of a graph": (
        ["GRAPH", "--steps", "3", "--layer", "policy/Gemm", "-o", "new2.zarr"],
        "",
        "",
    ),
    "attribute": (["NAMED", "PLAYED", "--step", "1", "-o", "a.png"], "", ""),
    "attribute of a graph": (["GRAPH", "PLAYED", "--step", "1", "-o", "b.png"], "", ""),
    "attribute by a table": (
        ["NAMED", "PLAYED", "--step", "1", "--table", "-o", "t.csv"],
        "a state in each moment",
        "",
    ),
    "attribute by DeepLIFT": (
        ["NAMED", "PLAYED", "--step", "1", "--method", "deeplift", "-o", "d.png"],
        "would be wrong on this network",
        "",
    ),
    "movie": (["NAMED", "PLAYED", "-o", "v.mp4"], "", ""),
    "movie of saliency": (["NAMED", "PLAYED", "--show", "saliency", "-o", "s.mp4"], "", ""),
    "movie of a memory": (["NAMED", "PLAYED", "--show", "memory", "-o", "w.mp4"], "", ""),
    "movie of a graph": (["GRAPH", "PLAYED", "-o", "x.mp4"], "", ""),
    "movie without units": (["NAMED", "--ablate", "memory:1", "--to", "3", "-o", "y.mp4"], "", ""),
    "maximize": (["NAMED", "fc:1", "--iterations", "1", "--steps", "0", "-o", "m.png"], "", ""),
    "maximize a memory": (
        ["NAMED", "memory:1", "--iterations", "1", "--steps", "0", "-o", "n.png"],
        "",
        ZERO,
    ),
    "maximize a graph": (
        ["GRAPH", "output:FIRE", "--iterations", "1", "--steps", "0", "-o", "o.png"],
        "",
        ZERO,
    ),
    "peaks": (["NAMED", "memory", "PLAYED", "-o", "peaks"], "", ""),
    "convert": (["NAMED", "-o", "a.npz"], "", ""),
    "convert to float16": (["NAMED", "--float16", "-o", "half.onnx"], "", ""),
    "convert for SB3": (["NAMED", "-o", "a.pth"], "no memory", ""),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two agents' files and play of each: a network with named layers, and a graph."""
    place = tmp_path_factory.mktemp("recurrent")
    save_onnx(to_onnx(recurrent_network()), place / NAMED)
    module = WithMemory()
    graph = exported(module, torch.zeros(2, 4, 84, 84), *module.zeros(2))
    save_onnx(graph, place / "exported.onnx")
    made = convert(place / "exported.onnx", game="Pong", input_range="0..1", run="2")
    save_onnx(made.model, place / GRAPH)
    kept = {"keep": ["screens", "frames", "outputs"], "steps": 4, "envs": 1}
    zoo.rollout(place / NAMED, path=place / "play.zarr", **kept)
    zoo.rollout(place / GRAPH, path=place / "graph.zarr", **kept)
    return place


@pytest.mark.filterwarnings("default::UserWarning")
@pytest.mark.parametrize("case", WALK)
def test_a_verb_works_or_says_why_not(
    case: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    words, refusal, warning = WALK[case]
    model = NAMED if "NAMED" in words else GRAPH
    play = ["--recording", "play.zarr" if model == NAMED else "graph.zarr"]
    given = [x for w in words for x in (play if w == "PLAYED" else [w])]
    given = [model if w in ("NAMED", "GRAPH") else w for w in given]
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["atari-zoo", case.split()[0], *given])
    try:
        main()
        status: Any = None
    except SystemExit as end:
        status = end.code
    warned = " ".join(str(w.message) for w in recwarn if w.category is UserWarning)
    said = capsys.readouterr().err
    assert status == (2 if refusal else None), said
    assert refusal in said and (warning in warned if warning else not warned)
    assert not refusal or len(said.splitlines()) == 1
    assert refusal or not said
    if "-o" in words:
        assert Path(words[words.index("-o") + 1]).exists() == (not refusal)


def test_its_facts_tell_the_state(folder: Path) -> None:
    assert facts_about(folder / NAMED)["state"] == {"hidden": [1, 24], "cell": [1, 24]}
    assert facts_about(folder / GRAPH)["state"] == {"h": [1, 24], "c": [1, 24]}


def test_half_the_bytes_are_the_same_agent(folder: Path) -> None:
    network = zoo.load(folder / NAMED)
    made = convert(folder / NAMED, float16=True)
    save_onnx(made.model, folder / "smaller.onnx")
    assert (folder / "smaller.onnx").stat().st_size < 0.6 * (folder / NAMED).stat().st_size
    again = zoo.load(folder / "smaller.onnx")
    assert list(again.layers) == list(network.layers)
    seen = torch.randint(0, 256, (3, 4, 84, 84), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(again(seen), network(seen), atol=2e-2, rtol=2e-2)
