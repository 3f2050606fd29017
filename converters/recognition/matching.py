"""Matches a graph that was followed with the architectures that have a name."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.architectures import network_of
from atari_zoo.converters.network.heads import check_outputs
from atari_zoo.converters.recognition.matched_heads import match_head
from atari_zoo.converters.recognition.matched_trunks import match_trunk
from atari_zoo.converters.recognition.places import GraphPlace, fill_dense
from atari_zoo.converters.recognition.symbols import Graph, Symbol, ancestors

# outputs that tell by their name that they choose the action
PREFERRED = ("output", "q_values", "logits", "policy")
NUMBERS = ("dense", "sum", "mean", "expectation")  # what an output can be the end of
# what an exporter may put after them to choose an action or to show probabilities
CHOICES = ("argmax", "softmax", "normalized")


@dataclass
class Match:
    """A network, and where in the graph its named layers are."""

    network: AgentNetwork
    layers: dict[str, GraphPlace] = field(default_factory=dict)


def match(outputs: list[tuple[str, Symbol]], graph: Graph) -> Match:
    """The network whose outputs these are.

    Raises ConversionError where its architecture has no name.
    """
    main = _main_output(outputs)
    found = match_head(main, graph)
    check_outputs(found.head.actions)
    below = match_trunk(found.features)
    twice = below.layers.keys() & found.layers.keys()
    if twice:  # a name is of one layer
        raise ConversionError(f"dense layers ({min(twice)}) before the two streams and in them")
    network = network_of(below.trunk, found.head)
    with torch.no_grad():
        for layer, module, order in found.weights:
            fill_dense(module, layer, order)
    return Match(network, below.layers | found.layers)


def flatten_order(graph: Graph) -> str:
    """The axes of the last convolution as a dense layer of the graph reads them, slowest first."""
    for layer in graph.layers:
        if layer.op in ("dense", "embedded"):
            (value,) = layer.args
            order = [atom.label for atom in value.axes[-1]]
            if "C" in order:
                return ", ".join(order)
    return ""


def _main_output(outputs: list[tuple[str, Symbol]]) -> Symbol:
    candidates: dict[str, Symbol] = {}
    for name, value in outputs:
        while value.layer.op in CHOICES:
            (value,) = value.layer.args
        value = value.squeezed(None)
        if value.layer.op in NUMBERS and len(value.axes) == 2 and value.shape[1] > 1:
            candidates[name] = value
    for name in PREFERRED:
        if name in candidates:
            return candidates[name]
    ends = {
        id(v.layer): v
        for v in candidates.values()
        if not any(v.layer in ancestors(w.layer) for w in candidates.values() if w is not v)
    }
    if len(ends) == 1:
        return next(iter(ends.values()))
    reasons = [v.layer.data["reason"] for _, v in outputs if v.layer.op == "opaque"]
    if not ends and reasons:
        raise ConversionError(f"no architecture with a name: {reasons[0]}")
    found = ", ".join(candidates) or "none"
    raise ConversionError(f"one output with a number for each action was expected; found {found}")
