"""Matches the symbolic end of a graph with a head, and fills the network with its weights."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.heads import (
    ActorCriticHead,
    CategoricalHead,
    Dense,
    DuelingHead,
    Head,
    ImplicitQuantileHead,
    PolicyHead,
    QuantileHead,
)
from atari_zoo.converters.networks import ConvShape, MnihNetwork, Trunk
from atari_zoo.converters.symbols import Atom, Axis, Graph, Layer, Value

# outputs that tell by their name that they choose the action
PREFERRED = ("output", "q_values", "logits", "policy")
NUMBERS = ("dense", "sum", "mean", "expectation")  # what an output can be the end of
# layers of the graph, the modules that take their weights, and the order of their units
Weights = list[tuple[Layer, nn.Module, tuple[Atom, ...]]]
# what an exporter may put after them to choose an action or to show probabilities
CHOICES = ("argmax", "softmax", "normalized")


@dataclass
class Match:
    """A network, and the symbolic value of each of its named layers."""

    network: MnihNetwork
    layers: dict[str, Place] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where a named layer is in a graph.

    order: of the units, where a reshape has split them and not in the network's order.
    """

    tensor: str
    axes: tuple[Axis, ...]
    order: tuple[Atom, ...] = ()

    @classmethod
    def of(cls, value: Value, order: tuple[Atom, ...] = ()) -> Place:
        return cls(value.layer.tensor, value.layer.axes, order)

    def canonical(self, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The tensor's content, its axes as the network has them."""
        atoms = [leaf for axis in self.axes for leaf in _leaves(axis)]
        sizes = [len(array) if atom.label == "N" else atom.size for atom in atoms]
        wanted = [*(a for a in atoms if a not in self.order), *self.order]
        if not self.order:
            wanted = sorted(atoms, key=lambda atom: "NSFCHWU".find(atom.label[0]))
        return array.reshape(sizes).transpose([atoms.index(a) for a in wanted]).reshape(shape)


@dataclass
class _Head:
    """A head found in a graph.

    features: the value it reads. layers: its named layers.
    weights: (dense layer of the graph, module that takes its weights, order of its units).
    """

    head: Head
    features: Value
    layers: dict[str, Place]
    weights: Weights


def match(outputs: list[tuple[str, Value]], graph: Graph) -> Match:
    """The network whose outputs these are.

    Raises ConversionError where it is not the Mnih architecture.
    """
    main = _main_output(outputs)
    found = _match_head(main, graph)
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
            _fill_dense(module, layer, order)
    names = {f"conv{i + 1}": Place(relu.tensor, relu.axes) for i, relu in enumerate(relus)}
    if dense is not None:
        names["fc"] = Place.of(found.features)
    return Match(network, names | found.layers)


def _main_output(outputs: list[tuple[str, Value]]) -> Value:
    candidates: dict[str, Value] = {}
    for name, value in outputs:
        while value.layer.op in CHOICES:
            (value,) = value.layer.args
        if value.layer.op in NUMBERS and len(value.axes) == 2 and value.shape[1] > 1:
            candidates[name] = value
    for name in PREFERRED:
        if name in candidates:
            return candidates[name]
    ends = {
        id(v.layer): v
        for v in candidates.values()
        if not any(v.layer in _ancestors(w.layer) for w in candidates.values() if w is not v)
    }
    if len(ends) == 1:
        return next(iter(ends.values()))
    reasons = [v.layer.data["reason"] for _, v in outputs if v.layer.op == "opaque"]
    if not ends and reasons:
        raise ConversionError(f"not the Mnih architecture: {reasons[0]}")
    found = ", ".join(candidates) or "none"
    raise ConversionError(f"one output with a number for each action was expected; found {found}")


def _ancestors(layer: Layer) -> list[Layer]:
    found: list[Layer] = []
    queue = [v.layer for v in layer.args]
    while queue:
        found.append(queue.pop())
        queue.extend(v.layer for v in found[-1].args)
    return found


def _shape(layer: Layer) -> ConvShape:
    weight = layer.data["weight"]
    return ConvShape(len(weight), weight.shape[2:], layer.data["strides"], layer.data["padding"])


def _match_head(main: Value, graph: Graph) -> _Head:
    op = main.layer.op
    if op == "dense":
        return _linear(main, graph)
    if op == "mean":
        (values,) = main.layer.args
        if any(layer.op == "embedded" for layer in _ancestors(values.layer)):
            return _implicit_quantile(main, values, graph)
        return _quantile(main, values)
    if op == "expectation":
        return _categorical(main)
    return _dueling(main)


def _linear(main: Value, graph: Graph) -> _Head:
    layer = main.layer
    (features,) = layer.args
    width, actions = layer.data["weight"].shape[1], len(layer.data["weight"])
    critics = [
        x
        for x in graph.layers
        if x.op == "dense" and len(x.data["weight"]) == 1 and x.args[0].layer is features.layer
    ]
    if not critics:
        head = PolicyHead(width, actions)
        return _Head(head, features, {"output": Place.of(main)}, [(layer, head.output, ())])
    critic = critics[-1]  # with its bias added
    actor_critic = ActorCriticHead(width, actions)
    weights: Weights
    weights = [(layer, actor_critic.output, ()), (critic, actor_critic.value, ())]
    return _Head(
        actor_critic,
        features,
        {"value": Place(critic.tensor, critic.axes), "output": Place.of(main)},
        weights,
    )


def _quantile(main: Value, values: Value) -> _Head:
    layer = _dense_layer(values)
    over, actions = main.layer.data["over"], main.axes[1]
    head = QuantileHead(_width(layer), _size(actions), _size(over))
    order = (*actions, *over)
    module = head.quantiles.get_submodule("0")
    named = {"quantiles": Place.of(values, order), "output": Place.of(main)}
    return _Head(head, layer.args[0], named, [(layer, module, order)])


def _implicit_quantile(main: Value, values: Value, graph: Graph) -> _Head:
    layer = _dense_layer(values)
    fc = layer.args[0]
    dense = _dense_layer(fc.layer.args[0])
    embedded = dense.args[0].layer
    angles, weight, bias = graph.embedding(embedded.data["table"])
    samples, cosines = angles.shape
    (actions,), (sample,) = layer.axes[2], layer.axes[1]
    head = ImplicitQuantileHead(_width(dense), actions.size, _units(dense), cosines, samples)
    with torch.no_grad():
        head.embedding.taus.copy_(_tensor(angles[:, 0] / math.pi))
        head.embedding.linear.weight.copy_(_tensor(weight))
        head.embedding.linear.bias.copy_(_tensor(bias))
    named = {
        "fc": Place.of(fc),
        "quantiles": Place.of(values, (actions, sample)),
        "output": Place.of(main),
    }
    modules = head.fc.get_submodule("linear"), head.quantiles.get_submodule("0")
    weights: Weights
    weights = [(dense, modules[0], ()), (layer, modules[1], ())]
    return _Head(head, embedded.args[0], named, weights)


def _categorical(main: Value) -> _Head:
    (probabilities,) = main.layer.args
    (logits,) = probabilities.layer.args
    support = torch.tensor(main.layer.data["support"], dtype=torch.float32)
    actions, atoms = main.axes[1], logits.axes[-1]
    if logits.layer.op == "dense":
        layer = logits.layer
        head = CategoricalHead(_width(layer), _size(actions), support)
        order = (*actions, *atoms)
        module = head.atoms.get_submodule("0")
        named = {"atoms": Place.of(logits, order), "output": Place.of(main)}
        return _Head(head, layer.args[0], named, [(layer, module, order)])
    value, advantage = _dueling_terms(logits)
    streams = _streams(value, advantage)
    head = CategoricalHead(
        streams.width, _size(actions), support, dueling=True, units=streams.units
    )
    assert head.value is not None and head.advantage is not None
    modules = (head.value.get_submodule("0"), head.advantage.get_submodule("0"))
    weights = streams.weights(head.fc, head.advantage_fc)
    weights += [
        (value.layer, modules[0], ()),
        (advantage.layer, modules[1], advantage.atoms[1:]),
    ]
    named = streams.layers | {"value": Place.of(value), "advantage": Place.of(advantage)}
    named |= {"atoms": Place.of(logits), "output": Place.of(main)}
    return _Head(head, streams.features, named, weights)


def _dueling(main: Value) -> _Head:
    value, advantage = _dueling_terms(main)
    streams = _streams(value, advantage)
    head = DuelingHead(streams.width, _size(advantage.axes[1]), streams.units)
    weights = streams.weights(head.fc, head.advantage_fc)
    weights += [(value.layer, head.value, ()), (advantage.layer, head.advantage, ())]
    named = streams.layers | {"value": Place.of(value), "advantage": Place.of(advantage)}
    named |= {"output": Place.of(main)}
    return _Head(head, streams.features, named, weights)


def _dueling_terms(total: Value) -> tuple[Value, Value]:
    """Value and advantage of V + A - mean(A), in whatever order it is summed."""
    terms = list(_terms(total, 1))
    means = [v for sign, v in terms if v.layer.op == "mean" and sign == -1]
    plain = [v for sign, v in terms if v.layer.op == "dense" and sign == 1]
    if len(terms) == 3 and len(means) == 1 and len(plain) == 2:
        (centred,) = means[0].layer.args
        value, advantage = sorted(plain, key=lambda v: v.layer is centred.layer)
        if advantage.layer is centred.layer and value.layer is not centred.layer:
            return value, advantage
    raise ConversionError(f"a sum at '{total.layer.tensor}' that is not value + advantage - mean")


def _terms(value: Value, sign: int) -> Iterable[tuple[int, Value]]:
    if value.layer.op != "sum":
        yield sign, value
        return
    for part, factor in zip(value.layer.args, value.layer.data["signs"], strict=True):
        yield from _terms(part, sign * factor)


@dataclass
class _Streams:
    """What the two streams of a dueling head read: one shared layer, or a layer each."""

    features: Value
    width: int
    units: int | None
    dense: tuple[Layer, ...]
    layers: dict[str, Place]

    def weights(self, *modules: Dense | None) -> Weights:
        return [
            (layer, module.get_submodule("linear"), ())
            for layer, module in zip(self.dense, modules, strict=False)
            if module is not None
        ]


def _streams(value: Value, advantage: Value) -> _Streams:
    low, high = value.layer.args[0], advantage.layer.args[0]
    if low.layer is high.layer:
        return _Streams(low, _width(value.layer), None, (), {})
    layers = tuple(_dense_layer(v.layer.args[0]) for v in (low, high))
    features = layers[0].args[0]
    if features.layer is not layers[1].args[0].layer or _units(layers[0]) != _units(layers[1]):
        raise ConversionError("two streams that do not read the same convolution alike")
    named = {"fc": Place.of(low), "advantage_fc": Place.of(high)}
    return _Streams(features, _width(layers[0]), _units(layers[0]), layers, named)


def _trunk_layers(features: Value) -> tuple[list[Layer], Layer | None]:
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
        conv.weight.copy_(_tensor(weight))
        conv.bias.copy_(_tensor(layer.data["bias"]))
    if dense is not None:
        assert trunk.fc is not None
        _fill_dense(trunk.fc.get_submodule("linear"), dense, ())


def _fill_dense(module: nn.Module, layer: Layer, order: tuple[Atom, ...]) -> None:
    """Copies a dense layer, its units put into `order` where a reshape has split them."""
    assert isinstance(module, nn.Linear)
    weight, bias = layer.data["weight"], layer.data["bias"]
    stored = _leaves(layer.axes[-1])
    if order and list(order) != stored:
        sizes = [atom.size for atom in stored]
        moved = [stored.index(atom) for atom in order]
        weight = weight.reshape(*sizes, -1).transpose(*moved, len(sizes)).reshape(weight.shape)
        bias = bias.reshape(sizes).transpose(moved).reshape(-1)
    module.weight.copy_(_tensor(weight))
    module.bias.copy_(_tensor(bias))


def _leaves(axis: Iterable[Atom]) -> list[Atom]:
    return [leaf for atom in axis for leaf in (_leaves(atom.parts) if atom.parts else [atom])]


def _tensor(array: np.ndarray) -> torch.Tensor:
    if not np.isfinite(array).all():
        raise ConversionError("weights that are not finite numbers")
    return torch.from_numpy(np.array(array, np.float32))  # a copy: protobuf's is read-only


def _dense_layer(value: Value) -> Layer:
    if value.layer.op != "dense":
        raise ConversionError(f"'{value.layer.tensor}' is {value.layer.op}, not a dense layer")
    return value.layer


def _width(layer: Layer) -> int:
    return int(layer.data["weight"].shape[1])


def _units(layer: Layer) -> int:
    return len(layer.data["weight"])


def _size(axis: Iterable[Atom]) -> int:
    size = 1
    for atom in axis:
        size *= atom.size
    return size
