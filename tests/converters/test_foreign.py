"""Graphs of other architectures as their exporters leave them: other layouts, types and batches;
against the module that was exported, and onnxruntime."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

import atari_zoo as zoo
from atari_zoo.analysis.peaks import peaks
from atari_zoo.converters import ConversionError, MnihNetwork, to_torch, verify
from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.interchange import write_card
from atari_zoo.converters.network.foreign import ForeignNetwork
from atari_zoo.converters.network.heads import QHead
from atari_zoo.converters.network.hooks import recorded
from atari_zoo.converters.network.networks import Trunk
from atari_zoo.converters.saving import save_as
from atari_zoo.models import convert
from atari_zoo.viz.attribution.attribution import attribute_layer


class Agent(nn.Module):
    """A pooling goes where Mnih et al. have none; flattened as an exporter sees it."""

    def __init__(self, shape: tuple[int, int, int] = (4, 84, 84), last: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.shape, self.last = shape, last
        side = shape[1] // 4 // 2
        self.one, self.out = nn.Conv2d(shape[0], 16, 4, 4), nn.Linear(16 * side * side, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 3, 1, 2) if self.last else x
        x = torch.max_pool2d(torch.relu(self.one(x)), 2)
        return self.out(x.reshape(x.shape[0], -1))


class AcrossTheBatch(Agent):
    """Alone an observation is what it is; beside others it is another."""

    def forward(self, x: Tensor) -> Tensor:
        features = torch.max_pool2d(torch.relu(self.one(x)), 2).reshape(x.shape[0], -1)
        return self.out(features * features.amax(0, keepdim=True))


def mnih() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(4, 32, 8, 4), nn.ReLU(), nn.Conv2d(32, 64, 4, 2), nn.ReLU(),
        nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3136, 512), nn.ReLU(),
        nn.Linear(512, 6),
    )  # fmt: skip


def exported(model: nn.Module, seen: Tensor, fixed: bool = False) -> onnx.ModelProto:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(), (seen,), file, dynamo=False, input_names=["x"],
            dynamic_axes=None if fixed else {"x": {0: "n"}},
        )  # fmt: skip
    return onnx.load_from_string(file.getvalue())


def observations(*shape: int, count: int = 4) -> Tensor:
    drawn = np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)
    return torch.from_numpy(drawn)


def test_frames_as_the_last_axis() -> None:
    model = Agent(last=True)
    seen = observations(4, 84, 84)
    graph = exported(model, seen.permute(0, 2, 3, 1) / 255)
    found = to_torch(graph)
    assert isinstance(found, ForeignNetwork) and found.shape == (4, 84, 84)
    with torch.no_grad():
        expected = model(seen.permute(0, 2, 3, 1) / 255)
        torch.testing.assert_close(found(seen), expected, atol=1e-5, rtol=1e-5)
    (row,) = verify(graph)
    assert row.difference < 1e-5 < row.magnitude


@pytest.mark.parametrize("kind, batch", [(Agent, 1), (Agent, 3), (AcrossTheBatch, 1)])
def test_a_fixed_batch_takes_any_number(kind: type[Agent], batch: int) -> None:
    model = kind()
    seen = observations(4, 84, 84)
    graph = exported(model, seen[:batch] / 255, fixed=True)
    found = to_torch(graph)
    assert isinstance(found, ForeignNetwork)
    assert found.batch == (1 if kind is AcrossTheBatch else 0)  # all at once where that is right
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    alone = [seen[i : i + 1].numpy().repeat(batch, 0).astype(np.float32) / 255 for i in range(4)]
    expected = np.concatenate([session.run(None, {"x": one})[0][:1] for one in alone])
    with torch.no_grad():
        np.testing.assert_allclose(found(seen).numpy(), expected, atol=1e-5)
    assert verify(graph)[0].difference < 1e-5


@pytest.mark.parametrize("batch", [1, 3])
def test_layers_of_a_fixed_batch_are_of_all_observations(batch: int) -> None:
    """What runs in parts, the last one filled up, leaves them all."""
    seen = observations(4, 84, 84)
    found = to_torch(exported(AcrossTheBatch(), seen[:batch] / 255, fixed=True))
    layers = list(found.layers)
    assert isinstance(found, ForeignNetwork) and found.batch == batch and layers[0] != "output"
    with torch.no_grad(), recorded(found, layers) as values:
        outputs = found(seen)
        together = dict(values)
        alone = [(found(seen[at : at + batch]), dict(values)) for at in range(0, 4, batch)]
    assert torch.equal(together["output"], outputs)
    assert torch.equal(outputs, torch.cat([output for output, _ in alone]))
    for layer in layers:
        expected = torch.cat([kept[layer] for _, kept in alone])
        assert len(expected) == 4 and torch.equal(together[layer], expected)
    assert len(peaks(found, seen, layers[0]).values) == 4
    play = zoo.rollout(
        found, steps=2, envs=4, game="Pong", layers=["output"], keep=["screens", "outputs"]
    )
    np.testing.assert_allclose(play.activations["output"], play.outputs, atol=1e-2)
    with pytest.raises(ValueError, match=f"takes {batch} observation.* export it with an open"):
        attribute_layer(found, seen[:2], layers[0], "conductance")
    slopes = attribute_layer(found, seen[:batch], layers[0], "gradient_x_activation")
    assert len(slopes) == batch


@pytest.mark.parametrize("make, kind", [(mnih, MnihNetwork), (Agent, ForeignNetwork)])
def test_half_precision_is_computed_in_float32(
    make: Callable[[], nn.Module], kind: type, tmp_path
) -> None:
    model, seen = make().half(), observations(4, 84, 84)
    graph = exported(model, (seen / 255).half())
    found = to_torch(graph)
    assert isinstance(found, kind)
    with torch.no_grad():  # the same weights, in the exporter's own module
        expected = model.float()(seen / 255)
        torch.testing.assert_close(found(seen), expected, atol=1e-5, rtol=1e-5)
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    halves = session.run(None, {"x": (seen / 255).half().numpy()})[0]
    # float16 has 11 bits; the outputs are about .1, sums of thousands of terms
    np.testing.assert_allclose(expected.numpy(), halves, atol=5e-3)
    onnx.save(graph, tmp_path / "half.onnx")
    assert convert(tmp_path / "half.onnx", game="Pong").report.difference < 1e-4


@pytest.mark.parametrize("shape", [(1, 84, 84), (4, 64, 64)])
@pytest.mark.parametrize("known", [True, False], ids=["Mnih", "other"])
def test_who_sees_something_else_is_converted_and_not_played(shape, known: bool) -> None:
    card = ModelCard("dqn", "Pong")
    if known:
        trunk = Trunk(shape=shape)
        network: zoo.converters.Network = MnihNetwork(trunk, QHead(trunk.features, 6), card)
    else:
        graph = exported(Agent(shape), observations(*shape) / 255)
        assert verify(graph)[0].difference < 1e-5
        write_card(graph, card)
        network = to_torch(graph)
        assert network.shape == shape
    frames, height, _ = shape
    with pytest.raises(ValueError, match=rf"^dqn/Pong/1: the network sees .*\({frames}, {height}"):
        zoo.rollout(network.eval(), steps=1, envs=1)


def linear_graph(kind: int, outputs: int = 6, wrong: int = 0) -> onnx.ModelProto:
    """Flatten and a product; `wrong`: rows that the weights have too many."""
    weight = helper.make_tensor(
        "w", kind, [28224 + wrong, outputs], [0] * (28224 + wrong) * outputs
    )
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["product"]),
        helper.make_node("Sigmoid", ["product"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "agent",
        [helper.make_tensor_value_info("x", kind, ["n", 4, 84, 84])],
        [helper.make_tensor_value_info("y", kind, ["n", outputs])],
        [weight],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


@pytest.mark.parametrize(
    "graph, message",
    [
        (linear_graph(TensorProto.INT64), "takes bytes or floats; this one takes INT64"),
        (linear_graph(TensorProto.FLOAT, wrong=1), r"cannot be run on observations of \(4, 84, 84"),
    ],
)
def test_what_cannot_be_run_gets_one_line(graph: onnx.ModelProto, message: str) -> None:
    with pytest.raises(ConversionError, match=message) as caught:
        to_torch(graph)
    assert "\n" not in str(caught.value)


def test_double_precision() -> None:
    found, seen = to_torch(linear_graph(TensorProto.DOUBLE)), observations(4, 84, 84)
    torch.testing.assert_close(found(seen), torch.full((4, 6), 0.5))
    assert verify(linear_graph(TensorProto.DOUBLE))[0].difference < 1e-6


def test_external_data_behind_the_links_of_a_cache(tmp_path: Path) -> None:
    """huggingface_hub's cache: snapshots/REVISION/NAME are links into blobs/HASH."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "abc"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    model, seen = mnih().eval(), observations(4, 84, 84)
    onnx.save(
        exported(model, seen / 255), blobs / "model.onnx",
        save_as_external_data=True, location="model.onnx.data", size_threshold=0,
    )  # fmt: skip
    for number, name in enumerate(("model.onnx", "model.onnx.data")):
        (blobs / name).rename(blobs / str(number))
        (snapshot / name).symlink_to(f"../../blobs/{number}")
    with torch.no_grad():
        found = to_torch(snapshot / "model.onnx")
        torch.testing.assert_close(found(seen), model(seen / 255), atol=1e-5, rtol=1e-5)
    (tmp_path / "elsewhere").write_bytes((blobs / "1").read_bytes())
    (snapshot / "model.onnx.data").unlink()
    (snapshot / "model.onnx.data").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConversionError, match="external data are links to elsewhere"):
        to_torch(snapshot / "model.onnx")


