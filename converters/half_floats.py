"""Graphs in half precision, as graphs that compute in float32 with the same weights.

What `module.half()` exports computes in float16 throughout, which torch does slowly on a CPU and
to three digits. Each of its numbers is one of float32 too.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, numpy_helper

HALVES = (TensorProto.FLOAT16, TensorProto.BFLOAT16)


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
