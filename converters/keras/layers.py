"""Keras's layers in ONNX, one by one (keras/src/layers), as they are when a model is evaluated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.keras.models import KerasLayer
from atari_zoo.converters.keras.steps import KERAS_LAYERS, KerasStep, keras_layer

# activations of ONNX's that are Keras's; of Keras 1 to 3
ACTIVATIONS = {
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "elu": "Elu",
    "selu": "Selu",
}
OBJECTS = ("ReLU", "LeakyReLU", "ELU", "Softmax")  # layers that are activations of others, too
MERGES = {"Add": "Add", "Subtract": "Sub", "Multiply": "Mul"}


@keras_layer("Conv2D")
def keras_conv2d(step: KerasStep) -> str:
    """A convolution; its kernel is (height, width, in, out) by now."""
    kernel = step.arrays[0]
    strides = step.pair("strides")
    plain = step.layer.settings.get("groups", 1) == 1 and step.pair("dilation_rate") == [1, 1]
    if kernel.ndim != 4 or not plain:
        raise ConversionError(f"a convolution with kernels {kernel.shape}, dilated or in groups")
    value = step.first(step.inputs[0])
    pads = step.pads(kernel.shape[:2], strides, step.graph.shape(value)[2:])
    weights = [step.constant(kernel.transpose(3, 2, 0, 1).astype(np.float32), "kernel")]
    weights += [step.constant(bias, "bias") for bias in biases(step)]
    made = step.add("Conv", value, *weights, strides=strides, pads=pads)
    return keras_activated(step, step.back(made))


@keras_layer("Dense")
def keras_dense(step: KerasStep) -> str:
    kernel = step.arrays[0]
    if kernel.ndim != 2:
        raise ConversionError(f"a dense layer with weights {kernel.shape}")
    made = step.add("MatMul", step.inputs[0], step.constant(kernel.astype(np.float32), "kernel"))
    for bias in biases(step):
        made = step.add("Add", made, step.constant(bias, "bias"))
    return keras_activated(step, made)


@keras_layer("Flatten")
def keras_flatten(step: KerasStep) -> str:
    """With channels first it moves them behind, so that the dense layer is as with them last."""
    value = step.inputs[0]
    rank = len(step.graph.shape(value))
    if not step.channels_last and rank > 2:
        value = step.add("Transpose", value, perm=[0, *range(2, rank), 1])
    return step.add("Flatten", value, axis=1)


@keras_layer("Activation")
def keras_activation(step: KerasStep) -> str:
    return keras_activated(step, step.inputs[0])


@keras_layer("ReLU", "LeakyReLU", "ELU")
def keras_rectifier(step: KerasStep) -> str:
    settings, kind = step.layer.settings, step.layer.kind
    limits = (settings.get("max_value"), settings.get("threshold") or 0)
    slopes = ("negative_slope", "alpha") if kind != "ELU" else ("alpha",)
    default = {"ReLU": 0.0, "LeakyReLU": 0.3, "ELU": 1.0}[kind]
    slope = next((settings[name] for name in slopes if settings.get(name) is not None), default)
    if limits != (None, 0) or not isinstance(slope, int | float):
        raise ConversionError("an activation with a threshold or a largest value")
    if kind == "ELU":
        return step.add("Elu", step.inputs[0], alpha=float(slope))
    if slope == 0:
        return step.add("Relu", step.inputs[0])
    return step.add("LeakyRelu", step.inputs[0], alpha=float(slope))


@keras_layer("PReLU")
def keras_prelu(step: KerasStep) -> str:
    """Its slopes have the shape of what it is given, and 1 on the axes that share them."""
    (slopes,) = step.arrays
    rank = len(step.graph.shape(step.inputs[0])) - 1
    if slopes.ndim != rank:
        raise ConversionError(f"slopes {slopes.shape} for values on {rank} axes")
    return step.add("PRelu", step.inputs[0], step.constant(slopes.astype(np.float32), "slopes"))


@keras_layer("Softmax")
def keras_softmax(step: KerasStep) -> str:
    axis = step.layer.settings.get("axis", -1)
    if axis not in (-1, len(step.graph.shape(step.inputs[0])) - 1):
        raise ConversionError(f"a softmax over the axis {str(axis)[:20]}; the last was expected")
    return step.add("Softmax", step.inputs[0], axis=-1)


@keras_layer(
    "Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "Masking", "Identity"
)
def keras_identity(step: KerasStep) -> str:
    """What does nothing when a model is evaluated."""
    return step.inputs[0]


@keras_layer("Permute")
def keras_permute(step: KerasStep) -> str:
    dims = step.layer.settings.get("dims")
    if not isinstance(dims, list) or sorted(map(str, dims)) != [
        str(n + 1) for n in range(len(dims))
    ]:
        raise ConversionError(f"a permutation by {str(dims)[:40]}")
    return step.add("Transpose", step.inputs[0], perm=[0, *dims])


@keras_layer("Reshape")
def keras_reshape(step: KerasStep) -> str:
    shape = step.layer.settings.get("target_shape")
    if not isinstance(shape, list) or not all(type(n) is int for n in shape):
        raise ConversionError(f"a shape {str(shape)[:40]}")
    return step.add("Reshape", step.inputs[0], step.constant(np.array([0, *shape]), "shape"))


@keras_layer("ZeroPadding2D")
def keras_zero_padding(step: KerasStep) -> str:
    padding: Any = step.layer.settings.get("padding", 1)
    rows, columns = [padding, padding] if isinstance(padding, int) else list(padding)
    pairs = [[side, side] if isinstance(side, int) else list(side) for side in (rows, columns)]
    if not all(type(n) is int and 0 <= n < 100 for pair in pairs for n in pair):
        raise ConversionError(f"padding by {str(padding)[:40]}")
    (top, bottom), (left, right) = pairs
    pads = step.constant(np.array([0, 0, top, left, 0, 0, bottom, right]), "pads")
    return step.back(step.add("Pad", step.first(step.inputs[0]), pads))


@keras_layer("MaxPooling2D", "AveragePooling2D")
def keras_pooling(step: KerasStep) -> str:
    size = step.pair("pool_size", 2)
    given = step.layer.settings.get("strides")
    strides = size if given is None else step.pair("strides")
    if step.theano and step.layer.settings.get("padding") == "same":
        raise ConversionError("a pooling with padding 'same' of Theano's, which is not known")
    value = step.first(step.inputs[0])
    pads = step.pads(size, strides, step.graph.shape(value)[2:])
    op = "MaxPool" if step.layer.kind == "MaxPooling2D" else "AveragePool"
    return step.back(step.add(op, value, kernel_shape=size, strides=strides, pads=pads))


@keras_layer("GlobalAveragePooling2D")
def keras_global_pooling(step: KerasStep) -> str:
    value = step.add("GlobalAveragePool", step.first(step.inputs[0]))
    return step.add("Flatten", value, axis=1)


@keras_layer("BatchNormalization")
def keras_batch_norm(step: KerasStep) -> str:
    """With the statistics that were stored, over the last axis or the one that it names."""
    settings, value = step.layer.settings, step.inputs[0]
    axis, rank = settings.get("axis", -1), len(step.graph.shape(value))
    axis = axis[0] if isinstance(axis, list) and axis else axis
    if type(axis) is not int or not -rank <= axis < rank:
        raise ConversionError(f"normalisation over the axis {str(axis)[:20]}")
    arrays = [array.astype(np.float32) for array in step.arrays]
    there = [settings.get(name, True) is not False for name in ("scale", "center")]
    if len(arrays) != 2 + sum(there):
        raise ConversionError(f"{len(arrays)} arrays of statistics")
    if {array.shape for array in arrays} != {(step.graph.shape(value)[axis],)}:
        raise ConversionError(f"statistics of the shapes {[array.shape for array in arrays]}")
    parts = iter(arrays)
    scale = next(parts) if there[0] else np.float32(1)
    shift = next(parts) if there[1] else np.float32(0)
    mean, variance = parts
    factor = scale / np.sqrt(variance + np.float32(settings.get("epsilon", 1e-3)))
    shape = [1] * rank
    shape[axis] = -1
    columns = [np.reshape(array, shape) for array in (factor, shift - mean * factor)]
    made = step.add("Mul", value, step.constant(columns[0], "scale"))
    return step.add("Add", made, step.constant(columns[1], "shift"))


@keras_layer("Rescaling")
def keras_rescaling(step: KerasStep) -> str:
    scale, offset = (step.layer.settings.get(name, n) for name, n in (("scale", 1), ("offset", 0)))
    if not isinstance(scale, int | float) or not isinstance(offset, int | float):
        raise ConversionError("pixels scaled by something else than one number")
    made = step.add("Mul", step.inputs[0], step.constant(np.float32(scale), "scale"))
    return step.add("Add", made, step.constant(np.float32(offset), "offset")) if offset else made


@keras_layer("Add", "Subtract", "Multiply", "Average", "Concatenate")
def keras_merge(step: KerasStep) -> str:
    kind = step.layer.kind
    if kind == "Concatenate":
        return step.add("Concat", *step.inputs, axis=int(step.layer.settings.get("axis", -1)))
    made = step.inputs[0]
    for other in step.inputs[1:]:
        made = step.add(MERGES.get(kind, "Add"), made, other)
    if kind == "Average":
        made = step.add("Mul", made, step.constant(np.float32(1 / len(step.inputs))))
    return made


def biases(step: KerasStep) -> list[np.ndarray]:
    """The layer's bias, if it has one; raises ConversionError if it is not one for each output."""
    kernel, *rest = step.arrays
    if any(array.shape != kernel.shape[-1:] for array in rest) or len(rest) > 1:
        shapes = [array.shape for array in rest[:4]]
        raise ConversionError(f"biases {shapes} beside a kernel {kernel.shape}")
    return [array.astype(np.float32) for array in rest]


def keras_activated(step: KerasStep, value: str) -> str:
    """The value after the layer's activation. Raises ConversionError if it is not known."""
    name = step.layer.settings.get("activation", "linear")
    if isinstance(name, dict):  # an object, with settings of its own
        kind, config = str(name.get("class_name")), name.get("config")
        settings = config if isinstance(config, dict) else {}
        if kind in OBJECTS:
            layer = KerasLayer(step.layer.name, kind, settings)
            return KERAS_LAYERS[kind](replace(step, layer=layer, inputs=[value]))
        numbers = [key for key, n in settings.items() if type(n) in (int, float)]
        if numbers:
            raise ConversionError(f"the activation {kind[:40]!a} with {str(numbers[0])[:40]!a}")
        name = kind.lower()
    if name in ("linear", None):
        return value
    if name == "softmax":
        return step.add("Softmax", value, axis=-1)
    if name not in ACTIVATIONS:
        raise ConversionError(f"no translation for the activation {str(name)[:40]!a}")
    return step.add(ACTIVATIONS[name], value)
