"""Architectures with a name, recognised in what torch's exporters write of them; onnxruntime knows
what each file computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from exporters import dynamo, scripted
from real_policies import CASES, POLICIES, needs_policies
from residual_networks import TorchBeast, lively
from safetensors.torch import load_file
from scripted_networks import NATURE, NIPS, Scripted
from torch import Tensor, nn

from atari_zoo.converters import (
    AgentNetwork,
    ConversionError,
    ImpalaNetwork,
    MnihNetwork,
    to_onnx,
    to_torch,
    verify,
)
from atari_zoo.converters.convert import read, written
from atari_zoo.converters.network.activations import (
    GRID,
    KINDS,
    MODULES,
    Activation,
    activation_of,
)
from atari_zoo.converters.network.foreign import ForeignNetwork
from atari_zoo.converters.network.heads import (
    ActorCriticHead,
    CategoricalHead,
    DuelingHead,
    PolicyHead,
)
from atari_zoo.converters.network.impala import (
    BlockShape,
    ImpalaTrunk,
    impala_blocks,
)
from atari_zoo.converters.network.networks import ConvShape, DenseShape, Trunk, mnih_convolutions
from atari_zoo.converters.recognition.recognise import recognise
from atari_zoo.converters.reports import report
from atari_zoo.converters.saving import save_as
from atari_zoo.play.inference import Inference

EXPORTERS: dict[str, Callable[[nn.Module, Tensor], onnx.ModelProto]] = {
    "scripted": scripted,
    "dynamo": dynamo,
}


class Residual(TorchBeast):
    """IMPALA's residual network with any activation function. before: of its pools."""

    def __init__(
        self, bend: Callable[[Tensor], Tensor] = F.relu, before: int = 1, **sizes: Any
    ) -> None:
        super().__init__(beside=0, **sizes)
        self.shape = (4, 84, 84)
        self.bend, self.before = bend, before

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        x = seen.float() / 255
        for first, *blocks in zip(self.feat_convs, self.resnet1, self.resnet2, strict=True):
            x = first[0](x)
            x = F.max_pool2d(x, 3, 2, self.before, ceil_mode=not self.before)
            for block in blocks:
                x = x + block[3](self.bend(block[1](self.bend(x))))
        x = self.bend(self.fc(self.bend(x).flatten(1)))
        return self.policy(x), self.baseline(x)


CASES_BY_NAME: dict[str, tuple[Callable[[], Any], type[AgentNetwork], str]] = {
    "2015": (lambda: Scripted(NATURE), MnihNetwork, "Mnih et al. (2015)"),
    "2013": (lambda: Scripted(NIPS), MnihNetwork, "Mnih et al. (2013)"),
    "2013, one frame of 80x80": (
        lambda: Scripted(NIPS, shape=(1, 80, 80)),
        MnihNetwork,
        "Mnih et al. (2013)",
    ),
    "eight frames": (
        lambda: Scripted(NATURE, shape=(8, 84, 84)),
        MnihNetwork,
        "Mnih et al. (2015)",
    ),
    "no dense layer": (lambda: Scripted(NATURE, ()), MnihNetwork, "Mnih et al. (2015)"),
    "two dense layers": (
        lambda: Scripted(NIPS, (20, 14)),
        MnihNetwork,
        "Mnih et al. (2013), 2 dense layers",
    ),
    "other strides": (
        lambda: Scripted(((6, 8, 4), (8, 3, 2), (8, 3, 1))),
        MnihNetwork,
        "3 convolutions",
    ),
    "ELU": (lambda: Scripted(NATURE, bend=F.elu), MnihNetwork, "Mnih et al. (2015), ELU (1)"),
    "GELU, dueling streams": (
        lambda: Scripted(NATURE, (), F.gelu, dueling=True),
        MnihNetwork,
        "Mnih et al. (2015), GELU",
    ),
    "ResNet": (Residual, ImpalaNetwork, "IMPALA's ResNet"),
    "ResNet, four parts": (
        lambda: Residual(widths=(3, 4, 5, 6)),
        ImpalaNetwork,
        "IMPALA's ResNet",
    ),
    "ResNet, pools as TensorFlow pads": (
        lambda: Residual(before=0, widths=(4, 5)),
        ImpalaNetwork,
        "IMPALA's ResNet",
    ),
    "ResNet, SiLU": (lambda: Residual(F.silu), ImpalaNetwork, "IMPALA's ResNet, SiLU"),
}


