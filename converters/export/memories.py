"""Memories as ONNX operators: states go in by their names and come out as `next_...`.

They are (layers, batch, units), as ONNX's LSTM and torch have them. What an agent is told, the last
reward and action, goes in alone: who plays it knows the next one.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.export.writer import GraphWriter
from atari_zoo.converters.network.memories import RecurrentLayers
from atari_zoo.converters.network.recurrent import RecurrentNetwork
from atari_zoo.converters.network.stateful import StatePart

# of torch's gates, those that ONNX has in their order
ORDERS = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}


class Shapes(NamedTuple):
    """Inputs and outputs of a graph that are states, with their shapes."""

    inputs: dict[str, list[str | int]]
    outputs: dict[str, list[str | int]]


@runtime_checkable
class LayerWriter(Protocol):
    """A graph in the making, as `GraphWriter` is."""

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str: ...

    def several(
        self, op: str, inputs: list[str], outputs: list[str], **attributes: Any
    ) -> None: ...

    def constant(self, name: str, values: list[int]) -> str: ...

    def weight(self, name: str, value: Tensor) -> str: ...


def write_memory(network: RecurrentNetwork, graph: GraphWriter, features: str) -> str:
    """Writes what stands between the trunk and the head; returns what the head reads."""
    core = features
    if network.told_parts:
        core = graph.add("Concat", [features, *network.told_parts], "core", axis=1)
    if network.memory is not None:
        core = write_layers(network.memory, graph, core, "memory")
    if network.critic is not None:
        between = network.critic.between
        if isinstance(between, RecurrentLayers):
            read = write_layers(between, graph, features, "critic_memory")
        else:
            read = graph.linear("critic_fc", between, features, "critic_fc")
        graph.linear("value", network.critic.value, read, "value")
    return core


def state_shapes(network: RecurrentNetwork) -> Shapes:
    """How its states go in and come out."""
    parts = {part.name: _shape(part) for part in network.states}
    told = network.told_parts
    following = {f"next_{name}": shape for name, shape in parts.items() if name not in told}
    return Shapes(parts, following)


def _shape(part: StatePart) -> list[str | int]:
    first, *rest = part.shape
    return [first, "batch", *rest] if rest else ["batch", first]


def write_layers(memory: RecurrentLayers, graph: LayerWriter, value: str, name: str) -> str:
    """Writes recurrent layers that read a value; returns what holds the last one's.

    Its states go in by their names, (layers, batch, units), and come out as `next_...`.
    """
    layers, states = memory.rnn.num_layers, [part.name for part in memory.states]
    given = {state: [state] for state in states}
    if layers > 1:
        sizes = graph.constant(f"{name}.sizes", [1] * layers)
        for state in states:
            given[state] = [f"{state}.{layer}" for layer in range(layers)]
            graph.several("Split", [state, sizes], given[state], axis=0)
    axes = graph.constant(f"{name}.axes", [0, 1])
    value = graph.add("Unsqueeze", [value, graph.constant(f"{name}.axis", [0])], f"{name}.row")
    for layer in range(layers):
        last = layer == layers - 1
        ports = [given[state][layer] for state in states]
        made = [f"next_{state}" if layers == 1 else f"next_{state}.{layer}" for state in states]
        weights = _weights(memory, graph, name, layer)
        late = {"linear_before_reset": 1} if memory.kind == "gru" else {}
        whole = f"{name}.{layer}.steps"
        graph.several(
            memory.kind.upper(),
            [value, *weights, "", *ports],
            [whole, *made],
            hidden_size=memory.features,
            **late,
        )
        squeezed = name if last else f"{name}.{layer}"
        if last:
            value = graph.add("Squeeze", [whole, axes], squeezed)
        else:
            one = graph.constant(f"{name}.{layer}.directions", [1])
            value = graph.add("Squeeze", [whole, one], squeezed)
    if layers > 1:
        for state in states:
            every = [f"next_{state}.{layer}" for layer in range(layers)]
            graph.add("Concat", every, f"next_{state}", axis=0)
    return value


def _weights(memory: RecurrentLayers, graph: LayerWriter, name: str, layer: int) -> list[str]:
    """A layer's, in ONNX's order of gates, with an axis of directions."""
    rnn = memory.rnn
    if rnn.bidirectional or not rnn.bias or rnn.proj_size:
        raise ConversionError(f"no ONNX form for a {memory.kind} of this kind")

    def moved(part: str) -> Tensor:
        rows = rnn.get_parameter(f"{part}_l{layer}").split(memory.features)
        return torch.cat([rows[gate] for gate in ORDERS[memory.kind]])[None]

    biases = torch.cat([moved("bias_ih"), moved("bias_hh")], dim=1)
    place = f"{name}.{layer}"
    return [
        graph.weight(f"{place}.weight_ih", moved("weight_ih")),
        graph.weight(f"{place}.weight_hh", moved("weight_hh")),
        graph.weight(f"{place}.bias", biases),
    ]
