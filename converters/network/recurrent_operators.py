"""ONNX's LSTM, GRU and RNN as torch's own modules, which onnx2torch lacks.

Gates stand in another order (https://onnx.ai/onnx/operators/onnx__LSTM.html: input, output, forget,
cell; GRU: update, reset, new), and an axis counts directions. torch's GRU resets what the hidden
state was turned into, as ONNX's does where `linear_before_reset` is set; else it is written out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from onnx2torch.node_converters.registry import add_converter
from onnx2torch.onnx_graph import OnnxGraph
from onnx2torch.onnx_node import OnnxNode
from onnx2torch.utils.common import OnnxMapping, OperationConverterResult
from torch import Tensor, nn

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.finite import finite_tensor
from atari_zoo.converters.network.folding import Constants

KINDS = {"LSTM": (nn.LSTM, 4), "GRU": (nn.GRU, 3), "RNN": (nn.RNN, 1)}
# of ONNX's gates, those that torch has in their order
ORDERS = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
ACTIVATIONS = {
    "LSTM": ["Sigmoid", "Tanh", "Tanh"],
    "GRU": ["Sigmoid", "Tanh"],
    "RNN": ["Tanh"],
}
LENGTHS, PEEPHOLES = 4, 7  # inputs


class GatesBefore(nn.Module):
    """A GRU that resets the hidden state before it is turned into anything, as Cho et al. (2014,
    arXiv:1406.1078) have it; called as torch's `nn.GRU` is, of one direction."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.weight_ih_l0 = nn.Parameter(torch.zeros(3 * units, inputs))
        self.weight_hh_l0 = nn.Parameter(torch.zeros(3 * units, units))
        self.bias_ih_l0 = nn.Parameter(torch.zeros(3 * units))
        self.bias_hh_l0 = nn.Parameter(torch.zeros(3 * units))

    def forward(self, values: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        units = self.weight_hh_l0.shape[1]
        hidden = values.new_zeros(values.shape[1], units) if state is None else state[0]
        weights, biases = self.weight_hh_l0.split(units), self.bias_hh_l0.split(units)
        made = []
        for one in nn.functional.linear(values, self.weight_ih_l0, self.bias_ih_l0):
            reset, update, new = one.split(units, dim=1)
            reset = (reset + nn.functional.linear(hidden, weights[0], biases[0])).sigmoid()
            update = (update + nn.functional.linear(hidden, weights[1], biases[1])).sigmoid()
            new = (new + nn.functional.linear(reset * hidden, weights[2], biases[2])).tanh()
            hidden = (1 - update) * new + update * hidden
            made.append(hidden)
        return torch.stack(made), hidden[None]


class Recurrent(nn.Module):
    """One of torch's recurrent modules, called as ONNX's operator is.

    Takes (steps, batch, inputs), and the states (directions, batch, units) where there are any.
    outputs: how many the operator gives: (steps, directions, batch, units), and the last states.
    """

    def __init__(self, module: nn.Module, directions: int, reverse: bool, outputs: int) -> None:
        super().__init__()
        self.module, self.directions, self.reverse = module, directions, reverse
        self.outputs = outputs

    def forward(
        self, values: Tensor, hidden: Tensor | None = None, cell: Tensor | None = None
    ) -> Tensor | tuple[Tensor, ...]:
        given: Tensor | tuple[Tensor, Tensor] | None = hidden
        if isinstance(self.module, nn.LSTM) and not (hidden is None and cell is None):
            some = hidden if hidden is not None else cell
            assert some is not None
            zeros = torch.zeros_like(some)
            given = (
                zeros if hidden is None else hidden.contiguous(),
                zeros if cell is None else cell.contiguous(),
            )
        made, last = self.module(values.flip(0) if self.reverse else values, given)
        made = made.flip(0) if self.reverse else made
        made = made.unflatten(2, (self.directions, -1)).transpose(1, 2)
        states = last if isinstance(last, tuple) else (last,)
        return (made, *states)[: self.outputs] if self.outputs > 1 else made


def with_stored_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which the weights of such operators are stored, and not computed from others, as
    torch's newer exporter has it, nor cast; the model itself where there is nothing to do."""
    stored = {tensor.name for tensor in model.graph.initializer}
    wanted = {
        name
        for node in model.graph.node
        if node.op_type in KINDS
        for name in node.input[1:4]
        if name and name not in stored
    }
    # those of other layers too, where they are stored in half the bytes
    casts = [node for node in model.graph.node if node.op_type == "Cast"]
    wanted |= {node.output[0] for node in casts if stored & {*node.input[:1]}}
    if not wanted:
        return model
    constants, changed = Constants(model), onnx.ModelProto()
    changed.CopyFrom(model)
    for name in sorted(wanted):
        value = constants.get(name, depth=16)
        if value is None:
            raise ConversionError(f"weights '{name}' are computed from the observations")
        changed.graph.initializer.append(numpy_helper.from_array(value, name))
    del changed.graph.node[:]
    changed.graph.node.extend(_used(model.graph, wanted))
    return changed


def _used(graph: onnx.GraphProto, made: set[str]) -> list[onnx.NodeProto]:
    """The nodes, but for those that are there for these tensors alone."""
    needed = {output.name for output in graph.output}
    kept = []
    alone = set(made)
    for node in reversed(graph.node):
        if set(node.output) <= alone and not needed & set(node.output):
            alone |= set(node.input)
            continue
        kept.append(node)
        needed |= set(node.input) - made
    return kept[::-1]


@add_converter("LSTM", 7)  # type: ignore[untyped-decorator]
@add_converter("LSTM", 14)  # type: ignore[untyped-decorator]
@add_converter("GRU", 7)  # type: ignore[untyped-decorator]
@add_converter("GRU", 14)  # type: ignore[untyped-decorator]
@add_converter("RNN", 7)  # type: ignore[untyped-decorator]
@add_converter("RNN", 14)  # type: ignore[untyped-decorator]
def _converted(node: OnnxNode, graph: OnnxGraph) -> OperationConverterResult:
    """The module for such an operator; raises ConversionError for what torch's do not compute."""
    kind, given = node.operation_type, list(node.input_values)
    given += [""] * (PEEPHOLES + 1 - len(given))
    facts = node.attributes
    direction = facts.get("direction", "forward")
    directions = 2 if direction == "bidirectional" else 1
    _check(kind, facts, given, directions)
    weights = [
        None if not name else finite_tensor(graph.initializers[name].to_numpy(), name)
        for name in given[1:4]
    ]
    assert weights[0] is not None and weights[1] is not None
    late = kind != "GRU" or facts.get("linear_before_reset", 0)
    module = _module(kind, weights[0], weights[1], weights[2], bool(late))
    outputs = len(node.output_values)
    ports = given[5:7] if kind == "LSTM" else given[5:6]
    while ports and not ports[-1]:
        ports.pop()
    return OperationConverterResult(
        Recurrent(module, directions, direction == "reverse", outputs),
        OnnxMapping(inputs=(given[0], *ports), outputs=node.output_values),
    )


def _check(kind: str, facts: Mapping[str, Any], given: list[str], directions: int) -> None:
    """Raises ConversionError for what torch's modules do not compute."""
    for name in ("clip", "layout", "input_forget"):
        if facts.get(name):
            raise ConversionError(f"its {name} has no translation to torch")
    usual = ACTIVATIONS[kind] * directions
    activations = [str(name) for name in facts.get("activations") or usual]
    if [name.lower() for name in activations] != [name.lower() for name in usual]:
        raise ConversionError(f"its activations are {', '.join(activations)}; torch's are others")
    if given[LENGTHS] or given[PEEPHOLES]:
        which = "lengths of its sequences" if given[LENGTHS] else "peepholes"
        raise ConversionError(f"its {which} have no translation to torch")
    if kind == "GRU" and directions == 2 and not facts.get("linear_before_reset", 0):
        raise ConversionError("a GRU in two directions that resets before has no translation")


def module_of(node: onnx.NodeProto, weights: Sequence[np.ndarray | None]) -> nn.Module:
    """torch's module with such an operator's weights; raises ConversionError for what torch's
    modules do not compute."""
    facts = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    plain = {k: v.decode() if isinstance(v, bytes) else v for k, v in facts.items()}
    given = [*node.input, *[""] * (PEEPHOLES + 1 - len(node.input))]
    directions = 2 if plain.get("direction") == "bidirectional" else 1
    if plain.get("direction", "forward") == "reverse":
        raise ConversionError("it runs backwards")
    if "activations" in plain:
        plain["activations"] = [name.decode() for name in facts["activations"]]
    _check(node.op_type, plain, given, directions)
    tensors = [None if value is None else finite_tensor(value) for value in weights]
    late = node.op_type != "GRU" or bool(plain.get("linear_before_reset", 0))
    tensors += [None] * (3 - len(tensors))
    inner, recurrent, biases = tensors
    assert inner is not None and recurrent is not None
    return _module(node.op_type, inner, recurrent, biases, late)


def _module(
    kind: str, inner: Tensor, recurrent: Tensor, biases: Tensor | None, late: bool
) -> nn.Module:
    """torch's module with the weights of ONNX's, (directions, gates * units, ...)."""
    made, gates = KINDS[kind]
    if inner.ndim != 3 or recurrent.ndim != 3 or recurrent.shape[1] != gates * recurrent.shape[2]:
        raise ConversionError(
            f"weights {tuple(inner.shape)} and {tuple(recurrent.shape)} are no {kind}'s"
        )
    directions, rows, units = recurrent.shape
    if biases is None:
        biases = torch.zeros(directions, 2 * rows)
    if inner.shape[:2] != (directions, rows) or biases.shape != (directions, 2 * rows):
        raise ConversionError(
            f"weights {tuple(inner.shape)} and biases {tuple(biases.shape)} do not fit {units} "
            "units"
        )
    module = (
        made(inner.shape[2], units, bidirectional=directions == 2)
        if late
        else GatesBefore(inner.shape[2], units)
    )
    with torch.no_grad():
        for number, end in enumerate(("l0", "l0_reverse")[:directions]):
            halves = biases[number].split(rows)
            for name, value in (
                (f"weight_ih_{end}", inner[number]),
                (f"weight_hh_{end}", recurrent[number]),
                (f"bias_ih_{end}", halves[0]),
                (f"bias_hh_{end}", halves[1]),
            ):
                parts = value.split(units)
                moved = torch.cat([parts[gate] for gate in ORDERS[kind]])
                module.get_parameter(name).copy_(moved)
    return module
