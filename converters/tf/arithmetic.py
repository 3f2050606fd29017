"""TensorFlow's operators that compute with single numbers, and its sums and means."""

from __future__ import annotations

import numpy as np

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.tf.operators import TfNode, tensor_of, tf_operator

# operators that have the same meaning, broadcasting included, in ONNX
ALIKE = {
    "Add": "Add",
    "AddV2": "Add",
    "AddN": "Sum",
    "Sub": "Sub",
    "Mul": "Mul",
    "RealDiv": "Div",
    "Div": "Div",
    "Maximum": "Max",
    "Minimum": "Min",
    "Pow": "Pow",
    "Neg": "Neg",
    "Abs": "Abs",
    "Sqrt": "Sqrt",
    "Exp": "Exp",
    "Log": "Log",
    "Cos": "Cos",
    "Sin": "Sin",
    "Relu": "Relu",
    "Tanh": "Tanh",
    "Sigmoid": "Sigmoid",
    "Elu": "Elu",
    "Softplus": "Softplus",
    "Range": "Range",
}


@tf_operator(*ALIKE)
def alike(node: TfNode) -> str:
    """ONNX's operator of the same meaning."""
    return node.result(ALIKE[node.op], *node.inputs)


@tf_operator("Square")
def square(node: TfNode) -> str:
    """x x."""
    return node.result("Mul", node.inputs[0], node.inputs[0])


@tf_operator("Rsqrt")
def rsqrt(node: TfNode) -> str:
    """1 / sqrt(x)."""
    return node.result("Reciprocal", node.step("Sqrt", node.inputs[0]))


@tf_operator("LeakyRelu")
def leaky_relu(node: TfNode) -> str:
    """x, or alpha x below zero."""
    return node.result("LeakyRelu", node.inputs[0], alpha=node.number("alpha", 0.2))


@tf_operator("Softmax", "LogSoftmax")
def softmax(node: TfNode) -> str:
    """Over the last axis."""
    return node.result(node.op, node.inputs[0], axis=-1)


@tf_operator("Mean", "Max", "Prod")
def reduce(node: TfNode) -> str:
    """Over some axes, which are lost or become 1."""
    keep = int(node.flag("keep_dims"))
    return node.result(f"Reduce{node.op}", node.inputs[0], axes=node.numbers(1), keepdims=keep)


@tf_operator("Sum")
def sum_(node: TfNode) -> str:
    """As `reduce`; ONNX has the axes of a sum as an input."""
    axes = node.constant(node.numbers(1), "axes")
    return node.result("ReduceSum", node.inputs[0], axes, keepdims=int(node.flag("keep_dims")))


@tf_operator("ArgMax")
def arg_max(node: TfNode) -> str:
    """Where the largest is, along an axis."""
    return node.result("ArgMax", node.inputs[0], axis=node.numbers(1)[0], keepdims=0)


@tf_operator("LinSpace")
def lin_space(node: TfNode) -> str:
    """Evenly spaced numbers, both ends included: a constant."""
    ends = [node.graph.numbers.get(name) for name in node.inputs]
    if any(x is None or x.size != 1 for x in ends):
        raise ConversionError("ends that are not known ahead")
    start, stop, count = (float(x.item()) for x in ends if x is not None)
    if not 1 <= count <= 1 << 16:
        raise ConversionError(f"{count:.0f} numbers")
    return node.graph.constant(
        tensor_of(node.name), np.linspace(start, stop, int(count)).astype(np.float32)
    )
