"""Constants of an ONNX graph: what can be computed before any observation is seen."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from atari_zoo.converters.errors import ConversionError

# operators whose result is never much larger than what goes in
FOLDABLE = frozenset(
    "Abs Add Cast CastLike Ceil Clip Concat Cos Div Equal Exp EyeLike Flatten Floor Gather Gemm "
    "Greater Identity Less Log MatMul Max Min Mod Mul Neg Not Pow Reciprocal ReduceMax "
    "ReduceMean ReduceMin ReduceProd ReduceSum Relu Reshape Round Shape Sigmoid Sin Size Slice "
    "Softmax Split Sqrt Squeeze Sub Sum Tanh Transpose Unsqueeze Where".split()
)
GROWING = frozenset(("ConstantOfShape", "Expand", "Range", "Tile"))  # checked first
LARGEST = 1 << 24  # elements a constant may have


def initializers(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """The graph's stored tensors, by name.

    Raises ConversionError if one is damaged.
    """
    return {tensor.name: _stored(tensor) for tensor in graph.initializer}


def _stored(tensor: onnx.TensorProto) -> np.ndarray:
    try:
        return numpy_helper.to_array(tensor)
    except Exception as error:  # whatever a damaged tensor provokes
        raise ConversionError(f"tensor '{tensor.name}' is damaged: {error}") from error


def fold(
    node: onnx.NodeProto, inputs: list[np.ndarray | None], opset: int
) -> list[np.ndarray] | None:
    """The node's outputs for constant inputs; None if this operator is not computed ahead."""
    if node.op_type == "Constant":
        return [_constant(node)]
    if node.op_type in GROWING:
        _check_growth(node, inputs)
    elif node.op_type not in FOLDABLE:
        return None
    return evaluated(node, inputs, opset)


def evaluated(
    node: onnx.NodeProto, inputs: Sequence[np.ndarray | None], opset: int
) -> list[np.ndarray]:
    """The node's outputs for these inputs, by ONNX's reference implementation."""
    used = [name for name in node.input if name]
    graph = helper.make_graph(
        [node],
        "constants",
        [onnx.ValueInfoProto(name=name) for name in used],
        [onnx.ValueInfoProto(name=name) for name in node.output],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    feeds = {name: x for name, x in zip(node.input, inputs, strict=True) if name}
    with np.errstate(all="ignore"):
        return [np.asarray(x) for x in ReferenceEvaluator(model).run(None, feeds)]


class Constants:
    """A graph's constants by name, computed when they are asked for: most are never needed."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
        self.stored = {tensor.name: tensor for tensor in model.graph.initializer}
        self.nodes = {name: node for node in model.graph.node for name in node.output}

    def get(self, name: str, depth: int = 8) -> np.ndarray | None:
        """The value; None if it depends on the input, or is not to be computed ahead.

        depth: of the computation that may lie behind it.
        """
        if name in self.stored:
            return _stored(self.stored[name])
        node = self.nodes.get(name)
        if node is None or not depth:
            return None
        given = [self.get(other, depth - 1) for other in node.input if other]
        if any(value is None for value in given):
            return None
        try:
            values = fold(node, given, self.opset)
        except ConversionError:
            raise
        except Exception:  # a malformed node breaks whatever computes it
            return None
        return None if values is None else values[list(node.output).index(name)]


def _constant(node: onnx.NodeProto) -> np.ndarray:
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        if attribute.name == "value":
            return numpy_helper.to_array(value)
        if attribute.name in ("value_float", "value_floats"):
            return np.array(value, np.float32)
        if attribute.name in ("value_int", "value_ints"):
            return np.array(value, np.int64)
    raise ConversionError("a constant of a kind that no network needs")


def _check_growth(node: onnx.NodeProto, inputs: list[np.ndarray | None]) -> None:
    values = [np.atleast_1d(x) for x in inputs if x is not None]
    if node.op_type == "Range":
        start, limit, delta = (float(v[0]) for v in values)
        size = (limit - start) / delta if delta else float("inf")
    elif node.op_type == "Tile":
        size = values[0].size * prod(int(v) for v in values[1])
    else:
        size = prod(int(v) for v in values[-1])
    if size > LARGEST:
        raise ConversionError(f"a constant of {size:.0f} values is more than a network needs")