@pytest.mark.parametrize(
    "content, message",
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", r"a Git LFS pointer.*pull"),
        (b"\n<!doctype HTML>\n<title>", "a web page, not a model"),
    ],
)
@pytest.mark.parametrize("name", ["agent.onnx", "agent.pth", "agent.zip"])
def test_what_stands_in_a_models_place_is_told(tmp_path, name, content, message) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConversionError, match=message) as caught:
        zoo.load(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)


QUIET = """
import numpy, torch
import atari_zoo as zoo
from atari_zoo.converters import to_onnx, verify
network = zoo.load("a2c/Pong/1")
zoo.rollout(network, steps=1, envs=1, backend="onnxruntime")
verify(to_onnx(network))
"""


@pytest.mark.parametrize("writable", [True, False])
def test_nothing_is_written_at_home_nor_said(tmp_path: Path, writable: bool) -> None:
    """onnxruntime's telemetry is off: it would leave an id and a queue of events."""
    home = tmp_path if writable else Path("/dev/null/home")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "ORT_"))}
    done = subprocess.run(
        [sys.executable, "-c", QUIET], env=environment | {"HOME": str(home)}, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_weights_that_are_not_numbers_are_told_and_not_played(tmp_path) -> None:
    model = Agent()
    with torch.no_grad():
        model.out.weight[2, 7] = float("nan")
    onnx.save(exported(model, observations(4, 84, 84) / 255), tmp_path / "diverged.onnx")
    with pytest.warns(UserWarning, match=r"diverged.onnx: weights that are not finite") as told:
        network = zoo.load(tmp_path / "diverged.onnx", input_range="0..1")
    assert len(told) == 1
    with pytest.raises(ValueError, match=r"weights in '.*' are not finite numbers.*earlier check"):
        zoo.rollout(network, steps=1, envs=1, game="Pong")
    good = to_torch(exported(mnih(), observations(4, 84, 84) / 255))
    with torch.no_grad():
        good.trunk.fc.linear.bias[0] = float("inf")  # as whoever trains it on may
    with pytest.raises(ValueError, match=r"weights in 'trunk.fc.linear.bias' are not finite"):
        zoo.rollout(good, steps=1, envs=1, game="Pong", path=tmp_path / "play.zarr")
    assert not (tmp_path / "play.zarr").exists()


class TwoConvolutions(nn.Module):
    """Of Mnih et al. (2013), or with another activation function than weights are read with."""

    def __init__(self, bend: Callable[[Tensor], Tensor] = torch.relu) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.bend = bend
        self.one, self.two = nn.Conv2d(4, 16, 8, 4), nn.Conv2d(16, 32, 4, 2)
        self.dense, self.out = nn.Linear(32 * 81, 256), nn.Linear(256, 6)

    def forward(self, x: Tensor) -> Tensor:
        features = self.bend(self.two(self.bend(self.one(x)))).flatten(1)
        return self.out(self.bend(self.dense(features)))


@pytest.mark.parametrize(
    "make, endings",
    [
        (mnih, "onnx safetensors npz pth"),
        (TwoConvolutions, "onnx safetensors npz"),
        (lambda: TwoConvolutions(torch.tanh), "onnx"),
    ],
    ids=["2015", "2013", "tanh"],
)
@pytest.mark.parametrize("ending", ["onnx", "safetensors", "npz", "pth"])
def test_what_is_written_is_read_in_again(tmp_path: Path, make, endings: str, ending: str) -> None:
    """Or not written, where the weights do not tell the architecture; float16 in an ONNX file."""
    module, seen, path = make(), observations(4, 84, 84), tmp_path / f"agent.{ending}"
    onnx.save(exported(module, seen.float()), tmp_path / "exported.onnx")
    half = {"float16": True} if ending == "onnx" else {}
    made = convert(tmp_path / "exported.onnx", game="Pong", input_range="0..255", **half).model
    if ending not in endings.split():
        with pytest.raises(
            (ConversionError, ValueError), match=r"architecture|convolutions"
        ) as caught:
            save_as(made, path)
        assert not path.exists() and "\n" not in str(caught.value)
        return
    save_as(made, path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of what weights do not tell
        found = zoo.load(path)
    with torch.no_grad():
        expected = module(seen.float())
        # float16 has 11 bits, float32 24, the sums thousands of terms
        near = (1e-2 if half else 1e-5) * float(expected.abs().max())
        torch.testing.assert_close(found(seen), expected, atol=near, rtol=0)


class Probable(Agent):
    """Gives probabilities, in a way of its own."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x) * 40  # far from uniform
        if self.way == "by hand":  # no operator tells
            powers = torch.exp(logits)
            return powers / powers.sum(dim=1, keepdim=True)
        return logits.log_softmax(dim=1) if self.way == "log" else logits.softmax(dim=1)


@pytest.mark.parametrize("way", ["softmax", "log", "by hand"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_probabilities_are_not_taken_for_logits(way: str, wrapped: bool) -> None:
    """A second softmax would sample almost uniformly."""
    module, seen = Probable(way).eval(), observations(4, 84, 84)
    if wrapped:
        network: zoo.converters.Network = zoo.wrap(module, "Pong", action_rule="sample")
    else:
        graph = exported(module, seen / 255)
        network = to_torch(graph)
        assert verify(graph)[0].difference < 1e-5
    with torch.no_grad():
        given, logits = module(seen / 255), network(seen)
    expected = given.exp() if way == "log" else given
    assert expected.max() > 0.5
    torch.testing.assert_close(logits.softmax(dim=1), expected, atol=1e-5, rtol=1e-4)
    assert torch.equal(zoo.activations(network, seen, ["output"])["output"], logits)
