"""TensorFlow's operators that are layers: convolutions, patches, biases, products."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.tf.operators import TfNode, tf_operator

CHANNELS_FIRST, CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
LARGEST_PATCH = 1 << 11  # numbers in a patch; the widest here is 3x3 pixels of 64 channels


@tf_operator("Conv2D")
def conv2d(node: TfNode) -> str:
    """A convolution whose kernel is (height, width, in, out); NHWC or NCHW."""
    last = node.text("data_format", "NHWC") == "NHWC"
    value = _channels_first(node) if last else node.inputs[0]
    _, channels, *sizes = node.graph.shape(value)
    kernel = node.shape(1)
    if len(kernel) != 4 or kernel[2] != channels or len(sizes) != 2:
        raise ConversionError(f"a kernel {kernel} for {channels} channels")
    strides = _spatial(node.ints("strides"), last)
    if set(node.ints("dilations")) - {1}:
        raise ConversionError("a dilated convolution")
    weight = node.step("Transpose", node.inputs[1], suffix=" kernel", perm=(3, 2, 0, 1))
    pads = _pads(node, sizes, kernel[:2], strides, last)
    if not last:
        return node.result("Conv", value, weight, strides=strides, pads=pads)
    made = node.step("Conv", value, weight, strides=strides, pads=pads)
    return node.result("Transpose", made, perm=CHANNELS_LAST)


@tf_operator("ExtractImagePatches")
def extract_image_patches(node: TfNode) -> str:
    """Each place's patch as channels (height, width, channel), through a one-hot kernel."""
    (height, width), strides = (_spatial(node.ints(name), True) for name in ("ksizes", "strides"))
    if set(node.ints("rates")) - {1}:
        raise ConversionError("dilated patches")
    value = _channels_first(node)
    _, channels, *sizes = node.graph.shape(value)
    count = height * width * channels
    if not 0 < count <= LARGEST_PATCH:
        raise ConversionError(f"patches of {count} numbers")
    one_hot = np.eye(count, dtype=np.float32).reshape(count, height, width, channels)
    kernel = node.constant(one_hot.transpose(0, 3, 1, 2), "kernel")
    pads = _pads(node, sizes, (height, width), strides, True)
    patches = node.step("Conv", value, kernel, strides=strides, pads=pads)
    return node.result("Transpose", patches, perm=CHANNELS_LAST)


@tf_operator("BiasAdd")
def bias_add(node: TfNode) -> str:
    """A number for each channel, the last axis or the second."""
    value, bias = node.inputs
    if node.text("data_format") == "NCHW":
        after = [1] * (len(node.shape()) - 2)
        column = node.constant([*node.shape(1), *after], "shape")
        bias = node.step("Reshape", bias, column)
    return node.result("Add", value, bias)


@tf_operator("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
def fused_batch_norm(node: TfNode) -> str:
    """Batch normalisation with the statistics that were stored."""
    if node.flag("is_training", True):
        raise ConversionError("a batch normalisation that is still in training")
    last = node.text("data_format", "NHWC") == "NHWC"
    value = _channels_first(node) if last else node.inputs[0]
    epsilon = node.number("epsilon", 1e-4)
    if not last:
        return node.result("BatchNormalization", value, *node.inputs[1:5], epsilon=epsilon)
    made = node.step("BatchNormalization", value, *node.inputs[1:5], epsilon=epsilon)
    return node.result("Transpose", made, perm=CHANNELS_LAST)


@tf_operator("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")
def mat_mul(node: TfNode) -> str:
    """A product of matrices, either of them transposed; leading axes broadcast."""
    sides = []
    for index, turned in enumerate((("transpose_a", "adj_x"), ("transpose_b", "adj_y"))):
        side, rank = node.inputs[index], len(node.shape(index))
        if any(node.flag(name) for name in turned):
            order = [*range(rank - 2), rank - 1, rank - 2]
            side = node.step("Transpose", side, suffix=str(index), perm=order)
        sides.append(side)
    return node.result("MatMul", *sides)


def _channels_first(node: TfNode) -> str:
    return node.step("Transpose", node.inputs[0], perm=CHANNELS_FIRST)


def _spatial(values: Sequence[int], last: bool) -> list[int]:
    """The two numbers for height and width among those for all four axes."""
    places, others = ((1, 2), (0, 3)) if last else ((2, 3), (0, 1))
    if len(values) != 4 or any(values[i] != 1 for i in others) or min(values) < 1:
        raise ConversionError(f"strides or sizes {list(values)}")
    return [values[i] for i in places]


def _pads(
    node: TfNode, sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], last: bool
) -> list[int]:
    """Pixels above, left, below, right; SAME has the odd one below and right."""
    padding = node.text("padding")
    if padding == "EXPLICIT":
        given = node.ints("explicit_paddings")
        pairs = (given[2:4], given[4:6]) if last else (given[4:6], given[6:8])
        return [pair[side] for side in (0, 1) for pair in pairs]
    if padding not in ("SAME", "VALID"):
        raise ConversionError(f"padding {padding[:20]!r}")
    amounts = [
        max((-(-size // stride) - 1) * stride + width - size, 0) if padding == "SAME" else 0
        for size, width, stride in zip(sizes, kernel, strides, strict=True)
    ]
    return [a // 2 for a in amounts] + [a - a // 2 for a in amounts]
