"""Operators that are layers: padding, convolution, dense layers, ReLU."""

from __future__ import annotations

import numpy as np

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.operators import Node, operator
from atari_zoo.converters.symbols import Atom, Axis, Value


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
