"""ONNX graphs of networks that take observations as the emulators make them, in bytes."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PIXELS, BYTES = "observations", "bytes"  # what the graphs call what they are given
WHITE = 255


def taking_bytes(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network, given `bytes`, uint8 (batch, channels, height, width), in place of pixels.

    Where only convolutions see the observations, 1/255 is in their weights: nothing is divided
    while it runs, and the sums are other ones in their last bits (about 1e-7 of the outputs). Else
    the bytes are divided first.

    model: of `network_to_onnx`.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    seen = graph.input[0]
    assert seen.name == PIXELS
    seen.name, seen.type.tensor_type.elem_type = BYTES, TensorProto.UINT8
    first = _first_weights(graph)
    if first:
        for weight in graph.initializer:
            if weight.name in first:
                scaled = numpy_helper.to_array(weight).astype(np.float64) / WHITE
                weight.CopyFrom(numpy_helper.from_array(scaled.astype(np.float32), weight.name))
        before = [_cast(PIXELS)]
    else:
        graph.initializer.append(numpy_helper.from_array(np.array(WHITE, np.float32), "white"))
        before = [_cast("levels"), helper.make_node("Div", ["levels", "white"], [PIXELS])]
    nodes = [*before, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return made


def with_outputs(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    """The model with these of its outputs alone: what only others need is left out when it runs."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    kept = [output for output in model.graph.output if output.name in names]
    del made.graph.output[:]
    made.graph.output.extend(kept)
    return made


def _cast(output: str) -> onnx.NodeProto:
    return helper.make_node("Cast", [BYTES], [output], to=TensorProto.FLOAT)


def _first_weights(graph: onnx.GraphProto) -> set[str]:
    """The kernels that see the observations; none if something else sees them, or these kernels
    are used elsewhere too."""
    users = [node for node in graph.node if PIXELS in node.input]
    kernels = {node.input[1] for node in users if node.op_type == "Conv"}
    used = [name for node in graph.node for name in node.input if name in kernels]
    stored = {weight.name for weight in graph.initializer}
    plain = all(node.op_type == "Conv" for node in users) and len(used) == len(users)
    return kernels if plain and kernels <= stored else set()
