"""All verbs on networks that are not Mnih's, as both of torch's exporters write them; and the same
functions on a module in memory."""

from __future__ import annotations

import io
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import atari_zoo as zoo
from atari_zoo.__main__ import main
from atari_zoo.analysis.peaks import unit_peaks
from atari_zoo.converters.network.receptive_fields import receptive_field
from atari_zoo.viz.attribution.attribution import attribute, methods
from atari_zoo.viz.filters import save_filters
from atari_zoo.viz.movies.movies import activation_movie
from atari_zoo.viz.pages.atlas import atlas
from atari_zoo.viz.pages.tour import tour
from atari_zoo.viz.patches.finding import patches
from atari_zoo.viz.patches.pictures import save_patches
from atari_zoo.viz.render.ascent import Settings
from atari_zoo.viz.render.rendering import render

pytestmark = pytest.mark.filterwarnings("ignore:.* misses the rise:UserWarning")
AGENT, PLAY = "agent.onnx", "play.zarr"


class Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.a, self.b = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.b(F.relu(self.a(F.relu(x))))


class Impala(nn.Module):
    """Of Espeholt et al. (2018), thinner, and with mean pools, so that it has no name."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, channels in ((4, 4), (4, 8), (8, 8)):
            layers += [nn.Conv2d(before, channels, 3, padding=1), nn.AvgPool2d(3, 2, 1)]
            layers += [Residual(channels), Residual(channels)]
        self.body, self.fc = nn.Sequential(*layers), nn.Linear(8 * 11 * 11, 32)
        self.policy, self.critic = nn.Linear(32, 6), nn.Linear(32, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.fc(F.relu(self.body(x)).flatten(1)))
        return self.policy(x), self.critic(x)


class Bytes(nn.Module):
    """Frames as the last axis, bytes; the value is the first output, without an axis of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.pool = nn.Conv2d(4, 8, 5, 3), nn.MaxPool2d(3, 2, 1)
        self.critic, self.policy = nn.Linear(8 * 14 * 14, 1), nn.Linear(8 * 14 * 14, 6)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.pool(F.relu(self.first(x.permute(0, 3, 1, 2).float() / 255))).flatten(1)
        return self.critic(x)[:, 0], self.policy(x)


