"""Trunks as ONNX: each writes its layers into a graph, and each layer keeps its name."""

from __future__ import annotations

from functools import singledispatch

from torch import nn

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.export.writer import GraphWriter
from atari_zoo.converters.network.agent_networks import AgentTrunk
from atari_zoo.converters.network.heads import Dense
from atari_zoo.converters.network.impala import KERNEL, POOL, STRIDE, ImpalaTrunk, ResidualBlock
from atari_zoo.converters.network.networks import Padding, Trunk, dense_names

AROUND: Padding = (KERNEL // 2,) * 4  # of a residual network's convolutions


@singledispatch
def write_trunk(trunk: AgentTrunk, graph: GraphWriter, value: str) -> str:
    """Writes what computes the features; returns what holds them.

    value: what holds the observations. Raises ConversionError where the trunk has no ONNX form.
    """
    raise ConversionError(f"no ONNX form for a {type(trunk).__name__}")


@write_trunk.register
def _(trunk: Trunk, graph: GraphWriter, value: str) -> str:
    for index, shape in enumerate(trunk.convolutions, start=1):
        name = f"conv{index}"
        conv = trunk.get_submodule(f"{name}.conv")
        before = _convolution(graph, name, conv, value, shape.padding)
        value = graph.activation(shape.activation, before, name, axes=4)
    return _dense_layers(graph, trunk, graph.add("Flatten", [value], "features", axis=1))


@write_trunk.register
def _(trunk: ImpalaTrunk, graph: GraphWriter, value: str) -> str:
    for index, shape in enumerate(trunk.blocks, start=1):
        name, block = f"block{index}", trunk.get_submodule(f"block{index}")
        parts = list(dict(block.named_children()))
        # the last part's value is the block's, under the block's own name
        holds = {part: f"{name}.{part}" for part in parts[:-1]} | {parts[-1]: name}
        conv = block.get_submodule("conv")
        before = _convolution(graph, f"{name}.conv", conv, value, AROUND, holds["conv"])
        value = _pool(graph, before, shape.padding, holds["pool"])
        for part in parts[2:]:
            residual = block.get_submodule(part)
            assert isinstance(residual, ResidualBlock)
            value = _residual(graph, f"{name}.{part}", residual, trunk, value, holds[part])
    value = graph.activation(trunk.nonlinearity, value, "maps", axes=4)
    return _dense_layers(graph, trunk, graph.add("Flatten", [value], "features", axis=1))


def _residual(
    graph: GraphWriter, name: str, block: ResidualBlock, trunk: ImpalaTrunk, past: str, output: str
) -> str:
    value = past
    for index, conv in enumerate((block.conv1, block.conv2), start=1):
        bent = graph.activation(trunk.nonlinearity, value, f"{name}.activation{index}", axes=4)
        value = _convolution(graph, f"{name}.conv{index}", conv, bent, AROUND)
    return graph.add("Add", [past, value], output)


def _convolution(
    graph: GraphWriter, name: str, conv: nn.Module, value: str, padding: Padding, output: str = ""
) -> str:
    """A convolution without its activation function."""
    assert isinstance(conv, nn.Conv2d) and conv.bias is not None
    left, right, top, bottom = padding
    weights = [graph.weight(f"{name}.weight", conv.weight), graph.weight(f"{name}.bias", conv.bias)]
    return graph.add(
        "Conv",
        [value, *weights],
        output or f"{name}.linear",
        kernel_shape=list(conv.kernel_size),
        strides=list(conv.stride),
        pads=[top, left, bottom, right],
    )


def _pool(graph: GraphWriter, value: str, padding: int, output: str) -> str:
    return graph.add(
        "MaxPool",
        [value],
        output,
        kernel_shape=[POOL, POOL],
        strides=[STRIDE, STRIDE],
        pads=[padding] * 4,
        ceil_mode=int(not padding),
    )


def _dense_layers(graph: GraphWriter, trunk: Trunk | ImpalaTrunk, value: str) -> str:
    for name in dense_names(len(trunk.dense)):
        layer = trunk.get_submodule(name)
        assert isinstance(layer, Dense)
        value = graph.dense(name, layer, value)
    return value
