"""A graph's contract with whoever feeds it: the range of pixels that its first arithmetic expects.

What a graph does to its input before the first layer tells what it was made for: x / 255 wants
0..255, (x - 0.5) / 0.5 wants 0..1. A graph that does nothing does not tell.
"""

from __future__ import annotations

import numpy as np
import onnx

from atari_zoo.converters.network.folding import Constants

UNCHANGED = ("Identity", "Cast", "Transpose", "Reshape", "Unsqueeze", "Squeeze", "Flatten", "Clip")
BYTE = 255.0
# beyond these a pixel in 0..1 would be all but lost: divided by more, or centred outside of it
LEAST_FACTOR, FARTHEST_CENTRE, LARGEST_DEVIATION = 0.1, 2.0, 4.0


def input_maximum(model: onnx.ModelProto) -> float | None:
    """What a white pixel is in the graph's image input: 255, 1, or None if it does not tell."""
    graph, constants = model.graph, Constants(model)
    stored = {tensor.name for tensor in graph.initializer}
    images = [
        given
        for given in graph.input
        if given.name not in stored and len(given.type.tensor_type.shape.dim) == 4
    ]
    if len(images) != 1:
        return None
    if images[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8:
        return BYTE
    return _first_arithmetic(graph, images[0].name, constants)


def _first_arithmetic(graph: onnx.GraphProto, tensor: str, constants: Constants) -> float | None:
    """Follows the tensor for as long as it is scaled and shifted by constants."""
    factor, shift = 1.0, 0.0
    while True:
        users = [node for node in graph.node if tensor in node.input and node.op_type != "Shape"]
        if len(users) != 1:
            break
        (node,) = users
        if node.op_type == "BatchNormalization" and tensor == node.input[0]:
            _, _, mean, variance = (constants.get(name) for name in node.input[1:5])
            if mean is None or variance is None:
                break
            return _of_statistics(float(np.abs(mean).max()), float(variance.max()) ** 0.5)
        if node.op_type in ("Div", "Mul", "Sub", "Add"):
            other = constants.get(next(name for name in node.input if name != tensor))
            if other is None or other.size == 0:
                break
            number = float(np.mean(other))
            if node.op_type == "Mul":
                factor, shift = factor * number, shift * number
            elif node.op_type == "Div" and node.input[0] == tensor and number:
                factor, shift = factor / number, shift / number
            elif node.op_type == "Add":
                shift += number
            elif node.op_type == "Sub" and node.input[0] == tensor:
                shift -= number
            else:
                break
        elif node.op_type not in UNCHANGED:
            break
        tensor = node.output[0]
    if (factor, shift) == (1.0, 0.0) or not np.isfinite([factor, shift]).all() or not factor:
        return None
    far = abs(shift / factor) > FARTHEST_CENTRE
    return BYTE if abs(factor) < LEAST_FACTOR or far else 1.0


def _of_statistics(mean: float, deviation: float) -> float:
    return BYTE if mean > FARTHEST_CENTRE or deviation > LARGEST_DEVIATION else 1.0