def pixels(shape: tuple[int, int, int], count: int) -> Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=generator)


def through_onnxruntime(model: onnx.ModelProto, seen: Tensor) -> Tensor:
    """The first output, of numbers in 0..255."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    given = {session.get_inputs()[0].name: seen.float().numpy()}
    return torch.from_numpy(session.run(None, given)[0])


def close(found: Tensor, expected: Tensor) -> None:
    """Nesting 1e-5 of the largest: float32 sums in another order."""
    assert found.shape == expected.shape and expected.abs().max() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-5 * float(expected.abs().max()), rtol=0)


# the newer exporter takes seconds, and writes most of them as the older one does
NEWER = ("2013, one frame of 80x80", "GELU, dueling streams", "no dense layer", "ResNet, SiLU")
NEWER += ("ResNet, pools as TensorFlow pads",)


@pytest.mark.parametrize(
    ("case", "exporter"),
    [*((case, "scripted") for case in CASES_BY_NAME), *((case, "dynamo") for case in NEWER)],
)
def test_a_named_architecture_is_recognised(case: str, exporter: str) -> None:
    make, kind, words = CASES_BY_NAME[case]
    model = lively(make())
    graph = EXPORTERS[exporter](model, pixels(model.shape, 2).float())
    found = to_torch(graph)
    assert type(found) is kind and found.architecture == words and found.shape == model.shape
    again = to_torch(to_onnx(found))
    assert type(again) is kind and repr(again.trunk) == repr(found.trunk)
    for count in (1, 7):
        seen = pixels(model.shape, count)
        expected = through_onnxruntime(graph, seen)
        with torch.no_grad():
            close(found(seen), expected)
            close(again(seen), expected)
    for written_graph in (graph, to_onnx(found)):
        agreements = verify(written_graph)
        assert [row.layer for row in agreements] == list(found.layers)
        for row in agreements:
            assert row.difference <= 1e-5 * max(row.magnitude, 1), row


@pytest.mark.parametrize("exporter", [*EXPORTERS, "ours"])
def test_every_activation_function_is_told(exporter: str) -> None:
    """Each after a dense layer of one network, and some after its convolutions and in its streams;
    torch's modules are the oracle."""
    kinds = [kind for kind in KINDS if not KINDS[kind].each_unit]  # those: test_prelu.py
    functions = [Activation(kind, (0.3,) if KINDS[kind].fitted(GRID) else ()) for kind in kinds]
    convolutions = [
        ConvShape(5, (size, size), (step, step), activation=function)
        for size, step, function in zip((8, 4, 3), (4, 2, 1), functions[2:], strict=False)
    ]
    trunk = Trunk(convolutions, [DenseShape(9, function) for function in functions])
    model = MnihNetwork(trunk, PolicyHead(9, 6))
    streams = MnihNetwork(
        Trunk(convolutions, None), DuelingHead(245, 6, 8, Activation("gelu_tanh"))
    )
    for made in (model, streams):
        lively(made)
        seen = pixels((4, 84, 84), 3)
        graph = (
            to_onnx(made) if exporter == "ours" else EXPORTERS[exporter](made, seen.float() / 255)
        )
        found = to_torch(graph)
        assert isinstance(found, MnihNetwork)
        assert repr(found.trunk) == repr(made.trunk)
        for before, after in zip(found.layers.values(), made.layers.values(), strict=True):
            assert repr(before) == repr(after)
        with torch.no_grad():
            close(found(seen), made(seen))


def test_functions_that_are_nearly_alike_are_told_apart() -> None:
    """By torch's own: GELU by erf and by tanh are 5e-4 apart, a slope of 0.01 and 0.0101 less."""
    grid = torch.from_numpy(GRID)
    expected = {
        F.gelu: Activation("gelu"),
        lambda x: F.gelu(x, approximate="tanh"): Activation("gelu_tanh"),
        lambda x: F.leaky_relu(x, 0.01): Activation("leaky_relu", (0.01,)),
        lambda x: F.leaky_relu(x, 0.0101): Activation("leaky_relu", (0.0101,)),
        lambda x: F.leaky_relu(x, 0.0): Activation("relu"),
        lambda x: F.elu(x, 0.5): Activation("elu", (0.5,)),
        lambda x: F.celu(x, 0.5): Activation("celu", (0.5,)),
    }
    for function, named in expected.items():
        assert activation_of(function(grid).numpy()) == named
    for function in (torch.sin, torch.square, lambda x: 2 * F.relu(x), lambda x: F.relu(x) + 1e-3):
        with pytest.raises(ConversionError, match=r"no name here: .* at -1, .* at 1"):
            activation_of(function(grid).numpy())


