"""All verbs on another architecture's file: each works, or says in one line why not."""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

import atari_zoo as zoo
from atari_zoo.__main__ import main
from atari_zoo.converters import save_onnx
from atari_zoo.models import convert

AGENT, PLAY = "agent.onnx", "play.zarr"
LAYER = "body/body/0/Conv"
PLAYED = ["--recording", PLAY]
MNIH_ALONE = "network of Mnih et al"
# the words of each verb, and what its refusal says; none where it works
WALK: dict[str, tuple[list[str], str]] = {
    "info": ([AGENT], ""),
    "verify": ([AGENT], ""),
    "record": ([AGENT, "--steps", "2", "--layer", LAYER, "-o", "new.zarr"], ""),
    "attribute": ([AGENT, *PLAYED, "--step", "1", "-o", "a.png"], ""),
    "saliency-movie": ([AGENT, *PLAYED, "--steps", "2", "-o", "s.mp4"], ""),
    "maximize": ([AGENT, "output:FIRE", "--iterations", "1", "--steps", "0", "-o", "m.png"], ""),
    "peaks": ([AGENT, PLAY, "--layer", LAYER, "-o", "peaks"], ""),
    "patches": ([AGENT, f"{LAYER}:1", *PLAYED, "-o", "p.png"], MNIH_ALONE),
    "atlas": ([AGENT, *PLAYED, "--layer", LAYER, "--no-synthesis", "-o", "l.html"], MNIH_ALONE),
    "tour": ([AGENT, "--no-open", "-o", "t.html"], MNIH_ALONE),
    "convert": ([AGENT, "-o", "a.npz"], MNIH_ALONE),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The agent's file, and play of it with a layer whose name has "/"."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(4, 8, 8, 4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    module = nn.Sequential()
    module.add_module("body", body)
    module.add_module("policy", nn.Linear(800, 6))
    place, file = tmp_path_factory.mktemp("foreign"), io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(), (torch.zeros(1, 4, 84, 84),), file, dynamo=False, input_names=["x"],
            dynamic_axes={"x": {0: "n"}},
        )  # fmt: skip
    (place / "exported.onnx").write_bytes(file.getvalue())
    made = convert(place / "exported.onnx", game="Pong", input_range="0..1")
    save_onnx(made.model, place / AGENT)
    kept = {"keep": ["screens", "frames", "outputs"], "layers": [LAYER], "path": place / PLAY}
    zoo.rollout(place / AGENT, steps=4, envs=1, seed=0, **kept)
    return place


@pytest.mark.parametrize("verb", WALK)
def test_a_verb_works_or_says_why_not(
    verb: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words, refusal = WALK[verb]
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["atari-zoo", verb, *words])
    try:
        main()
        status: Any = None
    except SystemExit as end:
        status = end.code
    said = capsys.readouterr().err
    assert status == (2 if refusal else None), said
    assert refusal in said
    assert not refusal or len(said.splitlines()) == 1
    if "-o" in words:
        assert Path(words[words.index("-o") + 1]).exists() == (not refusal)


def test_a_layer_with_a_slash_is_recorded(folder: Path) -> None:
    recording = zoo.open_recording(folder / PLAY)
    session = onnxruntime.InferenceSession(
        folder / "exported.onnx", providers=["CPUExecutionProvider"]
    )
    seen = recording.observations(0).numpy().astype(np.float32) / 255
    np.testing.assert_allclose(
        recording.outputs[:, 0], session.run(None, {"x": seen})[0], atol=1e-5
    )
    network = zoo.load(folder / AGENT)
    with torch.no_grad():
        weights = network.layers[LAYER]
        expected = weights(torch.from_numpy(seen)).numpy()
    np.testing.assert_allclose(recording.activations[LAYER][:, 0], expected, atol=1e-3)
    found = zoo.activations(network, recording, LAYER)[LAYER]
    np.testing.assert_allclose(found[:, 0].numpy(), expected, atol=1e-5)
