"""Changes of layers as ONNX operators, behind what computes the layers."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper
from torch import Tensor

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.export.writer import GraphWriter
from atari_zoo.converters.network.hooks import Layered
from atari_zoo.converters.network.layer_changes import AffineChange, changes_on


def write_changes(network: Layered, graph: GraphWriter) -> None:
    """Has whatever reads a layer read its changed value, under the layer's own name.

    Raises ConversionError for a change that has no operators.
    """
    for number, (layer, change) in enumerate(changes_on(network)):
        if not isinstance(change, AffineChange):
            raise ConversionError(
                f"the intervention on {layer} draws anew for each observation: it has no ONNX form"
            )
        place, node = _node_of(layer, graph)
        before = f"{layer}.intact{number}"
        node.name = before if node.name == layer else node.name
        node.output[:] = [before if name == layer else name for name in node.output]
        later = graph.nodes[place + 1 :]
        del graph.nodes[place + 1 :]
        factor = _constant(graph, f"{layer}.factor{number}", change.factor)
        shift = _constant(graph, f"{layer}.shift{number}", change.shift)
        scaled = graph.add("Mul", [before, factor], f"{layer}.scaled{number}")
        graph.add("Add", [scaled, shift], layer)
        graph.nodes += later


def _node_of(layer: str, graph: GraphWriter) -> tuple[int, onnx.NodeProto]:
    for place, node in enumerate(graph.nodes):
        if layer in node.output:
            return place, node
    raise ConversionError(f"the intervention on {layer} has no place in the ONNX graph")


def _constant(graph: GraphWriter, name: str, value: Tensor) -> str:
    """In full precision, whatever the weights are stored in: it is no weight."""
    array = np.ascontiguousarray(value.cpu().numpy(), np.float32)
    graph.weights.append(numpy_helper.from_array(array, name))
    return name
