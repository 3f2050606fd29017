"""Graphs exported for one observation, as graphs for any number of them.

An exporter without dynamic axes writes the batch of 1 into the input, the outputs, and the shapes
of Reshape. Whether what is made of it is right is for who uses it to try.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import numpy_helper

BATCH = "batch"
FIRST: Mapping[str, int] = {}


def with_free_batch(model: onnx.ModelProto, axes: Mapping[str, int] = FIRST) -> onnx.ModelProto:
    """A copy whose first axes are open, and whose Reshapes keep the first axis they are given.

    axes: of inputs and outputs of which it is another axis, by their names.
    """
    free = onnx.ModelProto()
    free.CopyFrom(model)
    graph = free.graph
    del graph.value_info[:]  # they say 1 too
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for value in (*graph.input, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if value.name not in stored and dims:
            dims[axes.get(value.name, 0)].dim_param = BATCH
    constants = {
        node.output[0]: attribute.t
        for node in graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    for node in graph.node:
        if node.op_type != "Reshape":
            continue
        tensor = stored.get(node.input[1]) or constants.get(node.input[1])
        if tensor is None:
            continue
        shape = numpy_helper.to_array(tensor).copy()
        if shape.ndim == 1 and len(shape) > 1 and shape[0] >= 1:
            shape[0] = 0  # as it comes
            tensor.CopyFrom(numpy_helper.from_array(shape.astype(np.int64), tensor.name))
            for attribute in node.attribute:
                if attribute.name == "allowzero":
                    attribute.i = 0
    return free
