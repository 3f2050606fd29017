"""Operators that are products with a matrix: dense layers, expectations, mixtures of channels."""

from __future__ import annotations

import numpy as np

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.recognition.operators import Node, operator
from atari_zoo.converters.recognition.symbols import Atom, Symbol


@operator("Gemm")
def gemm(node: Node) -> Symbol:
    """A dense layer with its bias."""
    value, weight, bias = node.value(), node.constant(1), node.constant(2)
    if weight is None or node.attribute("transA", 0):
        raise ConversionError("a transposed product")
    if node.attribute("alpha", 1.0) != 1 or (bias is not None and node.attribute("beta", 1.0) != 1):
        raise ConversionError("a scaled product")
    weight = weight if node.attribute("transB", 0) else weight.T
    return _dense(node, value, weight, bias)


@operator("MatMul")
def matmul(node: Node) -> Symbol:
    """A dense layer without its bias, or the expectation of a distribution."""
    value, weight = node.value(), node.constant(1)
    if weight is None:
        raise ConversionError("a product without weights")
    if value.layer.op == "softmax" and weight.size == value.shape[-1]:
        axes = value.axes[:-1] if weight.ndim == 1 else (*value.axes[:-1], ())
        return node.layer("expectation", (value,), axes, support=weight.ravel())
    if weight.ndim < 2 or any(size != 1 for size in weight.shape[:-2]):
        raise ConversionError("a product that is not with a matrix")
    new = max(weight.ndim - len(value.axes), 0)  # axes of 1 that the weights have in front
    weight = weight.reshape(weight.shape[-2:])
    return _dense(node, value.unsqueezed(range(new)), weight.T, None)


def _dense(node: Node, value: Symbol, weight: np.ndarray, bias: np.ndarray | None) -> Symbol:
    """A dense layer; `weight` (units, features) is put into the features' own order."""
    features = value.axes[-1]
    if weight.ndim != 2 or weight.shape[1] != value.shape[-1]:
        raise ConversionError(f"weights {weight.shape} for an input of {value.shape[1:]}")
    if not np.all([a.label != "N" for a in features]):
        raise ConversionError("a product over the batch")
    bias = np.zeros(len(weight), np.float32) if bias is None else bias.ravel()
    bias = np.broadcast_to(bias, (len(weight),))
    if value.layer.op == "conv" and features == value.layer.data["unit"]:
        return _mixed(node, value, weight, bias)
    if sum(bool(axis) for axis in value.axes) not in (2, 3):
        raise ConversionError(f"weights {weight.shape} for an input of {value.shape[1:]}")
    order = sorted(range(len(features)), key=lambda i: "FCHWU".find(features[i].label[0]))
    sizes = [atom.size for atom in features]
    weight = weight.reshape(-1, *sizes).transpose(0, *(i + 1 for i in order))
    weight = weight.reshape(len(weight), -1)
    unit = Atom("U", len(weight))
    axes = (*value.axes[:-1], (unit,))
    return node.layer("dense", (value,), axes, weight=weight, bias=bias, unit=(unit,))


def _mixed(node: Node, value: Symbol, weight: np.ndarray, bias: np.ndarray) -> Symbol:
    """A product over a convolution's channels: together they are one convolution.

    So a convolution is written as patches (a one-hot kernel) times a matrix.
    """
    layer, kernel = value.layer, value.layer.data["weight"]
    unit = Atom("C", len(weight))
    changed = {
        "weight": (weight @ kernel.reshape(len(kernel), -1)).reshape(-1, *kernel.shape[1:]),
        "bias": weight @ layer.data["bias"] + bias,
        "unit": (unit,),
        "affine": None,
    }
    axes = (*value.axes[:-1], (unit,))
    return node.layer("conv", layer.args, axes, **layer.data | changed)
