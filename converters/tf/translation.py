"""A TensorFlow graph written as ONNX, node by node, from the screen to the outputs."""

from __future__ import annotations

import numpy as np
import onnx

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.recognition.symbols import BATCH
from atari_zoo.converters.tf.endpoints import UNFROZEN, VARIABLES
from atari_zoo.converters.tf.graphdef import TfGraph
from atari_zoo.converters.tf.onnx_graph import OnnxGraph
from atari_zoo.converters.tf.operators import TF_OPERATORS, TfNode, tensor_of
from atari_zoo.converters.tf.screen import TfScreen

LONGEST = 1000  # nodes; the original zoo's have up to 200


def translate(
    graph: TfGraph, screen: TfScreen, main: str, value: str = ""
) -> tuple[onnx.ModelProto, list[str]]:
    """The ONNX model from the screen to "output" and, where there is one, "value"; and notes.

    main: the node with a number for each action. value: the state's value, left out, with a
        note, where it cannot be translated.
    Raises ConversionError, with the node's name, where a node has no translation.
    """
    target = OnnxGraph(screen.static)
    written = {screen.node}
    _begin(target, screen)
    _write(graph, main, screen, target, written)
    outputs, notes = [_end(target, main, "output")], []
    if value:
        try:
            _write(graph, value, screen, target, written)
            outputs.append(_end(target, value, "value"))
        except ConversionError as error:
            notes.append(f"the value '{value}' was left out: {error}")
    return target.model(outputs), notes


def _begin(target: OnnxGraph, screen: TfScreen) -> None:
    name = tensor_of(screen.node)
    if not screen.timed:
        target.input(name, screen.shape, screen.kind)
        return
    source = target.input(f"{screen.node}:screen", screen.shape, screen.kind)
    axes = target.constant(f"{screen.node}:axes", np.array([1], np.int64))
    target.add("Unsqueeze", [source, axes], name, screen.node)


def _write(
    graph: TfGraph, end: str, screen: TfScreen, target: OnnxGraph, written: set[str]
) -> None:
    """Writes the nodes that lead to `end` and are not written yet."""
    way = graph.way([end], stop=written)
    if len(way) > LONGEST:
        raise ConversionError(f"{len(way)} nodes lead to '{end}', more than in any agent's network")
    if any(graph.op(name) in VARIABLES for name in way):
        raise ConversionError(UNFROZEN)
    for name in way:
        if name in written:
            continue
        definition, op = graph.nodes[name], graph.op(name)
        if op == "Placeholder":
            raise ConversionError(
                f"placeholder '{name}' is needed for the output: reward or last action are "
                "inputs too, but an agent of the zoo reads the screen alone"
            )
        if op not in TF_OPERATORS:
            raise ConversionError(f"node '{name}': no translation for '{op}'")
        reads = graph.inputs(name)
        try:
            if any(read.output for read in reads):
                raise ConversionError("reads another than a node's first output")
            TF_OPERATORS[op](TfNode(definition, [tensor_of(read.node) for read in reads], target))
        except ConversionError as error:
            raise ConversionError(f"node '{name}' ({op}): {error}") from error
        except Exception as error:  # a malformed node breaks whatever reads it
            raise ConversionError(f"node '{name}' ({op}) is malformed") from error
        written.add(name)


def _end(target: OnnxGraph, name: str, output: str) -> str:
    """Names a node's value as an output, with the axes of 1 between batch and actions left out."""
    tensor = tensor_of(name)
    batch, *sizes = target.shape(tensor) or (1,)
    if batch != BATCH or any(size != 1 for size in sizes[:-1]):
        found = "x".join("batch" if size == BATCH else str(size) for size in (batch, *sizes))
        raise ConversionError(f"node '{name}' gives {found}, not a few numbers for an observation")
    if len(sizes) < 2:
        return target.add("Identity", [tensor], output, output)
    shape = target.constant(f":{output}", np.array([-1, sizes[-1]], np.int64))
    return target.add("Reshape", [tensor, shape], output, output)
