"""IMPALA's ResNet with normalisation layers in its blocks, as Procgen's variants have it; the
modules themselves and onnxruntime are the oracle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from exporters import dynamo, scripted
from residual_networks import lively, places
from torch import Tensor, nn

from atari_zoo import wrap
from atari_zoo.converters import ConversionError, ImpalaNetwork, to_onnx, to_torch, verify
from atari_zoo.converters.network.foreign import ForeignNetwork
from atari_zoo.converters.weights.state_dicts import network_from_state_dict

WIDTHS, ACTIONS = (4, 6), 6
NORMS: dict[str, Callable[[int, int], nn.Module]] = {  # of so many channels, of such a side
    "batch": lambda channels, side: nn.BatchNorm2d(channels),
    "layer": lambda channels, side: nn.LayerNorm([channels, side, side]),
    "group": lambda channels, side: nn.GroupNorm(2, channels),
    "one group": lambda channels, side: nn.GroupNorm(1, channels),
}


class Block(nn.Module):
    """first: each norm stands before its convolution's ReLU, as He et al. (2016, arXiv:1603.05027)
    have it; else behind the convolution, as Cobbe et al. (2019, arXiv:1812.02341) have it."""

    def __init__(self, norm: Callable[[int, int], nn.Module], width: int, side: int, first: bool):
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.norm1, self.norm2 = (norm(width, side) for _ in range(2))
        self.first = first

    def forward(self, x: Tensor) -> Tensor:
        if self.first:
            y = self.conv1(F.relu(self.norm1(x)))
            return x + self.conv2(F.relu(self.norm2(y)))
        y = self.norm1(self.conv1(F.relu(x)))
        return x + self.norm2(self.conv2(F.relu(y)))


class Normalised(nn.Module):
    def __init__(self, kind: str, first: bool) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        channels, side = 4, 84
        for width in WIDTHS:
            parts.append(nn.Conv2d(channels, width, 3, padding=1))
            if not first:
                parts.append(NORMS[kind](width, side))
            channels, side = width, (side + 1) // 2
            parts.append(nn.MaxPool2d(3, 2, 1))
            parts += [Block(NORMS[kind], width, side, first) for _ in range(2)]
        self.body = nn.Sequential(*parts)
        self.fc = nn.Linear(channels * places(84, len(WIDTHS)), 24)
        self.policy, self.value = nn.Linear(24, ACTIONS), nn.Linear(24, 1)

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.body(seen / 255)).flatten(1)
        x = F.relu(self.fc(x))
        return self.policy(x), self.value(x)


def normalised(kind: str, first: bool) -> nn.Module:
    """With weights and statistics that matter."""
    model = lively(Normalised(kind, first))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return model


def pixels(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, 4, 84, 84), dtype=torch.uint8, generator=generator)


def close(found: Tensor, expected: Tensor) -> None:
    """Nesting 1e-5 of the largest: float32 sums in another order."""
    assert found.shape == expected.shape and expected.abs().max() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-5 * float(expected.abs().max()), rtol=0)


EACH = [(kind, first) for kind in NORMS for first in (False, True)]
NEWER = [("batch", True), ("group", False)]  # the newer exporter takes seconds


@pytest.mark.parametrize(
    ("kind", "first", "exporter"),
    [*((*case, scripted) for case in EACH), *((*case, dynamo) for case in NEWER)],
)
def test_graphs(kind: str, first: bool, exporter: Callable[..., object]) -> None:
    """A batch norm behind a convolution is that convolution, other weights aside."""
    model = normalised(kind, first)
    graph = exporter(model, pixels(2).float())
    found = to_torch(graph)
    named = kind == "batch" and not first
    assert type(found) is (ImpalaNetwork if named else ForeignNetwork)
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    for count in (1, 7):
        seen = pixels(count)
        expected = torch.from_numpy(session.run(None, {name: seen.float().numpy()})[0])
        with torch.no_grad():
            close(found(seen), expected)
            close(model(seen.float())[0], expected)
            if named:
                close(to_torch(to_onnx(found))(seen), expected)
    for row in verify(graph):
        assert row.difference <= 1e-5 * max(row.magnitude, 1), row


@pytest.mark.parametrize("kind", ["batch", "group"])
def test_weights_alone_do_not_tell_and_say_what_would_help(tmp_path: Path, kind: str) -> None:
    model = normalised(kind, first=False)
    with pytest.raises(
        ConversionError, match=r"others \('body.1'\).*to ONNX, or .*zoo.wrap"
    ) as one:
        network_from_state_dict(model.state_dict())
    torch.save(model, tmp_path / "model.pt")
    with pytest.raises(
        ConversionError, match=r"'body.1' is a .*Norm.*to ONNX, or .*zoo.wrap"
    ) as two:
        to_torch(tmp_path / "model.pt")
    assert "\n" not in str(one.value) + str(two.value)


@pytest.mark.parametrize(("kind", "first"), EACH)
def test_wrapped_modules(kind: str, first: bool) -> None:
    """As they play, though they were left in training; what they have learnt stays as it is."""
    model = normalised(kind, first)
    with torch.no_grad():
        expected = {count: model(pixels(count).float())[0] for count in (1, 7)}
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    agent = wrap(model.train(), "Pong", preprocessing="deepmind", input_range="0..255")
    for count, wanted in expected.items():
        with torch.no_grad():
            close(agent(pixels(count)), wanted)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, kept[name]), name
