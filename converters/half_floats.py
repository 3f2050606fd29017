"""Graphs in half precision, as graphs that compute in float32 with the same weights; and weights
stored in half the bytes.

What `module.half()` exports computes in float16 throughout, which torch does slowly on a CPU and
to three digits. Each of its numbers is one of float32 too.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from atari_zoo.converters.errors import ConversionError

HALVES = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
HALF = ".half"  # behind the name of what is stored so


def takes(model: onnx.ModelProto) -> set[int]:
    """The types of the graph's inputs, weights aside."""
    weights = {weight.name for weight in model.graph.initializer}
    return {i.type.tensor_type.elem_type for i in model.graph.input if i.name not in weights}


def in_float32(model: onnx.ModelProto, kinds: tuple[int, ...] = HALVES) -> onnx.ModelProto:
    """The model, or where its input is of those kinds a copy whose numbers are all float32."""
    if not takes(model) & set(kinds):
        return model
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    _widen(wide.graph, kinds)
    return wide


def _widen(graph: onnx.GraphProto, kinds: tuple[int, ...]) -> None:
    for tensor in graph.initializer:
        _widen_tensor(tensor, kinds)
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type in kinds:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                _widen_tensor(attribute.t, kinds)
            elif attribute.type == onnx.AttributeProto.GRAPH:
                _widen(attribute.g, kinds)
            elif node.op_type == "Cast" and attribute.name == "to" and attribute.i in kinds:
                attribute.i = TensorProto.FLOAT


def _widen_tensor(tensor: onnx.TensorProto, kinds: tuple[int, ...]) -> None:
    if tensor.data_type in kinds:
        wide = numpy_helper.to_array(tensor).astype("float32")
        tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))


def stored_in_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose float32 weights take half the bytes, and are cast before any arithmetic; single
    numbers, such as what pixels are divided by, stay as they are.

    Raises ConversionError where a weight is beyond float16's numbers.
    """
    halved = onnx.ModelProto()
    halved.CopyFrom(model)
    casts = []
    for tensor in halved.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) <= 1:
            continue
        name, half = tensor.name, in_half(numpy_helper.to_array(tensor), tensor.name)
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}{HALF}"))
        cast = helper.make_node("Cast", [tensor.name], [name], name=f"{name}{HALF}")
        cast.attribute.append(helper.make_attribute("to", TensorProto.FLOAT))
        casts.append(cast)
    nodes = [*casts, *halved.graph.node]
    del halved.graph.node[:]
    halved.graph.node.extend(nodes)
    return halved


def in_half(values: np.ndarray, name: str) -> np.ndarray:
    """The nearest float16 numbers. Raises ConversionError for what is beyond them."""
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    if np.isinf(half).any():
        raise ConversionError(f"'{name}' has weights beyond 65504: store it as float32")
    return half


def widened(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, or where weights are cast from half the bytes, a copy with those of float32."""
    stored = {t.name: t for t in model.graph.initializer if t.data_type in HALVES}
    casts = [n for n in model.graph.node if n.op_type == "Cast" and n.input[0] in stored]
    if not casts:
        return model
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    del wide.graph.node[:]
    wide.graph.node.extend(node for node in model.graph.node if node not in casts)
    for cast in casts:
        (to,) = (attribute.i for attribute in cast.attribute if attribute.name == "to")
        kind = helper.tensor_dtype_to_np_dtype(to)
        values = numpy_helper.to_array(stored[cast.input[0]]).astype(kind)
        wide.graph.initializer.append(numpy_helper.from_array(values, cast.output[0]))
    return wide