class Normed(nn.Module):
    """Batch norm, GELU, a global mean; no value."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(4, 8, 5, 2, bias=False), nn.BatchNorm2d(8)
        self.second, self.pool = nn.Conv2d(8, 16, 3, 2), nn.AdaptiveAvgPool2d(1)
        self.out = nn.Linear(16, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.second(F.gelu(self.norm(self.first(x)))))
        return self.out(self.pool(x).flatten(1))


# module, whether the value is among what it gives, by exporter the layers that the walk looks into
KINDS: dict[str, tuple[type[nn.Module], bool, dict[str, tuple[str, str]]]] = {
    "impala": (
        Impala, True, {"dynamo": ("body.4", "fc"), "script": ("body/body/4/Conv", "fc/Gemm")},
    ),
    "bytes": (
        Bytes, True, {"dynamo": ("pool", "policy"), "script": ("pool/MaxPool", "policy/Gemm")},
    ),
    "normed": (Normed, False, {"dynamo": ("second", "out"), "script": ("second/Conv", "out/Gemm")}),
}  # fmt: skip
CASES = ["impala dynamo", "bytes script", "normed script"]
# the words of each verb: M and D are layers with a map and without; "!" before what a refusal says
WALK: dict[str, list[str]] = {
    "info": [AGENT, "--json"],
    "verify": [AGENT],
    "record": [AGENT, "--steps", "2", "--layer", "M", "-o", "new.zarr"],
    "attribute": [
        AGENT, "--step", "1", "--option", "layer=M", "--method", "grad_cam", "-o", "a.png",
    ],
    "movie": [
        AGENT, "--show", "saliency", "--option", "step=40", "--to", "2", "-o", "s.mp4",
    ],
    "maximize": [
        AGENT, "output:FIRE", "M:1", "D:2", "--iterations", "1", "--steps", "0", "-o", "m.png",
    ],
    "peaks": [AGENT, "M", "--recording", PLAY, "-o", "peaks"],
    "patches": [AGENT, "M:1", "output:FIRE", "-o", "p.png"],
    "atlas": [AGENT, "--layer", "M", "--layer", "output", "--iterations", "1", "-o", "l.html"],
    "push": [AGENT, "me/it", "--dry-run", "--no-replay", "-o", "pushed"],
    "convert": [AGENT, "-o", "a.npz", "!weights alone do not tell this architecture"],
}  # fmt: skip
PLAYED = {"attribute", "movie", "patches", "atlas"}


def exported(module: nn.Module, last: bool, exporter: str) -> bytes:
    seen = torch.zeros(2, 84, 84, 4, dtype=torch.uint8) if last else torch.zeros(2, 4, 84, 84)
    file, free = io.BytesIO(), torch.export.Dim.DYNAMIC
    options: dict = {"dynamic_shapes": ({0: free},), "dynamo": True, "verbose": False}
    if exporter == "script":
        options = {"dynamic_axes": {"x": {0: "n"}}, "input_names": ["x"], "dynamo": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), (seen,), file, **options)
    return file.getvalue()


def run(*words: str, monkeypatch: pytest.MonkeyPatch) -> int | None:
    monkeypatch.setattr(sys, "argv", ["atari-zoo", *words])
    try:
        main()
    except SystemExit as end:
        return end.code  # type: ignore[return-value]
    return None


@pytest.fixture(scope="module", params=CASES)
def walked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """A folder with an agent's file and play of it, its kind, and layers of it."""
    kind, exporter = request.param.split()
    make, _, layers = KINDS[kind]
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp(f"{kind}-{exporter}")
    (folder / "exported.onnx").write_bytes(exported(make(), kind == "bytes", exporter))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        tells = [] if kind == "bytes" else ["--input-range", "0..1"]
        words = ["convert", "exported.onnx", "--game", "Pong", *tells, "-o", AGENT, "--quiet"]
        assert run(*words, monkeypatch=patch) is None
        kept = ["--keep", "screens", "--keep", "frames", "--keep", "outputs"]
        words = ["record", AGENT, "--steps", "4", *kept, "--layer", layers[exporter][0]]
        assert run(*words, "-o", PLAY, monkeypatch=patch) is None
    return folder, kind, layers[exporter]


