"""Trunks in a graph, told from what a head reads, back to the observation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.activations import RELU, Activation
from atari_zoo.converters.network.agent_networks import AgentTrunk
from atari_zoo.converters.network.finite import finite_tensor
from atari_zoo.converters.network.impala import KERNEL, POOL, STRIDE, BlockShape, ImpalaTrunk
from atari_zoo.converters.network.networks import ConvShape, DenseShape, Trunk, dense_names
from atari_zoo.converters.recognition.elementwise import activated
from atari_zoo.converters.recognition.places import GraphPlace, fill_dense
from atari_zoo.converters.recognition.symbols import Layer, Symbol

AROUND = (KERNEL // 2,) * 4  # padding of a residual network's convolutions


@dataclass
class FoundTrunk:
    """A trunk with its weights, and where in the graph its named layers are."""

    trunk: AgentTrunk
    layers: dict[str, GraphPlace]


@dataclass(frozen=True)
class _Stage:
    """A convolution or dense layer, the activation function after it, and what holds its value."""

    layer: Layer
    activation: Activation
    place: GraphPlace


@dataclass(frozen=True)
class _Block:
    """A residual network's part: its layers in the graph, in the order of `ImpalaTrunk.layers`.

    residuals: the two convolutions of each, and the sum.
    """

    conv: Layer
    pool: Layer
    residuals: list[tuple[Layer, Layer, Layer]]


def match_trunk(features: Symbol) -> FoundTrunk:
    """The trunk whose features a head reads.

    Raises ConversionError where it has no name.
    """
    dense, below = _stages(features, "dense")
    chain, start = _stages(below, "conv")
    with torch.no_grad():
        if chain and start.layer.op == "input":
            return _plain(chain, dense)
        if not chain:
            layer, activation = activated(below)
            if layer.op in ("sum", "pool"):
                return _impala(layer, activation, dense)
    layer = activated(start)[0]
    reason = layer.data.get("reason", f"{layer.op} '{layer.tensor}'")
    raise ConversionError(f"no architecture with a name: before the head stands {reason}")


def _stages(value: Symbol, op: str) -> tuple[list[_Stage], Symbol]:
    """Layers of one kind that follow each other up to a value, and what the first one reads."""
    stages: list[_Stage] = []
    while True:
        layer, activation = activated(value) if value.layer.op != "opaque" else (value.layer, RELU)
        if layer.op != op:
            return stages[::-1], value
        stages.append(_Stage(layer, activation, GraphPlace.of(value)))
        value = layer.args[0]


def _plain(chain: Sequence[_Stage], dense: Sequence[_Stage]) -> FoundTrunk:
    shapes = [_shape(stage) for stage in chain]
    trunk = Trunk(shapes, _dense_shapes(dense), _observation(chain[0].layer))
    for index, stage in enumerate(chain, start=1):
        _fill(trunk.get_submodule(f"conv{index}.conv"), stage.layer)
    layers = {f"conv{index}": stage.place for index, stage in enumerate(chain, start=1)}
    return FoundTrunk(trunk, layers | _filled(trunk, dense))


def _impala(last: Layer, activation: Activation, dense: Sequence[_Stage]) -> FoundTrunk:
    blocks = _blocks(last, activation)
    shapes = [_block_shape(block) for block in blocks]
    trunk = ImpalaTrunk(shapes, _dense_shapes(dense), _observation(blocks[0].conv), activation)
    layers: dict[str, GraphPlace] = {}
    for index, block in enumerate(blocks, start=1):
        name = f"block{index}"
        parts = {"conv": block.conv, "pool": block.pool}
        _fill(trunk.get_submodule(f"{name}.conv"), block.conv)
        for number, (first, second, total) in enumerate(block.residuals, start=1):
            _fill(trunk.get_submodule(f"{name}.residual{number}.conv1"), first)
            _fill(trunk.get_submodule(f"{name}.residual{number}.conv2"), second)
            parts[f"residual{number}"] = total
        places = {part: GraphPlace(layer.tensor, layer.axes) for part, layer in parts.items()}
        _, whole = places.popitem()  # the last part's value is the block's
        layers |= {f"{name}.{part}": place for part, place in places.items()} | {name: whole}
    return FoundTrunk(trunk, layers | _filled(trunk, dense))


def _blocks(layer: Layer, activation: Activation) -> list[_Block]:
    """The blocks up to a layer, first to last."""
    blocks: list[_Block] = []
    while True:
        residuals: list[tuple[Layer, Layer, Layer]] = []
        while layer.op == "sum":
            first, second, past = _residual(layer, activation)
            residuals.insert(0, (first, second, layer))
            layer = past
        conv = layer.args[0].layer if layer.op == "pool" else layer
        if layer.op != "pool" or conv.op != "conv":
            raise _other(layer, "a pool of a convolution")
        _check_kernel(conv)
        blocks.insert(0, _Block(conv, layer, residuals))
        layer = conv.args[0].layer
        if layer.op == "input":
            return blocks


def _residual(total: Layer, activation: Activation) -> tuple[Layer, Layer, Layer]:
    """The two convolutions of a residual block whose sum this is, and what goes past them."""
    if total.data["signs"] == (1, 1):
        for past, through in (total.args, total.args[::-1]):
            second = through.layer
            if second.op != "conv":
                continue
            first, between = activated(second.args[0])
            if first.op != "conv":
                continue
            start, before = activated(first.args[0])
            if start is past.layer and before == between == activation:
                _check_kernel(first)
                _check_kernel(second)
                return first, second, past.layer
    raise _other(total, "a residual block's sum")


def _check_kernel(conv: Layer) -> None:
    kernel, data = conv.data["weight"].shape[2:], conv.data
    found = kernel, tuple(data["strides"]), tuple(data["padding"])
    if found != ((KERNEL, KERNEL), (1, 1), AROUND):
        raise _other(conv, f"a {KERNEL}x{KERNEL} convolution that keeps the map's size")


def _block_shape(block: _Block) -> BlockShape:
    data = block.pool.data
    top, left = data["before"]
    shape = BlockShape(len(block.conv.data["weight"]), len(block.residuals), top)
    found = tuple(axis[0].size for axis in block.pool.axes[2:])
    expected = shape.output_size(*(axis[0].size for axis in block.conv.axes[2:]))
    geometry = (data["kernel"], data["strides"]) == ((POOL, POOL), (STRIDE, STRIDE))
    if not geometry or top != left or top not in (0, 1) or found != expected:
        raise _other(block.pool, f"a pool of {POOL}x{POOL} by {STRIDE}")
    return shape


def _other(layer: Layer, expected: str) -> ConversionError:
    return ConversionError(
        f"no architecture with a name: at '{layer.tensor}' ({layer.op}) {expected} was expected, "
        "as IMPALA's ResNet has it"
    )


def _shape(stage: _Stage) -> ConvShape:
    weight, data = stage.layer.data["weight"], stage.layer.data
    return ConvShape(
        len(weight), weight.shape[2:], data["strides"], data["padding"], stage.activation
    )


def _dense_shapes(dense: Sequence[_Stage]) -> list[DenseShape]:
    return [DenseShape(len(stage.layer.data["weight"]), stage.activation) for stage in dense]


def _observation(first: Layer) -> tuple[int, int, int]:
    frames, height, width = (axis[0].size for axis in first.args[0].axes[1:])
    return frames, height, width


def _filled(trunk: AgentTrunk, dense: Sequence[_Stage]) -> dict[str, GraphPlace]:
    """The places of the dense layers, once the trunk has their weights."""
    names = dense_names(len(dense))
    for name, stage in zip(names, dense, strict=True):
        fill_dense(trunk.get_submodule(f"{name}.linear"), stage.layer, ())
    return {name: stage.place for name, stage in zip(names, dense, strict=True)}


def _fill(module: nn.Module, layer: Layer) -> None:
    assert isinstance(module, nn.Conv2d) and module.bias is not None
    weight = layer.data["weight"]
    source = layer.args[0].layer
    if source.op == "input":  # our networks take 0..1, whatever this graph takes
        factor = source.data["scale"] * source.data["maximum"]
        weight = weight if abs(factor - 1) < 1e-6 else weight * factor
    module.weight.copy_(finite_tensor(weight))
    module.bias.copy_(finite_tensor(layer.data["bias"]))