def test_a_layers_modules_end_in_its_function() -> None:
    """So that hooks before and after it find it; none works in place."""
    for kind, row in KINDS.items():
        numbers = (0.3,) if row.fitted(GRID) else ()
        module = Activation(kind, (0.3, 0.1, 0.2, 0.0, 0.4) if row.each_unit else numbers).module()
        assert isinstance(module, MODULES) == (kind != "identity")
        given = torch.linspace(-2, 2, 5)[None]
        module(given)
        assert torch.equal(given, torch.linspace(-2, 2, 5)[None])


class PoolOfTwo(Residual):
    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        x = seen.float() / 255
        for first, *blocks in zip(self.feat_convs, self.resnet1, self.resnet2, strict=True):
            x = F.max_pool2d(first[0](x), 2, 2, ceil_mode=True)
            for block in blocks:
                x = x + block[3](F.relu(block[1](F.relu(x))))
        x = F.relu(self.fc(F.relu(x).flatten(1)))
        return self.policy(x), self.baseline(x)


class Pooled(Scripted):
    def __init__(self) -> None:
        super().__init__(((6, 8, 4), (8, 3, 1)))
        self.dense[0] = nn.Linear(8 * 81, 20)

    def forward(self, seen: Tensor) -> Tensor:
        x = F.relu(self.convolutions[0](seen.float() / 255))
        x = F.max_pool2d(F.relu(self.convolutions[1](x)), 2).flatten(1)
        return self.policy(F.relu(self.dense[0](x)))


class Wide(Residual):
    def __init__(self) -> None:
        super().__init__()
        self.resnet2[1][3] = nn.Conv2d(6, 6, 5, padding=2)


class Bent(Residual):
    """Of two functions."""

    def __init__(self) -> None:
        super().__init__()
        self.bend = lambda x: F.elu(x) if x.shape[-1] == 21 else F.relu(x)


UNNAMED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "sine": (lambda: Scripted(NIPS, bend=torch.sin), "Sin"),
    "square": (lambda: Scripted(NIPS, bend=lambda x: x * x), "has no name here: 1 at -1, 0 at 0"),
    "kernels of 5": (Wide, r"at '.*' \(conv\) a 3x3 convolution that keeps the map's size was"),
    "two functions": (Bent, r"at '.*' \(sum\) a residual block's sum was expected"),
    "another pool": (PoolOfTwo, r"at '.*' \(pool\) a pool of 3x3 by 2 was expected"),
    "a pool in a plain one": (Pooled, r"at '.*' \(pool\) a pool of a convolution was expected"),
}


@pytest.mark.parametrize("case", UNNAMED)
def test_what_has_no_name_stays_foreign_and_right(case: str) -> None:
    make, reason = UNNAMED[case]
    model = lively(make())
    seen = pixels((4, 84, 84), 3)
    graph = scripted(model, seen.float())
    with pytest.raises(ConversionError, match=reason) as caught:
        recognise(graph)
    assert "\n" not in str(caught.value)
    found = to_torch(graph)
    assert isinstance(found, ForeignNetwork) and found.architecture == "another architecture's"
    with torch.no_grad():
        close(found(seen), through_onnxruntime(graph, seen))


def test_onnxruntime_plays_every_named_kind() -> None:
    function = Activation("elu", (1.0,))
    made: list[AgentNetwork] = [
        MnihNetwork(
            Trunk(mnih_convolutions((4, 4)), [DenseShape(8, function)], (2, 80, 80)),
            ActorCriticHead(8, 6),
        ),
        ImpalaNetwork(ImpalaTrunk([BlockShape(4), BlockShape(5, 1, 0)], 8), CategoricalHead(8, 6)),
    ]
    for network in made:
        lively(network)
        layers = [name for name in network.layers if name != "output"]
        seen = pixels(network.shape, 5)
        for backend in ("auto", "trial"):
            inference = Inference(network, layers, backend=backend)
            if backend == "auto":
                assert inference.backend == "onnxruntime"
            outputs, values = inference(seen)
            inference.close()
            plain = Inference(network, layers, backend="torch")
            with torch.no_grad():
                expected, kept = plain(seen)
            plain.close()
            close(outputs, expected)
            for name in layers:
                close(values[name], kept[name])


