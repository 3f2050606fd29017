"""What each ONNX operator does to a symbolic tensor: one operator, one function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.symbols import Atom, Axis, Layer, Value

Operand = Value | np.ndarray | None


@dataclass
class Node:
    """A node with its operands: symbolic values, constants, or None where left out."""

    proto: onnx.NodeProto
    inputs: list[Operand]
    static_batch: int | None = None

    def attribute(self, name: str, default: Any = None) -> Any:
        for attribute in self.proto.attribute:
            if attribute.name == name:
                return helper.get_attribute_value(attribute)
        return default

    def value(self, index: int = 0) -> Value:
        """The operand at `index`, which depends on the observation."""
        operand = self.inputs[index]
        if not isinstance(operand, Value):
            raise ConversionError("a constant where the network's input was expected")
        return operand

    def constant(self, index: int) -> np.ndarray | None:
        """The operand at `index`, which does not; None if it was left out."""
        operand = self.inputs[index] if index < len(self.inputs) else None
        if isinstance(operand, Value):
            raise ConversionError("weights that depend on the observation")
        return operand

    def ints(self, name: str, index: int) -> list[int] | None:
        """An attribute that newer opsets have as an input."""
        values = self.attribute(name)
        if values is None:
            constant = self.constant(index)
            values = None if constant is None else constant.ravel().tolist()
        return None if values is None else [int(v) for v in values]

    def layer(self, op: str, args: tuple[Value, ...], axes: tuple[Axis, ...], **data: Any) -> Value:
        """A new layer, held by this node's first output."""
        return Value(Layer(op, args, data, self.proto.output[0], axes), axes)


OPERATORS: dict[str, Callable[[Node], Value]] = {}


def operator(*names: str) -> Callable[[Callable[[Node], Value]], Callable[[Node], Value]]:
    """Registers a function as the meaning of these operators."""

    def register(function: Callable[[Node], Value]) -> Callable[[Node], Value]:
        OPERATORS.update(dict.fromkeys(names, function))
        return function

    return register


@operator("Identity", "Dropout", "Cast", "CastLike")
def same(node: Node) -> Value:
    return node.value()


@operator("Transpose")
def transpose(node: Node) -> Value:
    rank = len(node.value().axes)
    return node.value().permuted(node.attribute("perm", list(range(rank))[::-1]))


@operator("Reshape")
def reshape(node: Node) -> Value:
    shape = node.constant(1)
    if shape is None:
        raise ConversionError("a reshape without a shape")
    return node.value().reshaped(shape.ravel().tolist(), node.static_batch)


@operator("Flatten")
def flatten(node: Node) -> Value:
    value, axis = node.value(), node.attribute("axis", 1)
    front, back = value.axes[:axis], value.axes[axis:]
    return Value(value.layer, (sum(front, ()), sum(back, ())))


@operator("Squeeze")
def squeeze(node: Node) -> Value:
    return node.value().squeezed(node.ints("axes", 1))


@operator("Unsqueeze")
def unsqueeze(node: Node) -> Value:
    return node.value().unsqueezed(node.ints("axes", 1) or [])


@operator("Pad")
def pad(node: Node) -> Value:
    value, pads = node.value(), node.ints("pads", 1) or []
    fill = node.constant(2) if len(node.inputs) > 2 else None
    rank = len(value.axes)
    filled = fill is not None and bool(fill.any())
    if len(pads) != 2 * rank or filled or node.attribute("mode", b"constant") != b"constant":
        raise ConversionError("padding that is not plain zeros on every axis")
    around = {_label(axis): (pads[i], pads[i + rank]) for i, axis in enumerate(value.axes)}
    if any(sum(amount) for label, amount in around.items() if label not in ("H", "W")):
        raise ConversionError("padding of something else than height and width")
    axes = tuple(
        (Atom(label, axis[0].size + sum(around[label])),)
        if (label := _label(axis)) in ("H", "W")
        else axis
        for axis in value.axes
    )
    return node.layer("pad", (value,), axes, around=around)


