"""Recognition of architectures that have a name in an ONNX graph, whoever exported it.

The graph is followed from its input with symbolic tensors (`symbols`), each operator by its
meaning (`operators`), constants computed on the way (`folding`). What comes out at the end is
matched with the heads and the trunks, and the weights go into one readable `AgentNetwork`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import onnx.inliner

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.folding import fold, initializers
from atari_zoo.converters.recognition.contract import input_maximum
from atari_zoo.converters.recognition.matching import flatten_order, match
from atari_zoo.converters.recognition.operators import OPERATORS, Node, Operand
from atari_zoo.converters.recognition.places import GraphPlace
from atari_zoo.converters.recognition.symbols import BATCH, Atom, Graph, Layer, Symbol

PRODUCER = "atari-zoo"  # of the graphs written here, which take 0..1 where they do not divide
WRITTEN_HERE = 1.0


@dataclass(frozen=True)
class Input:
    """How the graph takes an observation.

    layout: its axes, such as "NFHW" or "NHWF" (F: frames).
    maximum: the value of a white pixel, 1 or 255.
    dtype: of the input tensor. batch: the only batch size it takes, or None for any.
    """

    name: str
    layout: str
    maximum: float
    dtype: np.dtype
    batch: int | None

    def feed(self, observations: np.ndarray) -> np.ndarray:
        """Observations (batch, frames, height, width) in 0..1, as this graph wants them."""
        moved = observations.transpose(["NFHW".index(axis) for axis in self.layout]) * self.maximum
        moved = moved.round() if self.dtype.kind in "ui" else moved
        return np.ascontiguousarray(moved.astype(self.dtype))


@dataclass
class Recognised:
    """The network found in a graph, and where in the graph its named layers are.

    flatten: the order in which the graph's dense layer reads the last convolution, such as
        "H, W, C"; "" where it does not tell.
    """

    network: AgentNetwork
    input: Input
    layers: dict[str, GraphPlace]
    flatten: str = ""


def recognise(model: onnx.ModelProto, maximum: float | None = None) -> Recognised:
    """The network in `model`.

    maximum: the value of a white pixel; as the graph tells if not given, or 1 where it does not.
    Raises ConversionError, with the node's name, where the graph is something else.
    """
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    values, source = _follow(model, maximum)
    outputs = [(o.name, values.get(o.name)) for o in model.graph.output]
    producers = {name: node for node in model.graph.node for name in node.output}
    graph = Graph(values, producers)
    found = match([(n, v) for n, v in outputs if isinstance(v, Symbol)], graph)
    return Recognised(found.network, source, found.layers, flatten_order(graph))


def _follow(model: onnx.ModelProto, maximum: float | None) -> tuple[dict[str, Operand], Input]:
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    values: dict[str, Operand] = dict(initializers(model.graph))
    start, static = _input(model.graph, values)
    values[start.tensor] = Symbol(start, start.axes)
    for proto in model.graph.node:
        inputs: list[Operand] = []
        for name in proto.input:
            if name and name not in values:
                break  # it depends on something that was not understood
            inputs.append(values[name] if name else None)
        else:
            for name, value in zip(
                proto.output, _evaluate(proto, inputs, opset, static), strict=False
            ):
                values[name] = value
    read = WRITTEN_HERE if model.producer_name == PRODUCER else input_maximum(model)
    return values, _describe(start, values, static, maximum, read)


def _evaluate(
    proto: onnx.NodeProto, inputs: list[Operand], opset: int, static: int | None
) -> list[Operand]:
    label = f"node '{proto.name or proto.output[0]}' ({proto.op_type})"
    try:
        if not any(isinstance(x, Symbol) for x in inputs):
            constants = [x for x in inputs if not isinstance(x, Symbol)]
            return list(fold(proto, constants, opset) or [])
        unclear = next(
            (x for x in inputs if isinstance(x, Symbol) and x.layer.op == "opaque"), None
        )
        if unclear is not None:  # the first reason met is what a refusal tells
            return [unclear]
        if proto.op_type == "Shape":
            (value,) = (x for x in inputs if isinstance(x, Symbol))
            return [np.array(value.shape, np.int64)]
        if proto.op_type not in OPERATORS:
            return [_opaque(label)]
        return [OPERATORS[proto.op_type](Node(proto, inputs, opset, static))]
    except ConversionError as error:
        return [_opaque(f"{label}: {error}")]
    except Exception as error:  # a malformed node breaks whatever reads it
        reason = str(error).partition("\n")[0]
        raise ConversionError(f"{label} is malformed: {reason}") from error


def _opaque(reason: str) -> Symbol:
    # not yet an error: the output may not need this node
    return Symbol(Layer("opaque", data={"reason": reason}), ())


def _input(graph: onnx.GraphProto, constants: dict[str, Operand]) -> tuple[Layer, int | None]:
    inputs = [i for i in graph.input if i.name not in constants]
    images = [i for i in inputs if len(i.type.tensor_type.shape.dim) == 4]
    if len(images) != 1:
        names = ", ".join(i.name for i in inputs) or "none"
        raise ConversionError(f"one input of four axes was expected; the graph has {names}")
    used = {name for node in graph.node for name in node.input}
    beside = [i.name for i in inputs if i is not images[0] and i.name in used]
    if beside:  # what depends on it is not understood, and the rest is not the agent
        raise ConversionError(
            f"not the Mnih architecture: it takes '{beside[0]}' beside the screen"
        )
    dims = [d.dim_value for d in images[0].type.tensor_type.shape.dim]
    layout = "NFHW" if dims[2] == dims[3] or dims[1] < dims[3] else "NHWF"
    sizes = dict(zip(layout, dims, strict=True))
    if 0 in (sizes["F"], sizes["H"], sizes["W"]):
        raise ConversionError(f"input '{images[0].name}' leaves its size open: {dims}")
    atoms = {label: Atom(label, BATCH if label == "N" else size) for label, size in sizes.items()}
    kind = images[0].type.tensor_type.elem_type
    if kind not in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.UINT8):
        raise ConversionError(f"input '{images[0].name}' is neither float nor uint8")
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
    axes = tuple((atoms[label],) for label in layout)
    layer = Layer("input", (), {"scale": 1.0, "dtype": dtype}, images[0].name, axes)
    return layer, sizes["N"] or None


def _describe(
    start: Layer,
    values: dict[str, Operand],
    static: int | None,
    stated: float | None,
    read: float | None,
) -> Input:
    """The input; `stated` is somebody's word on a white pixel, `read` the graph's."""
    scales = [
        value.layer.args[0].layer.data["scale"]
        for value in values.values()
        if isinstance(value, Symbol)
        and value.layer.op == "conv"
        and value.layer.args[0].layer.op == "input"
    ]
    dtype = start.data["dtype"]
    divided = bool(scales) and abs(scales[0]) < 0.1
    layout = "".join(axis[0].label for axis in start.axes)
    if divided or dtype.kind in "ui":
        read = 255.0
    maximum = stated or read or 1.0
    for value in values.values():
        if isinstance(value, Symbol) and value.layer.op == "input":
            value.layer.data["maximum"] = maximum
    return Input(start.tensor, layout, maximum, dtype, static)