def test_reports_say_the_architecture(tmp_path: Path) -> None:
    from atari_zoo.models import facts_about

    network = ImpalaNetwork(
        ImpalaTrunk(impala_blocks((4, 5, 6), same=(84, 84)), 8), ActorCriticHead(8, 6)
    )
    save_as(to_onnx(lively(network)), tmp_path / "agent.onnx")
    source = read(tmp_path / "agent.onnx")
    model = written(source)
    rows = dict(report(source, model, to_torch(model)).rows())
    assert rows["network"] == "IMPALA's ResNet" and rows["fc"] == "8 units"
    same = "SAME (0 left, 1 right, 0 above, 1 below)"
    assert rows["block1"].endswith(f"; pool 3x3 by 2, {same}; 2 residual blocks")
    assert rows["block3"].startswith("6 filters 3x3, stride 1, SAME (1 left")
    assert facts_about(tmp_path / "agent.onnx")["architecture"] == "IMPALA's ResNet"
    elu = MnihNetwork(
        Trunk([ConvShape(4, (8, 8), (4, 4), activation=Activation("elu", (1.0,)))], 8),
        ActorCriticHead(8, 6),
    )
    save_as(to_onnx(lively(elu)), tmp_path / "agent.onnx")
    source = read(tmp_path / "agent.onnx")
    rows = dict(report(source, written(source), to_torch(written(source))).rows())
    assert rows["network"] == "1 convolution, ELU (1)" and rows["conv1"].endswith("VALID, ELU (1)")


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_weights_that_would_be_read_as_another_network_are_not_written(
    tmp_path: Path, suffix: str
) -> None:
    """They do not tell a function, nor how a pool is padded."""
    function = Activation("elu", (1.0,))
    shapes = [
        ConvShape(c.channels, c.kernel, c.stride, activation=function)
        for c in mnih_convolutions((4, 4, 4))
    ]
    trunk = ImpalaTrunk(impala_blocks((4, 5), same=(84, 84)), 8)
    for network, message in (
        (MnihNetwork(Trunk(shapes, 8), ActorCriticHead(8, 6)), r"ELU \(1\).* would be read as"),
        (ImpalaNetwork(trunk, ActorCriticHead(8, 6)), "would be read as IMPALA's ResNet"),
    ):
        with pytest.raises(ConversionError, match=message):
            save_as(to_onnx(lively(network)), tmp_path / f"agent{suffix}")
    assert not list(tmp_path.iterdir())


@needs_policies
@pytest.mark.parametrize("name", [case[0] for case in CASES])
def test_a_real_policy_in_other_words_keeps_its_outputs(name: str) -> None:
    """ReLU as a leaky one without a slope, and as a half of x and of its magnitude."""
    weights = load_file(POLICIES / f"{name}.safetensors")
    bends: dict[str, Callable[[Tensor], Tensor]] = {
        "leaky": lambda x: F.leaky_relu(x, 0.0),
        "half": lambda x: 0.5 * x + 0.5 * x.abs(),
        "maximum": lambda x: torch.maximum(x, torch.zeros(())),
    }
    last, actions = len(weights["base.main.4.bias"]), len(weights["dist.linear.bias"])
    for words, bend in bends.items():
        model = Scripted(((32, 8, 4), (64, 4, 2), (last, 3, 1)), (512,), bend)
        model.policy = nn.Linear(512, actions)
        names = ["base.main.0", "base.main.2", "base.main.4", "base.main.7", "dist.linear"]
        layers = [*model.convolutions, *model.dense, model.policy, model.value]
        for layer, place in zip(layers, [*names, "base.critic_linear"], strict=True):
            layer.load_state_dict({part: weights[f"{place}.{part}"] for part in ("weight", "bias")})
        seen = pixels((4, 84, 84), 7)
        found = to_torch(scripted(model.eval(), seen.float()))
        assert found.architecture == "Mnih et al. (2015)", words
        with torch.no_grad():
            close(found(seen), model(seen)[0])
            close(to_torch(POLICIES / f"{name}.safetensors")(seen), model(seen)[0])


def test_samples_on_the_grid_hold_what_is_looked_up() -> None:
    assert {0.0, 1.0, -1.0, -8.0, -30.0} <= set(map(float, GRID)) and GRID.dtype == np.float32