@pytest.mark.parametrize("verb", WALK)
def test_a_verb_works_or_says_why_not(
    verb: str,
    walked: tuple[Path, str, tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, kind, (maps, dense) = walked
    words = WALK[verb] + (["--recording", PLAY] if verb in PLAYED else [])
    refusal = next((word[1:] for word in words if word[0] == "!"), "")
    if verb in ("attribute", "maximize") and KINDS[kind][1]:
        words += ["--target", "value"] if verb == "attribute" else ["value"]
    named = {"M": maps, "D": dense}
    words = [
        word.replace("layer=M", f"layer={maps}")
        if "=" in word
        else ":".join(named.get(part, part) for part in word.split(":"))
        for word in words
        if word[0] != "!"
    ]
    monkeypatch.chdir(folder)
    status = run(verb, *words, monkeypatch=monkeypatch)
    said = capsys.readouterr()
    assert status == (2 if refusal else None), said.err
    assert refusal in said.err
    assert not refusal or len(said.err.splitlines()) == 1
    if "-o" in words:
        assert Path(words[words.index("-o") + 1]).exists() == (not refusal)
    if verb == "info":
        assert json.loads(said.out)["layers"][-1] == "output"
        assert ("value" in json.loads(said.out)["layers"]) == KINDS[kind][1]
    if verb == "push":  # what could not be read again is not there
        assert {path.name for path in Path("pushed").iterdir()} == {
            "model.onnx", "card.json", "README.md",
        }  # fmt: skip
        assert "safetensors" not in Path("pushed/README.md").read_text()


def test_a_tour(walked: tuple[Path, str, tuple[str, str]]) -> None:
    folder, kind, _ = walked
    tour(folder / AGENT, folder / "tour.html", steps=2, score_steps=2)
    page = (folder / "tour.html").read_text()
    assert "filter of" in page and "video/mp4" in page
    assert "body.4, body.8, relu_12" in page or kind != "impala"


def test_outputs_and_values_are_onnxruntimes(
    walked: tuple[Path, str, tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with the weights in half the bytes."""
    folder, kind, (maps, _) = walked
    session = onnxruntime.InferenceSession(
        (folder / "exported.onnx").read_bytes(), providers=["CPUExecutionProvider"]
    )
    recording = zoo.open_recording(folder / PLAY)
    seen = recording.observations(0)
    feed = seen.permute(0, 2, 3, 1) if kind == "bytes" else seen.float() / 255
    theirs = session.run(None, {session.get_inputs()[0].name: feed.contiguous().numpy()})
    output, *values = sorted(theirs, key=lambda given: -given.size)
    np.testing.assert_allclose(recording.outputs[:, 0], output, atol=1e-5)
    network = zoo.load(folder / AGENT)
    found = zoo.activations(network, recording)
    np.testing.assert_allclose(found["output"][:, 0], output, atol=1e-5)
    assert ("value" in found) == bool(values)
    if values:
        np.testing.assert_allclose(found["value"][:, 0], values[0].reshape(-1, 1), atol=1e-5)
    # kept as float16
    np.testing.assert_allclose(recording.activations[maps], found[maps], atol=1e-3)
    monkeypatch.chdir(folder)
    words = ["convert", AGENT, "--float16", "-o", "half.onnx", "--force"]
    assert run(*words, monkeypatch=monkeypatch) is None
    half = zoo.load(folder / "half.onnx")
    assert (folder / "half.onnx").stat().st_size < 0.8 * (folder / AGENT).stat().st_size
    with torch.no_grad():  # float16 has 11 bits
        np.testing.assert_allclose(half(seen).numpy(), output, atol=2e-3 * np.abs(output).max())


@pytest.fixture(scope="module")
def wrapped():
    """A module in memory, and play of it."""
    torch.manual_seed(0)
    network = zoo.wrap(Impala(), "Pong")
    keep = ["screens", "frames", "outputs"]
    return network, zoo.rollout(network, steps=4, envs=1, seed=0, keep=keep, layers=["body.5"])


def test_a_module_in_memory_is_looked_into(wrapped, tmp_path: Path) -> None:
    network, recording = wrapped
    seen = recording.observations()[:2].float() / 255
    field = receptive_field(network, "body.5", 3, 4).whole
    (found,) = patches(network, recording, "body.5", [1])
    assert found.patches[0].field.whole.height == field.height
    save_patches([found], tmp_path / "patches.png")
    save_filters(network, tmp_path / "filters.png")
    activation_movie(network, recording, tmp_path / "movie.mp4")
    atlas(network, recording, tmp_path / "atlas.html", layers=["body.5", "value", "output"])
    assert len(list(tmp_path.iterdir())) == 4
    assert len(unit_peaks(network, recording, layer="body.2.b").table) == 4
    for objective in ("output:FIRE", "value", "body.11.a:3", "fc:0..2"):
        assert render(network, objective, Settings(steps=1)).images.isfinite().all()
    value = attribute(network, seen, "gradient", "value").values
    pixels = seen.clone().requires_grad_()
    (expected,) = torch.autograd.grad(network.graph(pixels)[1].sum(), pixels)
    torch.testing.assert_close(value, expected, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("method", [method.name for method in methods()])
def test_every_method_on_a_module_in_memory(wrapped, method: str) -> None:
    """Functional ReLUs are refused where they would be silently wrong."""
    network, recording = wrapped
    seen = recording.observations()[2:3].float() / 255
    if method in ("guided_backprop", "deeplift", "deep_shap"):
        with pytest.raises(ValueError, match="ReLUs are no torch modules"):
            attribute(network, seen, method)
        return
    found = attribute(network, seen, method)
    assert found.values.shape[-2:] == (84, 84) and found.values.isfinite().all()