@operator("Conv")
def conv(node: Node) -> Value:
    value, weight = node.value(), node.constant(1)
    if weight is None or weight.ndim != 4 or len(value.axes) != 4:
        raise ConversionError("a convolution that is not two-dimensional")
    if tuple(node.attribute("kernel_shape", weight.shape[2:])) != weight.shape[2:]:
        raise ConversionError("a kernel of another size than its weights")
    if node.attribute("group", 1) != 1 or set(node.attribute("dilations", [1])) != {1}:
        raise ConversionError("a grouped or dilated convolution")
    kernel, strides = tuple(weight.shape[2:]), tuple(node.attribute("strides", [1, 1]))
    pads = _pads(node, value.shape[2:], kernel, strides)
    if value.layer.op == "pad":  # an exporter's padding before the convolution is one with it
        around, value = value.layer.data["around"], _unpadded(value)
        before, after = zip(around["H"], around["W"], strict=True)
        pads = tuple(a + b for a, b in zip(pads, (*before, *after), strict=True))
    if [_label(axis) for axis in value.axes] not in (list("NFHW"), list("NCHW")):
        raise ConversionError("a convolution over something else than channels, height, width")
    _, channels, *sizes = value.shape
    if weight.shape[1] != channels:
        raise ConversionError(f"a kernel for {weight.shape[1]} channels, given {channels}")
    height, width = (
        (size + pads[i] + pads[i + 2] - kernel[i]) // strides[i] + 1 for i, size in enumerate(sizes)
    )
    if min(height, width) < 1:
        raise ConversionError(f"a {kernel[0]}x{kernel[1]} kernel on a {sizes[0]}x{sizes[1]} map")
    new = Atom("C", len(weight)), Atom("H", height), Atom("W", width)
    bias = node.constant(2)
    bias = np.zeros(len(weight), np.float32) if bias is None else bias
    top, left, bottom, right = pads
    return node.layer(
        "conv",
        (value,),
        (value.axes[0], *((atom,) for atom in new)),
        weight=weight,
        bias=bias,
        strides=strides,
        padding=(left, right, top, bottom),
    )


@operator("Gemm")
def gemm(node: Node) -> Value:
    value, weight, bias = node.value(), node.constant(1), node.constant(2)
    if weight is None or node.attribute("transA", 0):
        raise ConversionError("a transposed product")
    if node.attribute("alpha", 1.0) != 1 or (bias is not None and node.attribute("beta", 1.0) != 1):
        raise ConversionError("a scaled product")
    weight = weight if node.attribute("transB", 0) else weight.T
    return _dense(node, value, weight, bias)


@operator("MatMul")
def matmul(node: Node) -> Value:
    value, weight = node.value(), node.constant(1)
    if weight is None:
        raise ConversionError("a product without weights")
    if value.layer.op == "softmax" and weight.size == value.shape[-1]:
        axes = value.axes[:-1] if weight.ndim == 1 else (*value.axes[:-1], ())
        return node.layer("expectation", (value,), axes, support=weight.ravel())
    if weight.ndim != 2:
        raise ConversionError("a product that is not with a matrix")
    return _dense(node, value, weight.T, None)


@operator("Relu")
def relu(node: Node) -> Value:
    value = node.value()
    if value.layer.op not in ("conv", "dense"):
        raise ConversionError(f"a ReLU after {value.layer.op}")
    return node.layer("relu", (value,), value.axes)


@operator("Clip", "Max")
def clip(node: Node) -> Value:
    low, high = node.constant(1), node.constant(2) if len(node.inputs) > 2 else None
    limits = (node.attribute("min", low), node.attribute("max", high))
    if limits[0] is None or np.any(np.asarray(limits[0]) != 0) or limits[1] is not None:
        raise ConversionError("a clip that is not a ReLU")
    return relu(node)


