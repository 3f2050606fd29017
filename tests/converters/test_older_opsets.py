"""Operators of newer opsets, and those onnx2torch lacks, said in others; against onnxruntime."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnx2torch
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

import atari_zoo as zoo
from atari_zoo.converters import ConversionError
from atari_zoo.converters.network.foreign import ForeignNetwork
from atari_zoo.converters.network.older_opsets import with_older_operators

NEWEST = 24  # that both onnx and onnxruntime know
TENSOR, AXES = "float[N, 6, 7, 8]", "int64[2] axes = {-1, 2}"
OPERATORS = {
    "Gelu": ("y = Gelu(x)", ""),
    "Gelu, tanh": ('y = Gelu<approximate="tanh">(x)', ""),
    "Mish": ("y = Mish(x)", ""),
    "Swish": ("y = Swish<alpha=1.5>(x)", ""),
    "GlobalMaxPool": ("y = GlobalMaxPool(x)", ""),
    "MaxPool": ("y = MaxPool<kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]>(x)", ""),
    "AveragePool": ("y = AveragePool<kernel_shape=[3, 3], strides=[2, 2]>(x)", ""),
    "GlobalAveragePool": ("y = GlobalAveragePool(x)", ""),
    "Elu": ("y = Elu<alpha=0.7>(x)", ""),
    "Softplus": ("y = Softplus(x)", ""),
    "CastLike": ("k = Cast<to=1>(m) y = CastLike(k, x)", "int64[1] m = {3}"),
    "Cast": ("i = Cast<to=7>(x) y = Cast<to=1>(i)", ""),
    "Reshape": ("y = Reshape<allowzero=1>(x, s)", "int64[2] s = {-1, 48}"),
    "Reshape, computed": (
        "b = Shape<start=0, end=1>(x) s = Concat<axis=0>(b, m) y = Reshape<allowzero=1>(x, s)",
        "int64[1] m = {336}",
    ),
    "ReduceMean": ("y = ReduceMean<keepdims=0>(x, axes)", AXES),
    "ReduceMax": ("y = ReduceMax<keepdims=0>(x, axes)", AXES),
    "ReduceL2": ("y = ReduceL2(x, axes)", AXES),
    "ReduceMin, idle": ("y = ReduceMin<noop_with_empty_axes=1>(x)", ""),
    "Split": ("y, b, c = Split<axis=2, num_outputs=3>(x)", ""),
    "Pad": ("y = Pad(x, p, , axes)", f"int64[4] p = {{1, 0, 2, 3}}, {AXES}"),
    "Clip": ("y = Clip(x, , high)", "float high = {0.5}"),
    "Clip, from below": ("y = Clip(x, low, )", "float low = {-0.25}"),
    "Dropout": ("y = Dropout(x)", ""),
    "BatchNormalization": (
        "y = BatchNormalization(x, a, a, a, a)",
        "float[6] a = {1, 2, 3, 4, 5, 6}",
    ),
}


def graph(body: str, constants: str, opset: int = NEWEST) -> onnx.ModelProto:
    text = f'<ir_version: 10, opset_import: ["" : {opset}]>'
    model = onnx.parser.parse_model(
        f"{text} agent ({TENSOR} x) => (float[] y) <{constants}> {{ {body} }}"
    )
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return model


def through_onnxruntime(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: x})[0]


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_of_the_newest_opset_computes_the_same(name: str) -> None:
    model = graph(*OPERATORS[name])
    x = np.random.default_rng(0).normal(size=(2, 6, 7, 8)).astype(np.float32)
    expected = through_onnxruntime(model, x)
    older = with_older_operators(model)
    with torch.no_grad():
        found = onnx2torch.convert(older).eval()(torch.from_numpy(x))
    found = found[0] if isinstance(found, list | tuple) else found
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5, rtol=1e-5)
    again = through_onnxruntime(older, x)
    np.testing.assert_allclose(again, expected, atol=1e-5, rtol=1e-5)


REFUSED = {
    "Hardmax": ("y = Hardmax(x)", "", "no translation of this operator"),
    "dilated": ("y = AveragePool<kernel_shape=[2, 2], dilations=[2, 2]>(x)", "", "its dilations"),
    "of size 0": ("y = Reshape<allowzero=1>(x, s)", "int64[2] s = {0, 48}", "axis of size 0"),
    "computed axes": ("a = Shape(x) y = ReduceMax(x, a)", "", "'a' is computed; a constant"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_said_in_others_is_refused_with_the_nodes_name(name: str) -> None:
    body, constants, message = REFUSED[name]
    with pytest.raises(ConversionError, match=rf"^node 'y' \(\w+\): .*{message}"):
        with_older_operators(graph(body, constants))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.b(torch.relu(self.a(torch.relu(x))))


class Impala(nn.Module):
    """The beginning of IMPALA's ResNet (Espeholt et al., 2018)."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1), nn.MaxPool2d(3, 2, 1), Block())
        self.fc, self.policy = nn.Linear(8 * 21 * 21, 16), nn.Linear(16, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.policy(torch.relu(self.fc(torch.relu(self.body(x)).flatten(1))))


def checked(path: Path, module: nn.Module) -> ForeignNetwork:
    """What is loaded; its outputs are the module's, alone and beside others."""
    network = zoo.load(path, input_range="0..1")
    assert isinstance(network, ForeignNetwork)
    drawn = np.random.default_rng(0).integers(0, 256, (7, 4, 84, 84), np.uint8)
    seen = torch.from_numpy(drawn)
    with torch.no_grad():
        for some in (seen[:1], seen):
            torch.testing.assert_close(network(some), module(some / 255), atol=1e-5, rtol=1e-5)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0].name
    theirs = session.run(None, {given: (seen[:1] / 255).numpy()})[0]
    np.testing.assert_allclose(network(seen[:1]).detach().numpy(), theirs, atol=1e-5)
    return network


@pytest.mark.parametrize("opset", [9, 11, 13, 17, 20])
def test_each_opset_of_torchs_older_exporter(tmp_path: Path, opset: int) -> None:
    module = Impala().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (torch.zeros(1, 4, 84, 84),), tmp_path / "agent.onnx", dynamo=False,
            opset_version=opset, input_names=["x"], dynamic_axes={"x": {0: "n"}},
        )  # fmt: skip
    network = checked(tmp_path / "agent.onnx", module)
    assert "body/body/2/a/Conv" in network.layers


@pytest.mark.parametrize("free", [True, False])
def test_torchs_own_exporter_as_it_comes(tmp_path: Path, free: bool) -> None:
    """With external data, for a batch that is open or of 1; layers are the module's paths."""
    module = Impala().eval()
    batch = ({0: torch.export.Dim.DYNAMIC},) if free else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (torch.zeros(1, 4, 84, 84),), tmp_path / "agent.onnx", dynamo=True,
            dynamic_shapes=batch, verbose=False,
        )  # fmt: skip
    assert (tmp_path / "agent.onnx.data").stat().st_size > 10_000
    network = checked(tmp_path / "agent.onnx", module)
    paths = {"body.0", "body.1", "body.2.a", "body.2.b", "fc", "policy"}
    assert paths < set(network.layers)
    seen = torch.full((3, 4, 84, 84), 7, dtype=torch.uint8)
    found = zoo.activations(network, seen)  # of them all
    with torch.no_grad():
        expected = module.body[:2](seen / 255)
    torch.testing.assert_close(found["body.1"], expected, atol=1e-5, rtol=1e-5)
