"""An `MnihNetwork` as an ONNX graph: each head writes itself, each layer keeps its name."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.half_floats import HALF, in_half
from atari_zoo.converters.interchange import OPSET, write_card
from atari_zoo.converters.network.heads import (
    CategoricalHead,
    CosineEmbedding,
    Dense,
    DuelingHead,
    Head,
    ImplicitQuantileHead,
    LinearHead,
    QuantileHead,
)
from atari_zoo.converters.network.networks import Convolution, MnihNetwork


def network_to_onnx(network: MnihNetwork, float16: bool = False) -> onnx.ModelProto:
    """The network as an ONNX model.

    Input `observations`: float32 (batch, frames, height, width), 0..1. Outputs: `output`, then
    every other named layer. The card is in the metadata.

    float16: weights are stored in half the bytes, and cast to float32 before any arithmetic.
    """
    graph = _GraphWriter(float16)
    trunk, value = network.trunk, "observations"
    for index in range(len(trunk.convolutions)):
        value = _convolution(graph, f"conv{index + 1}", trunk, value)
    value = graph.add("Flatten", [value], "features", axis=1)
    if trunk.fc is not None:
        value = _dense(graph, "fc", trunk.fc, value)
    _write_head(network.head, graph, value)
    layers = ["output", *(name for name in network.layers if name != "output")]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "mnih",
            [_float("observations", ["batch", *trunk.shape])],
            [_float(name, None) for name in layers],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,
        producer_name="atari-zoo",
    )
    model = onnx.shape_inference.infer_shapes(model)
    write_card(model, network.card)
    return model


class _GraphWriter:
    def __init__(self, float16: bool) -> None:
        self.float16 = float16
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def weight(self, name: str, value: Tensor) -> str:
        array = value.detach().to("cpu").float().numpy()
        if not self.float16:
            self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
            return name
        self.weights.append(numpy_helper.from_array(in_half(array, name), f"{name}{HALF}"))
        return self.add("Cast", [f"{name}{HALF}"], name, to=TensorProto.FLOAT)

    def constant(self, name: str, values: list[int]) -> str:
        self.weights.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def exact(self, name: str, value: Tensor) -> str:
        """A small table kept in float32 whatever the weights are."""
        array = np.ascontiguousarray(value.detach().cpu().float().numpy())
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def linear(self, name: str, layer: nn.Module, value: str, output: str) -> str:
        assert isinstance(layer, nn.Linear)
        weights = [
            self.weight(f"{name}.weight", layer.weight),
            self.weight(f"{name}.bias", layer.bias),
        ]
        return self.add("Gemm", [value, *weights], output, transB=1)


def _float(name: str, shape: list[str | int] | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _convolution(graph: _GraphWriter, name: str, trunk: nn.Module, value: str) -> str:
    layer = trunk.get_submodule(name)
    assert isinstance(layer, Convolution)
    conv = layer.get_submodule("conv")
    assert isinstance(conv, nn.Conv2d) and conv.bias is not None
    left, right, top, bottom = layer.shape.padding
    before = graph.add(
        "Conv",
        [
            value,
            graph.weight(f"{name}.weight", conv.weight),
            graph.weight(f"{name}.bias", conv.bias),
        ],
        f"{name}.linear",
        kernel_shape=list(layer.shape.kernel),
        strides=list(layer.shape.stride),
        pads=[top, left, bottom, right],
    )
    return graph.add("Relu", [before], name)


def _dense(graph: _GraphWriter, name: str, layer: Dense, value: str) -> str:
    before = graph.linear(name, layer.get_submodule("linear"), value, f"{name}.linear")
    return graph.add("Relu", [before], name)


@singledispatch
def _write_head(head: Head, graph: _GraphWriter, value: str) -> None:
    raise ConversionError(f"no ONNX form for a {type(head).__name__}")


@_write_head.register
def _(head: LinearHead, graph: _GraphWriter, value: str) -> None:
    for name in head.layers:
        graph.linear(name, head.get_submodule(name), value, name)


@_write_head.register
def _(head: DuelingHead, graph: _GraphWriter, value: str) -> None:
    low, high = _streams(head, graph, value)
    graph.linear("value", head.value, low, "value")
    graph.linear("advantage", head.advantage, high, "advantage")
    _dueling_sum(graph, "value", "advantage", "output")


@_write_head.register
def _(head: CategoricalHead, graph: _GraphWriter, value: str) -> None:
    support = head.output.support
    table = graph.constant("table", [0, head.actions, len(support)])
    if head.value is None or head.advantage is None:
        flat = graph.linear("atoms", head.atoms.get_submodule("0"), value, "atoms.flat")
        graph.add("Reshape", [flat, table], "atoms")
    else:
        low, high = _streams(head, graph, value)
        row = graph.constant("row", [0, 1, len(support)])
        flat = graph.linear("value", head.value.get_submodule("0"), low, "value.flat")
        graph.add("Reshape", [flat, row], "value")
        flat = graph.linear("advantage", head.advantage.get_submodule("0"), high, "advantage.flat")
        graph.add("Reshape", [flat, table], "advantage")
        _dueling_sum(graph, "value", "advantage", "atoms")
    graph.add("Softmax", ["atoms"], "probabilities", axis=-1)
    graph.add("Mul", ["probabilities", graph.exact("support", support)], "weighted")
    graph.add("ReduceSum", ["weighted", graph.constant("last", [-1])], "output", keepdims=0)


@_write_head.register
def _(head: QuantileHead, graph: _GraphWriter, value: str) -> None:
    flat = graph.linear("quantiles", head.quantiles.get_submodule("0"), value, "quantiles.flat")
    table = graph.constant("table", [0, head.actions, -1])
    graph.add("Reshape", [flat, table], "quantiles")
    graph.add("ReduceMean", ["quantiles"], "output", axes=[-1], keepdims=0)


@_write_head.register
def _(head: ImplicitQuantileHead, graph: _GraphWriter, value: str) -> None:
    phi = _embedding(graph, head.embedding)
    row = graph.add("Unsqueeze", [value, graph.constant("one", [1])], "features.row")
    embedded = graph.add("Mul", [row, phi], "embedded")
    dense = _matmul(graph, "fc", head.fc.get_submodule("linear"), embedded, "fc.linear")
    fc = graph.add("Relu", [dense], "fc")
    rows = _matmul(graph, "quantiles", head.quantiles.get_submodule("0"), fc, "quantiles.rows")
    graph.add("Transpose", [rows], "quantiles", perm=[0, 2, 1])
    graph.add("ReduceMean", ["quantiles"], "output", axes=[-1], keepdims=0)


def _embedding(graph: _GraphWriter, embedding: CosineEmbedding) -> str:
    cosines = graph.add("Cos", [graph.exact("angles", embedding.angles())], "cosines")
    linear = graph.linear("embedding", embedding.linear, cosines, "embedding.linear")
    return graph.add("Relu", [linear], "embedding")


def _matmul(graph: _GraphWriter, name: str, layer: nn.Module, value: str, output: str) -> str:
    assert isinstance(layer, nn.Linear)
    weight = graph.weight(f"{name}.weight", layer.weight.T)
    product = graph.add("MatMul", [value, weight], f"{name}.product")
    return graph.add("Add", [product, graph.weight(f"{name}.bias", layer.bias)], output)


def _streams(
    head: DuelingHead | CategoricalHead, graph: _GraphWriter, value: str
) -> tuple[str, str]:
    low = value if head.fc is None else _dense(graph, "fc", head.fc, value)
    if head.advantage_fc is None:
        return low, value
    return low, _dense(graph, "advantage_fc", head.advantage_fc, value)


def _dueling_sum(graph: _GraphWriter, value: str, advantage: str, output: str) -> None:
    graph.add("ReduceMean", [advantage], "advantage.mean", axes=[1], keepdims=1)
    graph.add("Sub", [advantage, "advantage.mean"], "advantage.centred")
    graph.add("Add", [value, "advantage.centred"], output)
