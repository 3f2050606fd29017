"""A network as an ONNX graph: each trunk and head writes itself, each layer keeps its name."""

from __future__ import annotations

from functools import singledispatch

import onnx
from onnx import TensorProto, helper
from torch import nn

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.export.changed_layers import write_changes
from atari_zoo.converters.export.memories import Shapes, state_shapes, write_memory
from atari_zoo.converters.export.trunks import write_trunk
from atari_zoo.converters.export.writer import GraphWriter
from atari_zoo.converters.interchange import OPSET, write_card
from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.heads import (
    CategoricalHead,
    CosineEmbedding,
    DuelingHead,
    Head,
    ImplicitQuantileHead,
    LinearHead,
    QuantileHead,
)
from atari_zoo.converters.network.recurrent import RecurrentNetwork


def network_to_onnx(network: AgentNetwork, float16: bool = False) -> onnx.ModelProto:
    """The network as an ONNX model.

    Input `observations`: float32 (batch, frames, height, width), 0..1. Outputs: `output`, then
    every other named layer. The card is in the metadata. States of a recurrent agent are inputs by
    their names, and outputs behind the first: see `memories`.

    Interventions on its layers are operators behind these.

    float16: weights are stored in half the bytes, and cast to float32 before any arithmetic.
    Raises ConversionError for an intervention that has no operators.
    """
    graph = GraphWriter(float16)
    features = write_trunk(network.trunk, graph, "observations")
    states = Shapes({}, {})
    if isinstance(network, RecurrentNetwork):
        features, states = write_memory(network, graph, features), state_shapes(network)
    _write_head(network.head, graph, features)
    write_changes(network, graph)
    layers = [name for name in network.layers if name != "output"]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            type(network).__name__,
            [
                _float("observations", ["batch", *network.shape]),
                *(_float(name, shape) for name, shape in states.inputs.items()),
            ],
            [
                _float("output", None),
                *(_float(name, shape) for name, shape in states.outputs.items()),
                *(_float(name, None) for name in layers),
            ],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,
        producer_name="atari-zoo",
    )
    model = onnx.shape_inference.infer_shapes(model)
    write_card(model, network.card)
    return model


def _float(name: str, shape: list[str | int] | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


@singledispatch
def _write_head(head: Head, graph: GraphWriter, value: str) -> None:
    raise ConversionError(f"no ONNX form for a {type(head).__name__}")


@_write_head.register
def _(head: LinearHead, graph: GraphWriter, value: str) -> None:
    for name in head.layers:
        graph.linear(name, head.get_submodule(name), value, name)


@_write_head.register
def _(head: DuelingHead, graph: GraphWriter, value: str) -> None:
    low, high = _streams(head, graph, value)
    graph.linear("value", head.value, low, "value")
    graph.linear("advantage", head.advantage, high, "advantage")
    _dueling_sum(graph, "value", "advantage", "output")


@_write_head.register
def _(head: CategoricalHead, graph: GraphWriter, value: str) -> None:
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
def _(head: QuantileHead, graph: GraphWriter, value: str) -> None:
    flat = graph.linear("quantiles", head.quantiles.get_submodule("0"), value, "quantiles.flat")
    table = graph.constant("table", [0, head.actions, -1])
    graph.add("Reshape", [flat, table], "quantiles")
    graph.add("ReduceMean", ["quantiles"], "output", axes=[-1], keepdims=0)


@_write_head.register
def _(head: ImplicitQuantileHead, graph: GraphWriter, value: str) -> None:
    phi = _embedding(graph, head.embedding)
    row = graph.add("Unsqueeze", [value, graph.constant("one", [1])], "features.row")
    embedded = graph.add("Mul", [row, phi], "embedded")
    dense = _matmul(graph, "fc", head.fc.get_submodule("linear"), embedded, "fc.linear")
    fc = graph.activation(head.fc.activation, dense, "fc")
    rows = _matmul(graph, "quantiles", head.quantiles.get_submodule("0"), fc, "quantiles.rows")
    graph.add("Transpose", [rows], "quantiles", perm=[0, 2, 1])
    graph.add("ReduceMean", ["quantiles"], "output", axes=[-1], keepdims=0)


def _embedding(graph: GraphWriter, embedding: CosineEmbedding) -> str:
    cosines = graph.add("Cos", [graph.exact("angles", embedding.angles())], "cosines")
    linear = graph.linear("embedding", embedding.linear, cosines, "embedding.linear")
    return graph.add("Relu", [linear], "embedding")


def _matmul(graph: GraphWriter, name: str, layer: nn.Module, value: str, output: str) -> str:
    assert isinstance(layer, nn.Linear)
    weight = graph.weight(f"{name}.weight", layer.weight.T)
    product = graph.add("MatMul", [value, weight], f"{name}.product")
    return graph.add("Add", [product, graph.weight(f"{name}.bias", layer.bias)], output)


def _streams(
    head: DuelingHead | CategoricalHead, graph: GraphWriter, value: str
) -> tuple[str, str]:
    low = value if head.fc is None else graph.dense("fc", head.fc, value)
    if head.advantage_fc is None:
        return low, value
    return low, graph.dense("advantage_fc", head.advantage_fc, value)


def _dueling_sum(graph: GraphWriter, value: str, advantage: str, output: str) -> None:
    graph.add("ReduceMean", [advantage], "advantage.mean", axes=[1], keepdims=1)
    graph.add("Sub", [advantage, "advantage.mean"], "advantage.centred")
    graph.add("Add", [value, "advantage.centred"], output)
