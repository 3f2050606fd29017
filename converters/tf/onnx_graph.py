"""An ONNX graph as it is written, node by node, the shape of every tensor known at once.

Sizes are inferred with ONNX's own rules, BATCH standing for the batch; so a node whose inputs do
not fit is refused where it stands, and no tensor of an absurd size gets into a graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.interchange import OPSET
from atari_zoo.converters.network.folding import fold
from atari_zoo.converters.recognition.symbols import BATCH

LARGEST = 1 << 24  # elements of a tensor, for one observation
WEIGHTS = 1 << 25  # elements of all constants together: four times Ape-X's
FEW = 64  # numbers of a shape, an axis or a padding: these are computed ahead
OPSETS = [helper.make_opsetid("", OPSET)]


class OnnxGraph:
    """Nodes in order, with what is known of each tensor.

    static: the batch size baked into the graph's constants; None where there is none.
    numbers: values of the small tensors that do not depend on what is seen.
    seeing: the tensors that do.
    """

    def __init__(self, static: int | None = None) -> None:
        self.static = static
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.numbers: dict[str, np.ndarray] = {}
        self.seeing: set[str] = set()
        self._inputs: list[onnx.ValueInfoProto] = []
        self._types: dict[str, onnx.TypeProto] = {}
        self._weights = 0

    def input(self, name: str, shape: Sequence[int], kind: int) -> str:
        """Adds an input of this ONNX type; BATCH in its shape is left open."""
        open_shape = ["batch" if size == BATCH else size for size in shape]
        self._inputs.append(helper.make_tensor_value_info(name, kind, open_shape))
        self._types[name] = helper.make_tensor_type_proto(kind, list(shape))
        self.seeing.add(name)
        return name

    def constant(self, name: str, array: np.ndarray) -> str:
        """Adds a constant; raises ConversionError where all of them together are too large."""
        self._weights += array.size
        if self._weights > WEIGHTS:
            raise ConversionError(f"more than {WEIGHTS} weights")
        self.constants[name] = numpy_helper.from_array(np.asarray(array), name)
        kind = self.constants[name].data_type
        self._types[name] = helper.make_tensor_type_proto(kind, array.shape)
        if array.size <= FEW:
            self.numbers[name] = array
        return name

    def add(self, op: str, inputs: Sequence[str], output: str, name: str, **attributes: Any) -> str:
        """Adds a node with one output.

        Raises ConversionError where ONNX's rules have no shape for its result.
        """
        node = helper.make_node(op, list(inputs), [output], name, **attributes)
        (kind,) = self._inferred(node).values()
        self.nodes.append(node)
        self._types[output] = kind
        if op != "Shape" and any(i in self.seeing for i in inputs):
            self.seeing.add(output)
        known = self._computed(node, kind)
        if known is not None:
            self.numbers[output] = known
        return output

    def several(
        self, op: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any
    ) -> None:
        """Adds a node with several outputs, all of which depend on what is seen."""
        node = helper.make_node(op, list(inputs), list(outputs), outputs[0], **attributes)
        self._types |= self._inferred(node)
        self.nodes.append(node)
        self.seeing |= set(outputs)

    def shape(self, tensor: str) -> tuple[int, ...]:
        """The tensor's sizes, BATCH for the batch."""
        return tuple(dim.dim_value for dim in self._types[tensor].tensor_type.shape.dim)

    def kind(self, tensor: str) -> int:
        """The tensor's type, as ONNX numbers them."""
        return int(self._types[tensor].tensor_type.elem_type)

    def model(self, outputs: Sequence[str]) -> onnx.ModelProto:
        """The model that computes these tensors; nodes that they do not need are left out."""
        needed, nodes = set(outputs), []
        for node in reversed(self.nodes):
            if needed & set(node.output):
                needed.update(node.input)
                nodes.append(node)
        results = [
            helper.make_tensor_value_info(
                name,
                self.kind(name),
                ["batch" if size == BATCH else size for size in self.shape(name)],
            )
            for name in outputs
        ]
        weights = [tensor for name, tensor in self.constants.items() if name in needed]
        graph = helper.make_graph(nodes[::-1], "network", self._inputs, results, weights)
        return helper.make_model(
            graph, opset_imports=OPSETS, ir_version=8, producer_name="atari-zoo"
        )

    def _inferred(self, node: onnx.NodeProto) -> dict[str, onnx.TypeProto]:
        """The types of what it gives, by name."""
        given = [name for name in node.input if name]
        try:
            found = shape_inference.infer_node_outputs(
                onnx.defs.get_schema(node.op_type, OPSET, ""),
                node,
                {name: self._types[name] for name in given},
                {
                    name: numpy_helper.from_array(self.numbers[name], name)
                    for name in given
                    if name in self.numbers
                },
                opset_imports=OPSETS,
            )
        except Exception as error:  # its checker and its inference raise their own kinds
            shapes = " and ".join(_words(self.shape(name)) for name in given)
            raise ConversionError(f"ONNX's {node.op_type} does not take {shapes}") from error
        for kind in found.values():
            sizes = [dim.dim_value for dim in kind.tensor_type.shape.dim]
            if not kind.tensor_type.HasField("shape") or min(sizes, default=1) < 1:
                raise ConversionError(f"ONNX's {node.op_type} gives no known size here")
            count = prod(sizes)
            if (count // BATCH if count % BATCH == 0 else count) > LARGEST:
                raise ConversionError(f"a tensor of {_words(sizes)} is more than a network needs")
        if len(found) != len(node.output):
            raise ConversionError(f"ONNX's {node.op_type} gives no known size here")
        return found

    def _computed(self, node: onnx.NodeProto, kind: onnx.TypeProto) -> np.ndarray | None:
        """The node's result, if it is a few integers that are known already."""
        shape = tuple(dim.dim_value for dim in kind.tensor_type.shape.dim)
        if node.op_type == "Shape":
            return np.array(self.shape(node.input[0]), np.int64)
        if prod(shape) > FEW or any(name not in self.numbers for name in node.input):
            return None
        if node.op_type == "Identity":
            return self.numbers[node.input[0]]
        if kind.tensor_type.elem_type not in (onnx.TensorProto.INT64, onnx.TensorProto.BOOL):
            return None
        try:
            values = fold(node, [self.numbers[name] for name in node.input], OPSET)
        except Exception as error:  # whatever numbers that do not fit provoke
            raise ConversionError(f"ONNX's {node.op_type} cannot be computed") from error
        return None if values is None else values[0]


def _words(shape: Sequence[int]) -> str:
    return "x".join("batch" if size == BATCH else str(size) for size in shape) or "a number"
