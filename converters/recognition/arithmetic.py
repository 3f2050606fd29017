"""Operators that are arithmetic: what can go into a layer's weights does, the rest ends a head."""

from __future__ import annotations

from typing import Any

import numpy as np

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.recognition.elementwise import combine, elementwise, per_unit
from atari_zoo.converters.recognition.operators import Node, operator
from atari_zoo.converters.recognition.places import size
from atari_zoo.converters.recognition.symbols import Atom, Layer, Symbol


@operator("BatchNormalization")
def batch_normalization(node: Node) -> Symbol:
    scale, shift, mean, var = (np.asarray(node.constant(i), np.float64) for i in range(1, 5))
    factor = scale / np.sqrt(var + node.attribute("epsilon", 1e-5))
    column = (-1, 1, 1) if len(node.value().axes) == 4 else (-1,)
    scaled = _scaled(node, node.value(), factor.reshape(column))
    return _shifted(node, scaled, (shift - mean * factor).reshape(column))


@operator("Add", "Sub")
def add(node: Node) -> Symbol:
    left, right = node.inputs
    sign = -1 if node.proto.op_type == "Sub" else 1
    if isinstance(left, Symbol) and isinstance(right, Symbol):
        if right.layer.op == "logsumexp" and right.layer.args[0].layer is left.layer:
            return node.layer("normalized", (left,), left.axes)
        if combine(left, right):
            return elementwise(node)
        axes = max(left, right, key=lambda v: v.shape).axes
        if len(axes) == 4 and _places(left) != _places(right):
            raise ConversionError("a sum of maps that are not of the same places")
        return node.layer("sum", (left, right), axes, signs=(1, sign))
    if _is_one_function(node):
        return elementwise(node)
    if isinstance(left, Symbol):
        return _shifted(node, left, np.asarray(sign * np.asarray(right)))
    if sign == -1:
        return _shifted(node, _scaled(node, node.value(1), np.array(-1.0)), np.asarray(left))
    return _shifted(node, node.value(1), np.asarray(left))


@operator("Mul", "Div")
def mul(node: Node) -> Symbol:
    left, right = node.inputs
    if isinstance(left, Symbol) and isinstance(right, Symbol):
        if combine(left, right):
            return elementwise(node)
        raise ConversionError("a product of two values that depend on the observation")
    if _is_one_function(node):
        return elementwise(node)
    value, factor = (left, right) if isinstance(left, Symbol) else (right, left)
    if node.proto.op_type == "Div":
        if not isinstance(left, Symbol):
            raise ConversionError("a division by something that depends on the observation")
        return _scaled(node, left, np.asarray(1 / np.asarray(right, np.float64)))
    assert isinstance(value, Symbol)
    return _scaled(node, value, np.asarray(factor))


@operator("ReduceMean", "ReduceSum")
def reduce(node: Node) -> Symbol:
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
def softmax(node: Node) -> Symbol:
    value = node.value()
    axis = node.attribute("axis", -1) % len(value.axes)
    if axis != len(value.axes) - 1:
        raise ConversionError("a softmax that is not over the last axis")
    return node.layer("softmax", (value,), value.axes, over=value.axes[-1])


@operator("LogSoftmax")
def log_softmax(node: Node) -> Symbol:
    return node.layer("normalized", (node.value(),), node.value().axes)


@operator("ReduceLogSumExp")
def log_sum_exp(node: Node) -> Symbol:
    return node.layer("logsumexp", (node.value(),), node.value().axes[:1])


@operator("ArgMax")
def argmax(node: Node) -> Symbol:
    return node.layer("argmax", (node.value(),), node.value().axes[:1])


def _shifted(node: Node, value: Symbol, constant: np.ndarray) -> Symbol:
    if not np.any(constant):
        return value
    if value.layer.op not in ("conv", "dense"):
        raise ConversionError(f"a constant added after {value.layer.op}")
    data = value.layer.data
    shift = per_unit(value, constant)
    changed = {"bias": data["bias"] + shift, "affine": _affine(value, 1.0, constant)}
    return node.layer(value.layer.op, value.layer.args, value.axes, **data | changed)


def _scaled(node: Node, value: Symbol, factor: np.ndarray) -> Symbol:
    op, data = value.layer.op, value.layer.data
    if op == "input" and factor.size == 1:
        scale = data["scale"] * float(factor.ravel()[0])
        return node.layer("input", (), value.axes, **data | {"scale": scale})
    if op in ("conv", "dense"):
        scale = per_unit(value, factor)
        weight = data["weight"] * scale.reshape(-1, *[1] * (data["weight"].ndim - 1))
        changed = {"weight": weight, "bias": data["bias"] * scale}
        changed |= {"affine": _affine(value, factor, np.zeros(()))}
        return node.layer(op, value.layer.args, value.axes, **data | changed)
    if op == "softmax" and factor.size == value.shape[-1] == factor.shape[-1]:
        over = data["over"]
        return node.layer("weighted", (value,), value.axes, support=factor.ravel(), over=over)
    if op == "elementwise" and len(value.axes) == 3 and factor.ndim >= 2 and not value.axes[1]:
        samples = Atom("S", factor.shape[-2])
        axes = (value.axes[0], (samples,), value.axes[2])
        return node.layer("embedded", (value,), axes, table=_constant_name(node))
    if factor.size == 1 and float(factor.ravel()[0]) == 1:
        return value
    raise ConversionError(f"a factor after {op}")


def _places(value: Symbol) -> list[tuple[str, int]]:
    """What each axis of maps is, and how long."""
    return [("+".join(atom.label for atom in axis), size(axis)) for axis in value.axes]


def _is_one_function(node: Node) -> bool:
    """Whether arithmetic with one number is a step of a function, and not a layer's scale."""
    value = next(x for x in node.inputs if isinstance(x, Symbol))
    numbers = [x for x in node.inputs if isinstance(x, np.ndarray)]
    if value.layer.op not in ("elementwise", "sum", "pool") or numbers[0].size != 1:
        return False
    neutral = 1 if node.proto.op_type in ("Mul", "Div") else 0
    reads = node.inputs[0] is value or node.proto.op_type in ("Add", "Mul")
    return not reads or float(numbers[0].ravel()[0]) != neutral


def _affine(value: Symbol, factor: Any, shift: np.ndarray) -> tuple[Layer, float, float] | None:
    """The layer that was scaled and shifted as a whole, on the way or now, and by how much; None
    if a number differs from unit to unit."""
    if np.size(factor) != 1 or shift.size != 1:
        return None
    root, before, added = value.layer.data.get("affine") or (value.layer, 1.0, 0.0)
    number = float(np.ravel(factor)[0])
    return root, before * number, added * number + float(shift.ravel()[0])


def _constant_name(node: Node) -> str:
    return next(
        name
        for name, operand in zip(node.proto.input, node.inputs, strict=True)
        if isinstance(operand, np.ndarray)
    )
