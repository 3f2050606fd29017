"""TensorFlow operators in ONNX: one operator, one function, nothing left out.

Meanings: https://www.tensorflow.org/api_docs/python/tf/raw_ops. The translation is literal, so
that onnxruntime's result on it owes nothing to how the network is recognised afterwards.
Integers are all int64, as ONNX wants its shapes and axes; only the screen's bytes stay bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from tensorboard.compat.proto import types_pb2
from tensorboard.compat.proto.attr_value_pb2 import AttrValue

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.registration import Registry
from atari_zoo.converters.tf.onnx_graph import OnnxGraph

# TensorFlow's types and ONNX's
KINDS = {
    types_pb2.DT_FLOAT: onnx.TensorProto.FLOAT,
    types_pb2.DT_DOUBLE: onnx.TensorProto.DOUBLE,
    types_pb2.DT_UINT8: onnx.TensorProto.UINT8,
    types_pb2.DT_INT32: onnx.TensorProto.INT64,
    types_pb2.DT_INT64: onnx.TensorProto.INT64,
    types_pb2.DT_BOOL: onnx.TensorProto.BOOL,
}


RESERVED = ("output", "value")  # names of the ONNX model's outputs


@dataclass
class TfNode:
    """A node of TensorFlow's, its inputs in ONNX, and the graph that it is written into.

    inputs: names of ONNX tensors.
    """

    definition: Any
    inputs: list[str]
    graph: OnnxGraph

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def op(self) -> str:
        return self.definition.op

    def ints(self, name: str) -> list[int]:
        """An attribute that is a list of integers; empty if it was left out."""
        return list(self._attribute(name).list.i)

    def text(self, name: str, default: str = "") -> str:
        """An attribute that is a text."""
        return self._attribute(name).s.decode("ascii", "replace") or default

    def flag(self, name: str, default: bool = False) -> bool:
        """An attribute that is true or false."""
        return bool(self._attribute(name).b) if name in self.definition.attr else default

    def whole(self, name: str) -> int:
        """An attribute that is an integer; 0 if it was left out."""
        return int(self._attribute(name).i)

    def number(self, name: str, default: float) -> float:
        """An attribute that is a float."""
        return float(self._attribute(name).f) if name in self.definition.attr else default

    def kind(self, name: str) -> int:
        """An attribute that is a type, as ONNX numbers it."""
        kind = self._attribute(name).type
        if kind not in KINDS:
            raise ConversionError(f"numbers of TensorFlow's type {kind}")
        return KINDS[kind]

    def shape(self, index: int = 0) -> tuple[int, ...]:
        """The sizes of an input, BATCH for the batch."""
        return self.graph.shape(self.inputs[index])

    def numbers(self, index: int) -> list[int]:
        """An input that tells a shape, axes or a padding, and is known ahead."""
        array = self.graph.numbers.get(self.inputs[index])
        if array is None or array.dtype.kind != "i":
            raise ConversionError(f"what it reads from '{self.inputs[index]}' is not known ahead")
        return [int(value) for value in array.ravel()]

    def constant(self, values: Sequence[int] | np.ndarray, what: str) -> str:
        """A constant that this node brings; `what` it is goes into its name."""
        array = values if isinstance(values, np.ndarray) else np.array(values, np.int64)
        return self.graph.constant(f"{self.name}:{what}", array)

    def step(self, op: str, *inputs: str, suffix: str = "", **attributes: Any) -> str:
        """An ONNX node on the way to this node's result. suffix: tells two of one kind apart."""
        output = f"{self.name}:{op}{suffix}"
        return self.graph.add(op, inputs, output, output, **attributes)

    def result(self, op: str, *inputs: str, **attributes: Any) -> str:
        """The ONNX node whose output is this node's."""
        return self.graph.add(op, inputs, tensor_of(self.name), self.name, **attributes)

    def _attribute(self, name: str) -> Any:
        # asking a protobuf map for a key that is not there puts it there
        return self.definition.attr[name] if name in self.definition.attr else AttrValue()


def tensor_of(name: str) -> str:
    """The ONNX tensor that holds a node's first output."""
    return f"{name}:0" if name in RESERVED else name


TF_OPERATORS: Registry[Callable[[TfNode], str]] = Registry(
    "TensorFlow operator", "atari_zoo.converters.tf"
)


def tf_operator(*names: str) -> Callable[[Callable[[TfNode], str]], Callable[[TfNode], str]]:
    """Registers a function as the translation of these operators; it returns the result's name."""

    def register(function: Callable[[TfNode], str]) -> Callable[[TfNode], str]:
        for name in names:
            TF_OPERATORS.add(name, function, function)
        return function

    return register
