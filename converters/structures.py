"""A network's structure in words and numbers: the part of a report that its graph tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from atari_zoo.converters.network.agent_networks import AgentNetwork, AgentTrunk
from atari_zoo.converters.network.foreign import ForeignNetwork
from atari_zoo.converters.network.heads import CategoricalHead, ImplicitQuantileHead, QuantileHead
from atari_zoo.converters.network.networks import ConvShape, Trunk
from atari_zoo.converters.network.recurrent import RecurrentNetwork
from atari_zoo.converters.recognition.recognise import Input, Recognised

AXES = {"N": "batch", "F": "frames", "H": "height", "W": "width"}


def structure(network: AgentNetwork, found: Recognised) -> dict[str, Any]:
    """What a network is made of that was found in a graph.

    Returns input, convolutions, flatten, dense and head, as `reports.Report` has them.
    """
    fc = network.layers.get("fc")
    linear = fc.get_submodule("linear") if fc is not None else None
    return {
        "input": _input_words(found.input),
        "convolutions": list(_convolutions(network.trunk)),
        "flatten": found.flatten,
        "dense": linear.out_features if linear is not None else None,
        "head": _head(network),
    }


def memory_structure(network: RecurrentNetwork) -> dict[str, Any]:
    """The same of a recurrent agent; its memory is told with the head."""
    fc, memory = network.layers.get("fc"), network.memory
    words = {} if memory is None else {f"{memory.kind.upper()} units": memory.features}
    return {
        "input": "",
        "convolutions": list(_convolutions(network.trunk)),
        "flatten": "",
        "dense": None if fc is None else fc.get_submodule("linear").out_features,
        "head": _head(network) | words,
    }


def unknown_structure(network: ForeignNetwork) -> dict[str, Any]:
    """The same of a graph of another architecture, of which the actions alone are known."""
    head = {"kind": "another architecture's", "actions": network.actions}
    return {"input": "", "convolutions": [], "flatten": "", "dense": None, "head": head}


def _head(network: AgentNetwork) -> dict[str, Any]:
    head = network.head
    facts: dict[str, Any] = {"kind": head.kind, "actions": head.actions}
    if isinstance(head, CategoricalHead):
        support = head.output.support
        facts |= {"atoms": len(support), "support": [float(support[0]), float(support[-1])]}
        facts |= {"dueling": head.dueling}
    if isinstance(head, QuantileHead):
        linear = head.quantiles.get_submodule("0")
        assert isinstance(linear, nn.Linear)
        facts["quantiles"] = linear.out_features // head.actions
    if isinstance(head, ImplicitQuantileHead):
        facts["quantiles"] = len(head.embedding.taus)
    return facts


def _convolutions(trunk: AgentTrunk) -> Iterator[dict[str, Any]]:
    if not isinstance(trunk, Trunk):
        return
    _, height, width = trunk.shape
    for conv in trunk.convolutions:
        yield {
            "channels": conv.channels,
            "kernel": list(conv.kernel),
            "stride": list(conv.stride),
            "padding": _padding(conv, height, width),
        }
        height, width = conv.output_size(height, width)


def _padding(conv: ConvShape, height: int, width: int) -> str:
    left, right, top, bottom = conv.padding
    if not any(conv.padding):
        return "VALID"
    amounts = [
        max((-(-size // stride) - 1) * stride + kernel - size, 0)
        for size, stride, kernel in zip((height, width), conv.stride, conv.kernel, strict=True)
    ]
    same = (amounts[1] // 2, -(-amounts[1] // 2), amounts[0] // 2, -(-amounts[0] // 2))
    words = f"{left} left, {right} right, {top} above, {bottom} below"
    return f"SAME ({words})" if conv.padding == same else words


def _input_words(given: Input) -> str:
    batch = "any batch" if given.batch is None else f"a batch of {given.batch}"
    axes = ", ".join(AXES[axis] for axis in given.layout)
    return f"'{given.name}' {given.dtype} ({axes}), {batch}, white is {given.maximum:g}"
