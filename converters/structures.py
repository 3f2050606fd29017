"""A network's structure in words and numbers: the part of a report that its graph tells."""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch
from typing import Any

from torch import nn

from atari_zoo.converters.network.agent_networks import AgentNetwork, AgentTrunk
from atari_zoo.converters.network.foreign import ForeignNetwork
from atari_zoo.converters.network.heads import (
    CategoricalHead,
    Dense,
    ImplicitQuantileHead,
    QuantileHead,
)
from atari_zoo.converters.network.impala import (
    KERNEL,
    POOL,
    STRIDE,
    BlockShape,
    ImpalaTrunk,
    pooled,
)
from atari_zoo.converters.network.networks import ConvShape, Padding, Trunk
from atari_zoo.converters.network.recurrent import RecurrentNetwork
from atari_zoo.converters.recognition.recognise import Input, Recognised

AXES = {"N": "batch", "F": "frames", "H": "height", "W": "width"}


def structure(network: AgentNetwork, found: Recognised) -> dict[str, Any]:
    """What a network is made of that was found in a graph.

    Returns architecture, input, convolutions, flatten, dense and head, as `reports.Report` has
    them.
    """
    return {
        "architecture": network.architecture,
        "input": _input_words(found.input),
        "convolutions": list(_convolutions(network.trunk)),
        "flatten": found.flatten,
        "dense": list(_dense(network)),
        "head": _head(network),
    }


def memory_structure(network: RecurrentNetwork) -> dict[str, Any]:
    """The same of a recurrent agent; its memory is told with the head."""
    memory = network.memory
    words = {} if memory is None else {f"{memory.kind.upper()} units": memory.features}
    return {
        "architecture": network.architecture,
        "input": "",
        "convolutions": list(_convolutions(network.trunk)),
        "flatten": "",
        "dense": list(_dense(network)),
        "head": _head(network) | words,
    }


def unknown_structure(network: ForeignNetwork) -> dict[str, Any]:
    """The same of a graph of another architecture, of which the actions alone are known."""
    head = {"kind": "another architecture's", "actions": network.actions}
    nothing: dict[str, Any] = {"input": "", "convolutions": [], "flatten": "", "dense": []}
    return {"architecture": network.architecture, **nothing, "head": head}


def _dense(network: AgentNetwork) -> Iterator[dict[str, Any]]:
    """The dense layers before the last, the head's own streams among them."""
    for name, layer in network.layers.items():
        if isinstance(layer, Dense):
            units = layer.get_submodule("linear").get_parameter("weight").shape[0]
            yield {"layer": name, "units": units, "activation": str(layer.activation)}


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


@singledispatch
def _convolutions(trunk: AgentTrunk) -> Iterator[dict[str, Any]]:
    yield from ()


@_convolutions.register
def _(trunk: Trunk) -> Iterator[dict[str, Any]]:
    _, height, width = trunk.shape
    for index, conv in enumerate(trunk.convolutions, start=1):
        yield {
            "layer": f"conv{index}",
            "channels": conv.channels,
            "kernel": list(conv.kernel),
            "stride": list(conv.stride),
            "padding": _padding(conv, height, width),
            "activation": str(conv.activation),
        }
        height, width = conv.output_size(height, width)


@_convolutions.register
def _(trunk: ImpalaTrunk) -> Iterator[dict[str, Any]]:
    _, height, width = trunk.shape
    for index, block in enumerate(trunk.blocks, start=1):
        pool = ConvShape(block.channels, (POOL, POOL), (STRIDE, STRIDE), _around(block, height))
        yield {
            "layer": f"block{index}",
            "channels": block.channels,
            "kernel": [KERNEL, KERNEL],
            "stride": [1, 1],
            "padding": _padding(
                ConvShape(block.channels, (KERNEL, KERNEL), (1, 1), (1, 1, 1, 1)), height, width
            ),
            "activation": str(trunk.nonlinearity),
            "pool": f"{POOL}x{POOL} by {STRIDE}, {_padding(pool, height, width)}",
            "residuals": block.residuals,
        }
        height, width = block.output_size(height, width)


def _around(block: BlockShape, size: int) -> Padding:
    """What the pool's windows reach beyond a map of so many places."""
    behind = max((pooled(size, block.padding) - 1) * STRIDE + POOL - block.padding - size, 0)
    return (block.padding, behind, block.padding, behind)


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
