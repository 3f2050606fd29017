"""The constants of a TensorFlow graph: TensorProto's numbers as numpy arrays."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from tensorboard.compat.proto import types_pb2

from atari_zoo.converters.errors import ConversionError

LARGEST = 1 << 24  # elements of one constant: four times a dense layer of this architecture

# TensorFlow's types that a network holds: numpy's, and the list where short constants stand
TYPES: dict[int, tuple[type[np.generic], str]] = {
    types_pb2.DT_FLOAT: (np.float32, "float_val"),
    types_pb2.DT_DOUBLE: (np.float64, "double_val"),
    types_pb2.DT_UINT8: (np.uint8, "int_val"),
    types_pb2.DT_INT32: (np.int32, "int_val"),
    types_pb2.DT_INT64: (np.int64, "int64_val"),
    types_pb2.DT_BOOL: (np.bool_, "bool_val"),
}


def constant(node: Any) -> np.ndarray:
    """The value of a Const node, read-only.

    Raises ConversionError if it is damaged, or of a type that no network needs.
    """
    tensor = node.attr["value"].tensor
    if tensor.dtype not in TYPES:
        raise ConversionError(f"a constant of TensorFlow's type {tensor.dtype}")
    kind, place = TYPES[tensor.dtype]
    shape = [dim.size for dim in tensor.tensor_shape.dim[:9]]
    count = prod(shape)
    if len(shape) > 8 or min(shape, default=0) < 0 or count > LARGEST:
        raise ConversionError(f"a constant of {count} numbers {shape}; at most {LARGEST} are read")
    content, values = tensor.tensor_content, getattr(tensor, place)
    if len(content) not in (0, count * np.dtype(kind).itemsize) or len(values) > count:
        held = len(values) or len(content) // np.dtype(kind).itemsize
        raise ConversionError(f"{held} numbers for a shape of {shape}")
    if content:
        stored: type[np.generic] = np.uint8 if kind is np.bool_ else kind
        array = np.frombuffer(content, np.dtype(stored).newbyteorder("<"))
        return array.reshape(shape).astype(kind, copy=False)
    # a short list's last number stands for the rest
    wide = np.float64 if issubclass(kind, np.floating) else np.int64
    array = np.full(count, values[-1] if values else 0, wide)
    array[: len(values)] = values
    return array.reshape(shape).astype(kind)
