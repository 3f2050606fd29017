"""ONNX operators, by what each does to a symbolic tensor: one operator, one function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.recognition.symbols import Axis, Layer, Symbol
from atari_zoo.converters.registration import Registry

Operand = Symbol | np.ndarray | None


@dataclass
class Node:
    """A node with its operands: symbolic values, constants, or None where left out.

    opset: of the graph. static_batch: the only batch size that it takes, where there is one.
    """

    proto: onnx.NodeProto
    inputs: list[Operand]
    opset: int
    static_batch: int | None = None

    def attribute(self, name: str, default: Any = None) -> Any:
        for attribute in self.proto.attribute:
            if attribute.name == name:
                return helper.get_attribute_value(attribute)
        return default

    def value(self, index: int = 0) -> Symbol:
        """The operand at `index`, which depends on the observation."""
        operand = self.inputs[index]
        if not isinstance(operand, Symbol):
            raise ConversionError("a constant where the network's input was expected")
        return operand

    def constant(self, index: int) -> np.ndarray | None:
        """The operand at `index`, which does not; None if it was left out."""
        operand = self.inputs[index] if index < len(self.inputs) else None
        if isinstance(operand, Symbol):
            raise ConversionError("weights that depend on the observation")
        return operand

    def ints(self, name: str, index: int) -> list[int] | None:
        """An attribute that newer opsets have as an input."""
        values = self.attribute(name)
        if values is None:
            constant = self.constant(index)
            values = None if constant is None else constant.ravel().tolist()
        return None if values is None else [int(v) for v in values]

    def layer(
        self, op: str, args: tuple[Symbol, ...], axes: tuple[Axis, ...], **data: Any
    ) -> Symbol:
        """A new layer, held by this node's first output."""
        return Symbol(Layer(op, args, data, self.proto.output[0], axes), axes)


OPERATORS: Registry[Callable[[Node], Symbol]] = Registry(
    "ONNX operator", "atari_zoo.converters.recognition"
)


def operator(*names: str) -> Callable[[Callable[[Node], Symbol]], Callable[[Node], Symbol]]:
    """Registers a function as the meaning of these operators."""

    def register(function: Callable[[Node], Symbol]) -> Callable[[Node], Symbol]:
        for name in names:
            OPERATORS.add(name, function, function)
        return function

    return register


@operator("Identity", "Dropout", "Cast", "CastLike")
def same(node: Node) -> Symbol:
    return node.value()


@operator("Transpose")
def transpose(node: Node) -> Symbol:
    rank = len(node.value().axes)
    return node.value().permuted(node.attribute("perm", list(range(rank))[::-1]))


@operator("Reshape")
def reshape(node: Node) -> Symbol:
    shape = node.constant(1)
    if shape is None:
        raise ConversionError("a reshape without a shape")
    return node.value().reshaped(shape.ravel().tolist(), node.static_batch)


@operator("Flatten")
def flatten(node: Node) -> Symbol:
    value, axis = node.value(), node.attribute("axis", 1)
    front, back = value.axes[:axis], value.axes[axis:]
    return Symbol(value.layer, (sum(front, ()), sum(back, ())))


@operator("Squeeze")
def squeeze(node: Node) -> Symbol:
    return node.value().squeezed(node.ints("axes", 1))


@operator("Unsqueeze")
def unsqueeze(node: Node) -> Symbol:
    return node.value().unsqueezed(node.ints("axes", 1) or [])
