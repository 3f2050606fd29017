"""Operators that are layers: padding, convolution, pooling."""

from __future__ import annotations

import numpy as np

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.recognition.operators import Node, operator
from atari_zoo.converters.recognition.symbols import Atom, Axis, Symbol

LARGEST_KERNEL = 1 << 22  # elements of a kernel that is made here


@operator("Pad")
def pad(node: Node) -> Symbol:
    value, pads = node.value(), node.ints("pads", 1) or []
    fill = node.constant(2) if len(node.inputs) > 2 else None
    rank = len(value.axes)
    filled = fill is not None and bool(fill.any())
    if len(pads) != 2 * rank or filled or node.attribute("mode", b"constant") != b"constant":
        raise ConversionError("padding that is not plain zeros on every axis")
    around = {_label(axis): (pads[i], pads[i + rank]) for i, axis in enumerate(value.axes)}
    if any(sum(amount) for label, amount in around.items() if label not in ("H", "W")):
        raise ConversionError("padding of something else than height and width")
    axes = tuple(
        (Atom(label, axis[0].size + sum(around[label])),)
        if (label := _label(axis)) in ("H", "W")
        else axis
        for axis in value.axes
    )
    return node.layer("pad", (value,), axes, around=around)


@operator("Conv")
def conv(node: Node) -> Symbol:
    value, weight = node.value(), _kernel(node)
    kernel, strides = tuple(weight.shape[2:]), tuple(node.attribute("strides", [1, 1]))
    pads = _pads(node, value.shape[2:], kernel, strides)
    if value.layer.op == "pad":  # an exporter's padding before the convolution is one with it
        around, value = value.layer.data["around"], _unpadded(value)
        before, after = zip(around["H"], around["W"], strict=True)
        pads = tuple(a + b for a, b in zip(pads, (*before, *after), strict=True))
    front = value.axes[0]
    within: Axis = ()
    if len(front) == 2 and not value.axes[1]:  # the channels were moved into the batch
        value, weight, within = _channels_by_themselves(value, weight)
    if [_label(axis) for axis in value.axes] not in (list("NFHW"), list("NCHW")):
        raise ConversionError("a convolution over something else than channels, height, width")
    _, channels, *sizes = value.shape
    if weight.shape[1] != channels:
        raise ConversionError(f"a kernel for {weight.shape[1]} channels, given {channels}")
    height, width = (
        (size + pads[i] + pads[i + 2] - kernel[i]) // strides[i] + 1 for i, size in enumerate(sizes)
    )
    if min(height, width) < 1:
        raise ConversionError(f"a {kernel[0]}x{kernel[1]} kernel on a {sizes[0]}x{sizes[1]} map")
    count = len(weight) // channels if within else len(weight)
    new = Atom("C", count), Atom("H", height), Atom("W", width)
    bias = node.constant(2)
    bias = np.zeros(count, np.float32) if bias is None else bias
    top, left, bottom, right = pads
    return node.layer(
        "conv",
        (value,),
        (front, *((atom,) for atom in new)),
        weight=weight,
        bias=np.repeat(bias, len(weight) // count),
        unit=(new[0], *within),
        strides=strides,
        padding=(left, right, top, bottom),
    )


@operator("MaxPool")
def max_pool(node: Node) -> Symbol:
    """The largest values of windows; what lies beyond the map does not count."""
    value = node.value()
    kernel = tuple(node.attribute("kernel_shape", []))
    strides = tuple(node.attribute("strides", [1, 1]))
    if [_label(axis) for axis in value.axes] != list("NCHW") or value.layer.op == "pad":
        raise ConversionError("a pool of something else than channels, height, width")
    if len(kernel) != 2 or len(strides) != 2 or set(node.attribute("dilations", [1])) != {1}:
        raise ConversionError("a pool that is not two-dimensional, or dilated")
    sizes = value.shape[2:]
    pads = _pads(node, sizes, kernel, strides)
    spare = [s - 1 if node.attribute("ceil_mode", 0) else 0 for s in strides]
    height, width = (
        (size + pads[i] + pads[i + 2] - kernel[i] + spare[i]) // strides[i] + 1
        for i, size in enumerate(sizes)
    )
    if min(height, width) < 1:
        raise ConversionError(f"a {kernel[0]}x{kernel[1]} pool on a {sizes[0]}x{sizes[1]} map")
    axes = (*value.axes[:2], (Atom("H", height),), (Atom("W", width),))
    return node.layer("pool", (value,), axes, kernel=kernel, strides=strides, before=pads[:2])


def _kernel(node: Node) -> np.ndarray:
    """A convolution's weights, if it is two-dimensional, neither grouped nor dilated."""
    weight = node.constant(1)
    if weight is None or weight.ndim != 4 or len(node.value().axes) != 4:
        raise ConversionError("a convolution that is not two-dimensional")
    if tuple(node.attribute("kernel_shape", weight.shape[2:])) != weight.shape[2:]:
        raise ConversionError("a kernel of another size than its weights")
    if node.attribute("group", 1) != 1 or set(node.attribute("dilations", [1])) != {1}:
        raise ConversionError("a grouped or dilated convolution")
    return weight


def _label(axis: Axis) -> str:
    return axis[0].label if len(axis) == 1 else "+".join(atom.label for atom in axis)


def _pads(
    node: Node, sizes: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[int, ...]:
    """Top, left, bottom, right."""
    auto = node.attribute("auto_pad", b"NOTSET")
    if auto == b"NOTSET":
        return tuple(node.attribute("pads", [0, 0, 0, 0]))
    if auto == b"VALID":
        return (0, 0, 0, 0)
    amounts = [
        max((-(-size // stride) - 1) * stride + width - size, 0)
        for size, width, stride in zip(sizes, kernel, strides, strict=True)
    ]
    less, more = [a // 2 for a in amounts], [a - a // 2 for a in amounts]
    return tuple(less + more if auto == b"SAME_UPPER" else more + less)


def _channels_by_themselves(value: Symbol, weight: np.ndarray) -> tuple[Symbol, np.ndarray, Axis]:
    """One kernel for all channels, which stand in the batch, as a kernel over the channels.

    So tf2onnx writes patches. Returns what it reads, the kernel, whose outputs are (kernel,
    channel), and the channels' axis.
    """
    batch, channel = value.axes[0]
    if weight.shape[1] != 1 or weight.size * channel.size**2 > LARGEST_KERNEL:
        raise ConversionError("a convolution over something else than channels, height, width")
    spread = np.einsum("kij,fg->kfgij", weight[:, 0], np.eye(channel.size, dtype=weight.dtype))
    moved = Symbol(value.layer, ((batch,), (channel,), *value.axes[2:]))
    return moved, spread.reshape(-1, channel.size, *weight.shape[2:]), (channel,)


def _unpadded(value: Symbol) -> Symbol:
    layer = value.layer
    return layer.args[0].permuted([layer.axes.index(axis) for axis in value.axes])
