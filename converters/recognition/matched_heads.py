"""Heads at the end of a graph, told from how its output is computed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.activations import RELU, Activation
from atari_zoo.converters.network.finite import finite_tensor
from atari_zoo.converters.network.heads import (
    ActorCriticHead,
    CategoricalHead,
    Dense,
    DuelingHead,
    ImplicitQuantileHead,
    PolicyHead,
    QuantileHead,
)
from atari_zoo.converters.recognition.elementwise import activated
from atari_zoo.converters.recognition.places import (
    FoundHead,
    GraphPlace,
    Weights,
    dense_layer,
    dense_units,
    size,
    width,
)
from atari_zoo.converters.recognition.symbols import Graph, Layer, Symbol, ancestors


def match_head(main: Symbol, graph: Graph) -> FoundHead:
    """The head whose output is `main`; raises ConversionError if it is none that is known."""
    op = main.layer.op
    if op == "dense":
        return _linear(main, graph)
    if op == "mean":
        (values,) = main.layer.args
        if any(layer.op == "embedded" for layer in ancestors(values.layer)):
            return _implicit_quantile(main, values, graph)
        return _quantile(main, values)
    if op == "expectation":
        return _categorical(main)
    return _dueling(main)


def _linear(main: Symbol, graph: Graph) -> FoundHead:
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
        return FoundHead(
            head, features, {"output": GraphPlace.of(main)}, [(layer, head.output, ())]
        )
    critic = critics[-1]  # with its bias added
    actor_critic = ActorCriticHead(width, actions)
    weights: Weights
    weights = [(layer, actor_critic.output, ()), (critic, actor_critic.value, ())]
    return FoundHead(
        actor_critic,
        features,
        {"value": GraphPlace(critic.tensor, critic.axes), "output": GraphPlace.of(main)},
        weights,
    )


def _quantile(main: Symbol, values: Symbol) -> FoundHead:
    layer = dense_layer(values)
    over, actions = main.layer.data["over"], main.axes[1]
    head = QuantileHead(width(layer), size(actions), size(over))
    order = (*actions, *over)
    module = head.quantiles.get_submodule("0")
    named = {"quantiles": GraphPlace.of(values, order), "output": GraphPlace.of(main)}
    return FoundHead(head, layer.args[0], named, [(layer, module, order)])


def _implicit_quantile(main: Symbol, values: Symbol, graph: Graph) -> FoundHead:
    layer = dense_layer(values)
    fc = layer.args[0]
    dense, activation = _stream_layer(fc)
    if activation != RELU:
        raise ConversionError(f"an implicit quantile network with {activation}, not ReLU")
    embedded = dense.args[0].layer
    angles, weight, bias = graph.embedding(embedded.data["table"])
    samples, cosines = angles.shape
    (actions,), (sample,) = layer.axes[2], layer.axes[1]
    head = ImplicitQuantileHead(width(dense), actions.size, dense_units(dense), cosines, samples)
    with torch.no_grad():
        head.embedding.taus.copy_(finite_tensor(angles[:, 0] / math.pi))
        head.embedding.linear.weight.copy_(finite_tensor(weight))
        head.embedding.linear.bias.copy_(finite_tensor(bias))
    named = {
        "fc": GraphPlace.of(fc),
        "quantiles": GraphPlace.of(values, (actions, sample)),
        "output": GraphPlace.of(main),
    }
    modules = head.fc.get_submodule("linear"), head.quantiles.get_submodule("0")
    weights: Weights
    weights = [(dense, modules[0], ()), (layer, modules[1], ())]
    return FoundHead(head, embedded.args[0], named, weights)


def _categorical(main: Symbol) -> FoundHead:
    (probabilities,) = main.layer.args
    (logits,) = probabilities.layer.args
    support = torch.tensor(main.layer.data["support"], dtype=torch.float32)
    actions, atoms = main.axes[1], logits.axes[-1]
    if logits.layer.op == "dense":
        layer = logits.layer
        head = CategoricalHead(width(layer), size(actions), support)
        order = (*actions, *atoms)
        module = head.atoms.get_submodule("0")
        named = {"atoms": GraphPlace.of(logits, order), "output": GraphPlace.of(main)}
        return FoundHead(head, layer.args[0], named, [(layer, module, order)])
    value, advantage = _dueling_terms(logits)
    streams = _streams(value, advantage)
    head = CategoricalHead(
        streams.width,
        size(actions),
        support,
        dueling=True,
        units=streams.units,
        activation=streams.activation,
    )
    assert head.value is not None and head.advantage is not None
    modules = (head.value.get_submodule("0"), head.advantage.get_submodule("0"))
    weights = streams.weights(head.fc, head.advantage_fc)
    weights += [
        (value.layer, modules[0], ()),
        (advantage.layer, modules[1], advantage.atoms[1:]),
    ]
    named = streams.layers | {"value": GraphPlace.of(value), "advantage": GraphPlace.of(advantage)}
    named |= {"atoms": GraphPlace.of(logits), "output": GraphPlace.of(main)}
    return FoundHead(head, streams.features, named, weights)


def _dueling(main: Symbol) -> FoundHead:
    value, advantage = _dueling_terms(main)
    streams = _streams(value, advantage)
    head = DuelingHead(streams.width, size(advantage.axes[1]), streams.units, streams.activation)
    weights = streams.weights(head.fc, head.advantage_fc)
    weights += [(value.layer, head.value, ()), (advantage.layer, head.advantage, ())]
    named = streams.layers | {"value": GraphPlace.of(value), "advantage": GraphPlace.of(advantage)}
    named |= {"output": GraphPlace.of(main)}
    return FoundHead(head, streams.features, named, weights)


def _dueling_terms(total: Symbol) -> tuple[Symbol, Symbol]:
    """Value and advantage of V + A - mean(A), in whatever order it is summed."""
    terms = list(_terms(total))
    means = [v for sign, v in terms if v.layer.op == "mean" and sign == -1]
    plain = [v for sign, v in terms if v.layer.op == "dense" and sign == 1]
    if len(terms) == 3 and len(means) == 1 and len(plain) == 2:
        (centred,) = means[0].layer.args
        value, advantage = sorted(plain, key=lambda v: v.layer is centred.layer)
        if advantage.layer is centred.layer and value.layer is not centred.layer:
            if means[0].layer.data["over"] != centred.axes[1]:
                raise ConversionError(
                    f"the mean at '{means[0].layer.tensor}' is not one over the actions: it runs "
                    "over other axes, such as the batch, and that is another network"
                )
            return value, advantage
    raise ConversionError(f"a sum at '{total.layer.tensor}' that is not value + advantage - mean")


def _terms(total: Symbol) -> Iterator[tuple[int, Symbol]]:
    """The signed terms of a sum; a sum of more than a few is none of ours and is not followed."""
    queue = [(1, total)]
    for _ in range(8):
        if not queue:
            return
        sign, value = queue.pop()
        if value.layer.op != "sum":
            yield sign, value
            continue
        signs = value.layer.data["signs"]
        queue += [(sign * s, part) for s, part in zip(signs, value.layer.args, strict=True)]
    if queue:
        raise ConversionError(f"a sum of many terms at '{total.layer.tensor}'")


@dataclass
class _Streams:
    """What the two streams of a dueling head read: one shared layer, or a layer each, and the
    activation function after it."""

    features: Symbol
    width: int
    units: int | None
    dense: tuple[Layer, ...]
    layers: dict[str, GraphPlace]
    activation: Activation = RELU

    def weights(self, *modules: Dense | None) -> Weights:
        return [
            (layer, module.get_submodule("linear"), ())
            for layer, module in zip(self.dense, modules, strict=False)
            if module is not None
        ]


def _streams(value: Symbol, advantage: Symbol) -> _Streams:
    low, high = value.layer.args[0], advantage.layer.args[0]
    if low.layer is high.layer:
        return _Streams(low, width(value.layer), None, (), {})
    (first, activation), (second, other) = _stream_layer(low), _stream_layer(high)
    layers = first, second
    features = layers[0].args[0]
    alike = dense_units(first) == dense_units(second) and activation == other
    if features.layer is not second.args[0].layer or not alike:
        raise ConversionError("two streams that do not read the same convolution alike")
    named = {"fc": GraphPlace.of(low), "advantage_fc": GraphPlace.of(high)}
    return _Streams(features, width(first), dense_units(first), layers, named, activation)


def _stream_layer(value: Symbol) -> tuple[Layer, Activation]:
    """A dense layer of a head's own, and the activation function after it."""
    layer, activation = activated(value)
    return dense_layer(Symbol(layer, layer.axes)), activation
