"""The interchange file: one ONNX file is a complete model, its layers named, its card inside."""

from __future__ import annotations

import os
import tempfile
from functools import singledispatch
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.heads import (
    CategoricalHead,
    CosineEmbedding,
    Dense,
    DuelingHead,
    Head,
    ImplicitQuantileHead,
    LinearHead,
    QuantileHead,
)
from atari_zoo.converters.networks import Convolution, MnihNetwork

CARD_KEY = "atari_zoo.card"
OPSET = 17


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


def read_card(model: onnx.ModelProto) -> ModelCard | None:
    """The card in a model's metadata, or None.

    Raises ConversionError if what is there is no card.
    """
    texts = [entry.value for entry in model.metadata_props if entry.key == CARD_KEY]
    if not texts:
        return None
    try:
        return ModelCard.from_json(texts[0])
    except (ValueError, TypeError) as error:
        raise ConversionError(f"its card cannot be read: {error}") from error


def write_card(model: onnx.ModelProto, card: ModelCard) -> None:
    """Puts the card into the model's metadata, in place of one that is there."""
    kept = [(e.key, e.value) for e in model.metadata_props if e.key != CARD_KEY]
    helper.set_model_props(model, dict(kept) | {CARD_KEY: card.to_json()})


def save_onnx(model: onnx.ModelProto, path: str | Path) -> None:
    """Writes the file whole or not at all: beside its place first, then renamed.

    Raises OSError where the place cannot be written.
    """
    path = Path(path)
    handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(model.SerializeToString())
        Path(beside).chmod(0o644)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def load_onnx(path: str | Path) -> onnx.ModelProto:
    """Reads an ONNX file and the external data beside it.

    Raises ConversionError if it is not one, or points to data outside its folder.
    """
    path = Path(path)
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's parsers differ in what they raise
        raise ConversionError(f"{path}: not an ONNX file, or cut short") from error
    if not model.graph.node:
        raise ConversionError(f"{path}: not an ONNX file, or one without a graph")
    for tensor in model.graph.initializer:
        _check_external(path, tensor)
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except Exception as error:
        raise ConversionError(f"{path}: its external data cannot be read: {error}") from error
    return model


def _check_external(path: Path, tensor: onnx.TensorProto) -> None:
    for entry in tensor.external_data:
        if entry.key != "location":
            continue
        place = (path.parent / entry.value).resolve()
        if not place.is_relative_to(path.parent.resolve()):
            raise ConversionError(
                f"{path}: tensor '{tensor.name}' is stored in '{entry.value}', outside the "
                "file's folder; put it beside the file and export again"
            )
        if not place.is_file():
            raise ConversionError(
                f"{path}: tensor '{tensor.name}' is stored in '{entry.value}', which is missing"
            )


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
        with np.errstate(over="ignore"):
            half = array.astype(np.float16)
        if np.isinf(half).any():
            raise ConversionError(f"'{name}' has weights beyond 65504: store it as float32")
        self.weights.append(numpy_helper.from_array(half, f"{name}.half"))
        return self.add("Cast", [f"{name}.half"], name, to=TensorProto.FLOAT)

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