@operator("BatchNormalization")
def batch_normalization(node: Node) -> Value:
    scale, shift, mean, var = (np.asarray(node.constant(i), np.float64) for i in range(1, 5))
    factor = scale / np.sqrt(var + node.attribute("epsilon", 1e-5))
    column = (-1, 1, 1) if len(node.value().axes) == 4 else (-1,)
    scaled = _scaled(node, node.value(), factor.reshape(column))
    return _shifted(node, scaled, (shift - mean * factor).reshape(column))


@operator("Add", "Sub")
def add(node: Node) -> Value:
    left, right = node.inputs
    sign = -1 if node.proto.op_type == "Sub" else 1
    if isinstance(left, Value) and isinstance(right, Value):
        if right.layer.op == "logsumexp" and right.layer.args[0].layer is left.layer:
            return node.layer("normalized", (left,), left.axes)
        axes = max(left, right, key=lambda v: v.shape).axes
        return node.layer("sum", (left, right), axes, signs=(1, sign))
    if isinstance(left, Value):
        return _shifted(node, left, np.asarray(sign * np.asarray(right)))
    if sign == -1:
        return _shifted(node, _scaled(node, node.value(1), np.array(-1.0)), np.asarray(left))
    return _shifted(node, node.value(1), np.asarray(left))


@operator("Mul", "Div")
def mul(node: Node) -> Value:
    left, right = node.inputs
    if isinstance(left, Value) and isinstance(right, Value):
        raise ConversionError("a product of two values that depend on the observation")
    value, factor = (left, right) if isinstance(left, Value) else (right, left)
    if node.proto.op_type == "Div":
        if not isinstance(left, Value):
            raise ConversionError("a division by something that depends on the observation")
        return _scaled(node, left, np.asarray(1 / np.asarray(right, np.float64)))
    assert isinstance(value, Value)
    return _scaled(node, value, np.asarray(factor))


@operator("ReduceMean", "ReduceSum")
def reduce(node: Node) -> Value:
    value = node.value()
    rank = len(value.axes)
    gone = [a % rank for a in node.ints("axes", 1) or range(rank)]
    keep = node.attribute("keepdims", 1)
    axes = tuple(
        () if i in gone else axis for i, axis in enumerate(value.axes) if keep or i not in gone
    )
    over = tuple(atom for i in gone for atom in value.axes[i])
    if node.proto.op_type == "ReduceMean":
        return node.layer("mean", (value,), axes, over=over)
    if value.layer.op != "weighted" or over != value.layer.data["over"]:
        raise ConversionError("a sum that is not an expectation")
    (probabilities,) = value.layer.args
    return node.layer("expectation", (probabilities,), axes, support=value.layer.data["support"])


@operator("Softmax")
def softmax(node: Node) -> Value:
    value = node.value()
    axis = node.attribute("axis", -1) % len(value.axes)
    if axis != len(value.axes) - 1:
        raise ConversionError("a softmax that is not over the last axis")
    return node.layer("softmax", (value,), value.axes, over=value.axes[-1])


@operator("LogSoftmax")
def log_softmax(node: Node) -> Value:
    return node.layer("normalized", (node.value(),), node.value().axes)


@operator("ReduceLogSumExp")
def log_sum_exp(node: Node) -> Value:
    return node.layer("logsumexp", (node.value(),), node.value().axes[:1])


@operator("ArgMax")
def argmax(node: Node) -> Value:
    return node.layer("argmax", (node.value(),), node.value().axes[:1])


def _label(axis: Axis) -> str:
    return axis[0].label if len(axis) == 1 else "+".join(atom.label for atom in axis)


