"""PReLUs, of one slope or one for each unit: from ONNX, weights, modules saved whole, and
wrapped (Keras's: test_keras_files.py); onnxruntime and the modules themselves are the oracle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnxruntime
import pytest
import torch
from exporters import dynamo, scripted
from residual_networks import TorchBeast, lively
from torch import Tensor, nn

from atari_zoo import wrap
from atari_zoo.converters import (
    ConversionError,
    ImpalaNetwork,
    MnihNetwork,
    to_onnx,
    to_torch,
    verify,
)
from atari_zoo.converters.convert import read
from atari_zoo.converters.network.foreign import ForeignNetwork
from atari_zoo.converters.saving import save_as
from atari_zoo.converters.weights.slopes import SLOPES_ASSUMED
from atari_zoo.converters.weights.state_dicts import network_from_state_dict
from atari_zoo.viz.attribution import attribute

EXPORTERS = {"scripted": scripted, "dynamo": dynamo}


class Sloped(nn.Module):
    """Two convolutions and a dense layer, with a PReLU after each.

    kind: its slopes: "each" unit's, "one" for a layer, "shared" by all layers, "apart" (each, the
    PReLUs behind all layers in the file), or "one of two" layers.
    """

    def __init__(self, kind: str = "each") -> None:
        super().__init__()
        layers = [nn.Conv2d(4, 8, 8, 4), nn.Conv2d(8, 6, 4, 2), nn.Linear(6 * 81, 20)]
        bends: list[nn.Module] = [nn.PReLU(1 if kind == "one" else n) for n in (8, 6, 20)]
        if kind == "one of two":
            bends[1] = nn.ReLU()
        if kind == "shared":
            bends = [nn.PReLU()] * 3
        if kind in ("apart", "shared"):
            self.layers, self.bends = nn.ModuleList(layers), nn.ModuleList(bends[:1])
            self.bends.extend(bends[1:] if kind == "apart" else [])
        else:
            pairs = zip(layers, bends, strict=True)
            self.body = nn.ModuleList(nn.Sequential(*pair) for pair in pairs)
        self.policy, self.value = nn.Linear(20, 6), nn.Linear(20, 1)

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        x = seen / 255
        for number in range(3):
            x = x.flatten(1) if number == 2 else x
            if hasattr(self, "body"):
                x = self.body[number](x)
            else:
                x = self.bends[number % len(self.bends)](self.layers[number](x))
        return self.policy(x), self.value(x)


SLOPED = ("each", "one", "shared", "apart", "one of two")


def pixels(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, 4, 84, 84), dtype=torch.uint8, generator=generator)


def close(found: Tensor, expected: Tensor) -> None:
    """Nesting 1e-5 of the largest: float32 sums in another order."""
    assert found.shape == expected.shape and expected.abs().max() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-5 * float(expected.abs().max()), rtol=0)


@pytest.mark.parametrize(
    ("kind", "exporter"), [*((kind, "scripted") for kind in SLOPED), ("each", "dynamo")]
)
def test_graphs(kind: str, exporter: str) -> None:
    model = lively(Sloped(kind))
    graph = EXPORTERS[exporter](model, pixels(2).float())
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    found = to_torch(graph)
    assert isinstance(found, MnihNetwork)
    assert found.architecture.startswith("Mnih et al. (2013), ")
    assert ("PReLU" if kind in ("each", "apart", "one of two") else "LeakyReLU") in (
        found.architecture
    )
    again = to_torch(to_onnx(found))
    assert again.architecture == found.architecture
    half = to_torch(to_onnx(found, float16=True))
    for count in (1, 7):
        seen = pixels(count)
        expected = torch.from_numpy(session.run(None, {name: seen.float().numpy()})[0])
        with torch.no_grad():
            close(found(seen), expected)
            close(again(seen), expected)
            assert (half(seen) - expected).abs().max() < 0.02 * expected.abs().max()
    for written in (graph, to_onnx(found)):
        for row in verify(written):
            assert row.difference <= 1e-5 * max(row.magnitude, 1), row


@pytest.mark.parametrize("kind", SLOPED)
@pytest.mark.parametrize("whole", [False, True])
def test_weights_alone_and_modules_saved_whole(tmp_path: Path, kind: str, whole: bool) -> None:
    model = lively(Sloped(kind))
    torch.save(model if whole else model.state_dict(), tmp_path / "model.pt")
    source = read(tmp_path / "model.pt")
    assert isinstance(source.model, MnihNetwork) and SLOPES_ASSUMED in source.assumptions
    seen = pixels(3)
    with torch.no_grad():
        close(source.model(seen), model(seen.float())[0])


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_slopes_go_out_as_weights_and_come_back(tmp_path: Path, suffix: str) -> None:
    model = lively(Sloped())
    network = network_from_state_dict(model.state_dict())
    save_as(to_onnx(network), tmp_path / f"agent{suffix}")
    source = read(tmp_path / f"agent{suffix}")
    assert isinstance(source.model, MnihNetwork) and not source.assumptions
    seen = pixels(3)
    with torch.no_grad():
        close(source.model(seen), model(seen.float())[0])


class Residual(TorchBeast):
    """With one PReLU in the place of all ReLUs."""

    def __init__(self) -> None:
        super().__init__(beside=0)
        self.bend = nn.PReLU()

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        x = seen.float() / 255
        for first, *blocks in zip(self.feat_convs, self.resnet1, self.resnet2, strict=True):
            x = first(x)
            for block in blocks:
                x = x + block[3](self.bend(block[1](self.bend(x))))
        x = self.bend(self.fc(self.bend(x).flatten(1)))
        return self.policy(x), self.baseline(x)


def test_a_residual_network_with_one_slope_has_its_name_from_its_graph() -> None:
    model = lively(Residual())
    found = to_torch(scripted(model, pixels(2).float()))
    assert isinstance(found, ImpalaNetwork)
    assert found.architecture.startswith("IMPALA's ResNet, LeakyReLU (")
    for count in (1, 7):
        with torch.no_grad():
            close(found(pixels(count)), model(pixels(count))[0])


class Mixed(TorchBeast):
    """With slopes of their own in each block: a graph without a name."""

    def __init__(self) -> None:
        super().__init__(beside=0)
        for blocks in (self.resnet1, self.resnet2):
            for block in blocks:
                block[0], block[2] = (nn.PReLU(len(block[1].weight)) for _ in range(2))

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        x = seen.float() / 255
        for first, one, two in zip(self.feat_convs, self.resnet1, self.resnet2, strict=True):
            x = first(x)
            x = x + one(x)
            x = x + two(x)
        x = self.fc(x.relu().flatten(1)).relu()
        return self.policy(x), self.baseline(x)


def test_other_residual_networks_stay_right_and_weights_alone_are_refused() -> None:
    model = lively(Mixed())
    found = to_torch(scripted(model, pixels(2).float()))
    assert isinstance(found, ForeignNetwork)
    for count in (1, 7):
        with torch.no_grad():
            close(found(pixels(count)), model(pixels(count))[0])
    plain = {f"x.{name}": tensor for name, tensor in Residual().state_dict().items()}
    for weights in (model.state_dict(), Residual().state_dict(), plain):
        with pytest.raises(ConversionError) as caught:
            network_from_state_dict(weights)
        assert "\n" not in str(caught.value)


def changed(**changes: Tensor | None) -> dict[str, Tensor]:
    weights = Sloped().state_dict() | {k.replace("__", "."): v for k, v in changes.items()}
    return {name: tensor for name, tensor in weights.items() if tensor is not None}


REFUSED: dict[str, tuple[Callable[[], dict[str, Tensor]], str]] = {
    "of another number": (
        lambda: changed(body__1__1__weight=torch.ones(5)),
        r"convolutions and dense layers were expected; .* 3 others \('body.0.1'\)",
    ),
    "after the output": (
        lambda: changed(value__a__weight=torch.ones(1)),
        r"beside its layers it has 'value.\(PReLU\)' \(1,\), whose part is not known",
    ),
    "no numbers": (
        lambda: changed(body__0__1__weight=torch.full((8,), float("nan"))),
        "slopes of a PReLU that are no numbers",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_slopes_that_fit_nothing_are_refused_in_one_line(case: str) -> None:
    make, message = REFUSED[case]
    with pytest.raises(ConversionError, match=message) as caught:
        network_from_state_dict(make())
    assert "\n" not in str(caught.value)


def test_a_wrapped_module_and_attributions() -> None:
    """DeepLIFT sums to the rise, through the graph's modules and through the user's own."""
    model = lively(Sloped())
    wrapped = wrap(model, "Pong", preprocessing="deepmind", input_range="0..255")
    found = to_torch(scripted(model, pixels(2).float()))
    seen = pixels(2)
    with torch.no_grad():
        close(wrapped(seen), model(seen.float())[0])
    lifted = [attribute(net, seen.float() / 255, "deeplift", 1) for net in (wrapped, found)]
    for one in lifted:
        assert one.values.abs().sum() > 0.01 and one.delta.abs().max() < 1e-4
    torch.testing.assert_close(lifted[0].values, lifted[1].values, atol=1e-5, rtol=1e-3)
