"""TensorFlow's operators that hold, move and join values."""

from __future__ import annotations

from math import prod

import numpy as np

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.finite import finite_tensor
from atari_zoo.converters.recognition.symbols import BATCH
from atari_zoo.converters.tf.constants import constant
from atari_zoo.converters.tf.operators import TfNode, tensor_of, tf_operator


@tf_operator("Const")
def const(node: TfNode) -> str:
    """A constant; raises ConversionError if it holds what is no trained weight."""
    array = constant(node.definition)
    if array.dtype.kind == "f":
        finite_tensor(array)
    if array.dtype.kind == "i":
        array = array.astype(np.int64)
    return node.graph.constant(tensor_of(node.name), array)


@tf_operator(
    "Identity",
    "StopGradient",
    "Snapshot",
    "PreventGradient",
    "CheckNumerics",
    "PlaceholderWithDefault",
)
def identity(node: TfNode) -> str:
    """What it reads; a placeholder that is not fed has its default."""
    return node.result("Identity", node.inputs[0])


@tf_operator("Cast")
def cast(node: TfNode) -> str:
    """Another type."""
    return node.result("Cast", node.inputs[0], to=node.kind("DstT"))


@tf_operator("Shape")
def shape(node: TfNode) -> str:
    """The sizes, of the batch too."""
    return node.result("Shape", node.inputs[0])


@tf_operator("Reshape")
def reshape(node: TfNode) -> str:
    """Other axes; a batch size that was baked into the shape is made free."""
    data, wanted = node.inputs[0], node.inputs[1]
    sizes, total = node.graph.numbers.get(wanted), prod(node.shape())
    if sizes is not None and data in node.graph.seeing and _bakes(node, sizes.tolist()):
        rest = [int(size) for size in sizes[1:]]
        if -1 in rest:
            known = prod(size for size in rest if size != -1) * BATCH
            rest[rest.index(-1)] = total // max(known, 1)
        wanted = node.constant([-1, *rest], "shape")
    reshaped = node.result("Reshape", data, wanted)
    if prod(node.graph.shape(reshaped)) != total:
        raise ConversionError("a reshape that changes how many values there are")
    return reshaped


@tf_operator("ExpandDims")
def expand_dims(node: TfNode) -> str:
    """One more axis, of size 1."""
    return node.result("Unsqueeze", node.inputs[0], node.constant(node.numbers(1), "axes"))


@tf_operator("Squeeze")
def squeeze(node: TfNode) -> str:
    """Without some axes of size 1, or without all."""
    sizes = node.shape()
    axes = node.ints("squeeze_dims") or [i for i, size in enumerate(sizes) if size == 1]
    if any(sizes[axis] != 1 for axis in axes):
        raise ConversionError(f"an axis that is not 1 is squeezed: {axes} of {len(sizes)}")
    if not axes:
        return node.result("Identity", node.inputs[0])
    return node.result("Squeeze", node.inputs[0], node.constant(axes, "axes"))


@tf_operator("Transpose")
def transpose(node: TfNode) -> str:
    """The axes in another order."""
    return node.result("Transpose", node.inputs[0], perm=node.numbers(1))


@tf_operator("Pack")
def pack(node: TfNode) -> str:
    """Values joined along a new axis."""
    axis = node.whole("axis")
    axes = node.constant([axis], "axes")
    parts = [node.step("Unsqueeze", x, axes, suffix=str(i)) for i, x in enumerate(node.inputs)]
    return node.result("Concat", *parts, axis=axis)


@tf_operator("ConcatV2")
def concat(node: TfNode) -> str:
    """Values joined along an axis that they have."""
    *parts, _ = node.inputs
    seeing = [part for part in parts if part in node.graph.seeing]
    if seeing and len(seeing) < len(parts):
        raise ConversionError(
            "joins the features with something else: reward or last action are inputs too, "
            "but an agent of the zoo reads the screen alone"
        )
    return node.result("Concat", *parts, axis=node.numbers(len(parts))[0])


@tf_operator("Fill")
def fill(node: TfNode) -> str:
    """One number everywhere."""
    return node.result("Expand", node.inputs[1], node.inputs[0])


@tf_operator("Tile")
def tile(node: TfNode) -> str:
    """The value repeated along its axes."""
    return node.result("Tile", *node.inputs[:2])


@tf_operator("Pad")
def pad(node: TfNode) -> str:
    """Zeros around."""
    pairs = np.array(node.numbers(1), np.int64).reshape(-1, 2)
    return node.result("Pad", node.inputs[0], node.constant(pairs.T.ravel(), "pads"))


def _bakes(node: TfNode, sizes: list[int]) -> bool:
    """Whether this shape begins with the batch size that the graph was made for."""
    known = bool(sizes) and sizes[0] == node.graph.static and BATCH not in sizes
    return known and prod(node.shape()) % BATCH == 0
