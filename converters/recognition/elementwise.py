"""Operators that change each number by itself: activation functions, and what they are made of.

A value that one or several of them compute is a layer "elementwise": its argument, and what the
function gives on a grid of numbers (`activations.GRID`). So GELU is GELU whether it is one operator
or five; `activations.activation_of` tells which function it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.activations import (
    GRID,
    IDENTITY,
    Activation,
    activation_of,
    prelu_of,
)
from atari_zoo.converters.network.folding import evaluated
from atari_zoo.converters.recognition.operators import Node, Operand, operator
from atari_zoo.converters.recognition.symbols import Layer, Symbol

OPS = ("conv", "dense", "sum", "pool", "elementwise")  # whose values they may change


class Sampled(NamedTuple):
    """A function of a layer's values, on the grid.

    root, root_samples: the same as a function of the layer before it was scaled and shifted as a
        whole, where an exporter did so on the way: GELU reads x and x / sqrt(2).
    """

    layer: Layer
    samples: np.ndarray
    root: Layer
    root_samples: np.ndarray


@operator(
    *"Abs Celu Clip Elu Erf Exp Gelu Greater GreaterOrEqual HardSigmoid HardSwish LeakyRelu Less "
    "LessOrEqual Log Max Min Mish Neg Pow Reciprocal Relu Selu Sigmoid Softplus Softsign Sqrt "
    "Swish Tanh ThresholdedRelu Where".split()
)
def elementwise(node: Node) -> Symbol:
    """A function of one layer's values, and of numbers that are the same for all of them."""
    given = [operand for operand in node.inputs if isinstance(operand, Symbol)]
    for value in given:
        if value.layer.op not in OPS:
            raise ConversionError(f"a function of each number after {value.layer.op}")
        if value.axes != given[0].axes:
            raise ConversionError("a function of two values that stand in different orders")
    functions = _on_one_layer([sampled(value) for value in given])
    one = functions[0]
    samples = _on_grid(node, [function.samples for function in functions])
    root_samples = _on_grid(node, [function.root_samples for function in functions])
    argument = Symbol(one.layer, one.layer.axes)
    found = Sampled(one.layer, samples, one.root, root_samples)
    return node.layer("elementwise", (argument,), given[0].axes, sampled=found)


@operator("PRelu")
def prelu(node: Node) -> Symbol:
    """A leaky ReLU whose slope is a weight: one number, or one for each unit of a layer."""
    value, slopes = node.value(), node.constant(1)
    if slopes is None:
        raise ConversionError("a PReLU without slopes")
    layer = value.layer
    if slopes.size == 1:
        made = elementwise(node)
        if layer.op != "elementwise":  # the number itself is closer than what samples show
            made.layer.data["slopes"] = slopes.ravel()
        return made
    if layer.op not in ("conv", "dense"):
        raise ConversionError(f"a PReLU with several slopes after {layer.op}")
    numbers = per_unit(value, slopes)
    return node.layer("elementwise", (Symbol(layer, layer.axes),), value.axes, slopes=numbers)


def per_unit(value: Symbol, constant: np.ndarray) -> np.ndarray:
    """A constant that differs along the units only, as one number for each unit."""
    unit, shape = value.layer.data["unit"], constant.shape
    if unit not in value.axes:
        raise ConversionError("a constant for units whose axis was reshaped")
    axis = value.axes.index(unit) - len(value.axes)
    if any(s != 1 for i, s in enumerate(shape) if i - len(shape) != axis):
        raise ConversionError("a constant that differs from place to place")
    return np.broadcast_to(constant.ravel(), (len(value.layer.data["bias"]),))


def combine(left: Symbol, right: Symbol) -> bool:
    """Whether both are functions of one layer's values, so that what joins them is one, too."""
    ops = {left.layer.op, right.layer.op}
    if not ops <= set(OPS) or ("elementwise" not in ops and left.layer is not right.layer):
        return False
    first, second = sampled(left), sampled(right)
    return first.layer is second.layer or first.root is second.root


def sampled(value: Symbol) -> Sampled:
    """A value as a function of the layer that it is made of."""
    layer = value.layer
    if layer.op == "elementwise" and "sampled" not in layer.data:
        raise ConversionError("a function of what a PReLU with several slopes gives")
    if layer.op == "elementwise":
        found: Sampled = layer.data["sampled"]
        return found
    root, factor, shift = layer.data.get("affine") or (layer, 1.0, 0.0)
    return Sampled(layer, GRID, root, np.float32(factor) * GRID + np.float32(shift))


def activated(value: Symbol) -> tuple[Layer, Activation]:
    """The layer whose values these are, and the activation function after it.

    Raises ConversionError if that has no name.
    """
    layer = value.layer
    if layer.op != "elementwise":
        return layer, IDENTITY
    try:
        if "slopes" in layer.data:
            return layer.args[0].layer, prelu_of(layer.data["slopes"])
        return layer.args[0].layer, activation_of(layer.data["sampled"].samples)
    except ConversionError as error:
        raise ConversionError(f"{error} ('{layer.tensor}')") from error


def _on_one_layer(functions: Sequence[Sampled]) -> list[Sampled]:
    """The same functions, all of one layer's values; raises ConversionError if there is none."""
    if all(function.layer is functions[0].layer for function in functions):
        return list(functions)
    if all(function.root is functions[0].root for function in functions):
        return [Sampled(f.root, f.root_samples, f.root, f.root_samples) for f in functions]
    raise ConversionError("a function of two layers' values")


def _on_grid(node: Node, samples: Sequence[np.ndarray]) -> np.ndarray:
    """What the node gives on the grid; it hands on NaN and infinity, as the logarithm of 0 is."""
    left = iter(samples)
    operands = [next(left) if isinstance(x, Symbol) else _number(x) for x in node.inputs]
    if node.proto.op_type != "Where":  # a condition, which is somewhere cast to 0 and 1
        operands = [x.astype(np.float32) if x is not None else None for x in operands]
    try:
        (values,) = evaluated(node.proto, operands, node.opset)
    except Exception as error:  # whatever the reference meets in an operator that is no function
        raise ConversionError(f"no function of each number: {str(error)[:100]}") from error
    if np.shape(values) != GRID.shape:
        raise ConversionError("no function of each number")
    return np.asarray(values)


def _number(operand: Operand) -> np.ndarray | None:
    if operand is None:
        return None
    assert isinstance(operand, np.ndarray)
    if operand.size != 1:
        raise ConversionError("a function whose numbers differ from unit to unit")
    number = operand.reshape(())
    return number.astype(np.float32) if number.dtype.kind == "f" else number
