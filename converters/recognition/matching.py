"""Matches a graph that was followed with the architecture, and fills the network."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.finite import finite_tensor
from atari_zoo.converters.network.heads import check_outputs
from atari_zoo.converters.network.networks import ConvShape, MnihNetwork, Trunk
from atari_zoo.converters.recognition.matched_heads import match_head
from atari_zoo.converters.recognition.places import GraphPlace, fill_dense
from atari_zoo.converters.recognition.symbols import Graph, Layer, Symbol, ancestors

# outputs that tell by their name that they choose the action
PREFERRED = ("output", "q_values", "logits", "policy")
NUMBERS = ("dense", "sum", "mean", "expectation")  # what an output can be the end of
# what an exporter may put after them to choose an action or to show probabilities
CHOICES = ("argmax", "softmax", "normalized")


@dataclass
class Match:
    """A network, and where in the graph its named layers are."""

    network: MnihNetwork
    layers: dict[str, GraphPlace] = field(default_factory=dict)


def match(outputs: list[tuple[str, Symbol]], graph: Graph) -> Match:
    """The network whose outputs these are.

    Raises ConversionError where it is not the Mnih architecture.
    """
    main = _main_output(outputs)
    found = match_head(main, graph)
    check_outputs(found.head.actions)
    relus, dense = _trunk_layers(found.features)
    chain = [relu.args[0].layer for relu in relus]
    frames, height, width = (axis[0].size for axis in chain[0].args[0].axes[1:])
    shapes = [_shape(layer) for layer in chain]
    units = len(dense.data["weight"]) if dense is not None else None
    trunk = Trunk(shapes, units, (frames, height, width))
    network = MnihNetwork(trunk, found.head)
    with torch.no_grad():
        _fill_trunk(trunk, chain, dense)
        for layer, module, order in found.weights:
            fill_dense(module, layer, order)
    names = {f"conv{i + 1}": GraphPlace(relu.tensor, relu.axes) for i, relu in enumerate(relus)}
    if dense is not None:
        names["fc"] = GraphPlace.of(found.features)
    return Match(network, names | found.layers)


def flatten_order(graph: Graph) -> str:
    """The axes of the last convolution as a dense layer of the graph reads them, slowest first."""
    for layer in graph.layers:
        if layer.op in ("dense", "embedded"):
            (value,) = layer.args
            if value.layer.op == "relu" and value.layer.args[0].layer.op == "conv":
                return ", ".join(atom.label for atom in value.axes[-1])
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
        raise ConversionError(f"not the Mnih architecture: {reasons[0]}")
    found = ", ".join(candidates) or "none"
    raise ConversionError(f"one output with a number for each action was expected; found {found}")


def _shape(layer: Layer) -> ConvShape:
    weight = layer.data["weight"]
    return ConvShape(len(weight), weight.shape[2:], layer.data["strides"], layer.data["padding"])


def _trunk_layers(features: Symbol) -> tuple[list[Layer], Layer | None]:
    """The convolutions' ReLUs, first to last, and the dense layer if the features are its."""
    dense = None
    before = features.layer.args[0].layer if features.layer.op == "relu" else features.layer
    if before.op == "dense":
        dense = before
        features = dense.args[0]
    chain: list[Layer] = []
    while features.layer.op == "relu" and features.layer.args[0].layer.op == "conv":
        chain.append(features.layer)
        features = features.layer.args[0].layer.args[0]
    if features.layer.op != "input" or not chain:
        reason = features.layer.data.get("reason", f"{features.layer.op} '{features.layer.tensor}'")
        raise ConversionError(f"not the Mnih architecture: before the head stands {reason}")
    chain.reverse()
    return chain, dense


def _fill_trunk(trunk: Trunk, chain: list[Layer], dense: Layer | None) -> None:
    for index, layer in enumerate(chain):
        conv = trunk.get_submodule(f"conv{index + 1}.conv")
        assert isinstance(conv, nn.Conv2d) and conv.bias is not None
        weight = layer.data["weight"]
        source = layer.args[0].layer
        if source.op == "input":  # our networks take 0..1, whatever this graph takes
            factor = source.data["scale"] * source.data["maximum"]
            weight = weight if abs(factor - 1) < 1e-6 else weight * factor
        conv.weight.copy_(finite_tensor(weight))
        conv.bias.copy_(finite_tensor(layer.data["bias"]))
    if dense is not None:
        assert trunk.fc is not None
        fill_dense(trunk.fc.get_submodule("linear"), dense, ())