def _pads(
    node: Node, sizes: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[int, ...]:
    """Top, left, bottom, right."""
    auto = node.attribute("auto_pad", b"NOTSET")
    if auto == b"NOTSET":
        return tuple(node.attribute("pads", [0, 0, 0, 0]))
    if auto == b"VALID":
        return (0, 0, 0, 0)
    amounts = [
        max((-(-size // stride) - 1) * stride + width - size, 0)
        for size, width, stride in zip(sizes, kernel, strides, strict=True)
    ]
    less, more = [a // 2 for a in amounts], [a - a // 2 for a in amounts]
    return tuple(less + more if auto == b"SAME_UPPER" else more + less)


def _unpadded(value: Value) -> Value:
    layer = value.layer
    return layer.args[0].permuted([layer.axes.index(axis) for axis in value.axes])


def _dense(node: Node, value: Value, weight: np.ndarray, bias: np.ndarray | None) -> Value:
    """A dense layer; `weight` (units, features) is put into the features' own order."""
    features = value.axes[-1]
    if weight.ndim != 2 or weight.shape[1] != value.shape[-1] or len(value.axes) not in (2, 3):
        raise ConversionError(f"weights {weight.shape} for an input of {value.shape[1:]}")
    if not np.all([a.label != "N" for a in features]):
        raise ConversionError("a product over the batch")
    order = sorted(range(len(features)), key=lambda i: "FCHWU".find(features[i].label[0]))
    sizes = [atom.size for atom in features]
    units = len(weight)
    weight = weight.reshape(units, *sizes).transpose(0, *(i + 1 for i in order))
    weight = weight.reshape(units, -1)
    bias = np.zeros(units, np.float32) if bias is None else np.broadcast_to(bias.ravel(), (units,))
    axes = (*value.axes[:-1], (Atom("U", units),))
    return node.layer("dense", (value,), axes, weight=weight, bias=bias)


def _shifted(node: Node, value: Value, constant: np.ndarray) -> Value:
    if not np.any(constant):
        return value
    if value.layer.op not in ("conv", "dense"):
        raise ConversionError(f"a constant added after {value.layer.op}")
    data = value.layer.data
    shift = _per_unit(value, constant)
    return node.layer(
        value.layer.op, value.layer.args, value.axes, **data | {"bias": data["bias"] + shift}
    )


def _scaled(node: Node, value: Value, factor: np.ndarray) -> Value:
    op, data = value.layer.op, value.layer.data
    if op == "input" and factor.size == 1:
        scale = data["scale"] * float(factor.ravel()[0])
        return node.layer("input", (), value.axes, **data | {"scale": scale})
    if op in ("conv", "dense"):
        scale = _per_unit(value, factor)
        weight = data["weight"] * scale.reshape(-1, *[1] * (data["weight"].ndim - 1))
        changed = {"weight": weight, "bias": data["bias"] * scale}
        return node.layer(op, value.layer.args, value.axes, **data | changed)
    if op == "softmax" and factor.size == value.shape[-1] == factor.shape[-1]:
        over = data["over"]
        return node.layer("weighted", (value,), value.axes, support=factor.ravel(), over=over)
    if op == "relu" and len(value.axes) == 3 and factor.ndim >= 2 and not value.axes[1]:
        samples = Atom("S", factor.shape[-2])
        axes = (value.axes[0], (samples,), value.axes[2])
        return node.layer("embedded", (value,), axes, table=_constant_name(node))
    if factor.size == 1 and float(factor.ravel()[0]) == 1:
        return value
    raise ConversionError(f"a factor after {op}")


def _per_unit(value: Value, constant: np.ndarray) -> np.ndarray:
    """A constant that differs along the units only, as one number for each unit."""
    units = 1 if value.layer.op == "conv" else len(value.layer.axes) - 1
    atom = value.layer.axes[units]
    if atom not in value.axes:
        raise ConversionError("a constant for units whose axis was reshaped")
    axis = value.axes.index(atom) - len(value.axes)
    size = atom[0].size
    shape = constant.shape
    if any(s != 1 for i, s in enumerate(shape) if i - len(shape) != axis):
        raise ConversionError("a constant that differs from place to place")
    return np.broadcast_to(constant.ravel(), (size,))


def _constant_name(node: Node) -> str:
    return next(
        name
        for name, operand in zip(node.proto.input, node.inputs, strict=True)
        if isinstance(operand, np.ndarray)
    )
