"""Writes TensorFlow 1 graphs layer by layer, as the libraries of its time did, and runs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

v1, raw = tf.compat.v1, tf.raw_ops
Widths = tuple[int, int, int]
GEOMETRY = ((8, 4), (4, 2), (3, 1))  # kernel and stride of the three convolutions
WIDTHS: Widths = (32, 64, 64)


@dataclass(frozen=True)
class Frozen:
    """A frozen graph, how it is fed, and where its layers are.

    input: the placeholder. white: the value of a white pixel in it. axes: of the placeholder.
    layers: the nodes that hold the network's named layers.
    channels: the axis of the channels in its convolutions' values: 1, or -1.
    """

    data: bytes
    input: str
    layers: dict[str, str]
    white: int = 1
    axes: int = 4
    channels: int = -1
    static: bool = False


def run(frozen: Frozen, observations: np.ndarray) -> dict[str, np.ndarray]:
    """TensorFlow's values of the layers, as the graph has them, the batch in front.

    observations: uint8 (batch, 4, 84, 84).
    """
    seen = observations.transpose(0, 2, 3, 1)
    if frozen.white == 1:
        seen = seen.astype(np.float32) / 255
    seen = seen[:, None] if frozen.axes == 5 else seen
    definition = v1.GraphDef.FromString(frozen.data)
    config = v1.ConfigProto()
    # TensorFlow's own Conv2D takes NHWC alone on the processor; its optimizer turns NCHW into it
    config.graph_options.rewrite_options.cpu_layout_conversion = 1
    with tf.Graph().as_default():
        v1.import_graph_def(definition, name="")
        with v1.Session(config=config) as session:
            fetch = {name: f"{node}:0" for name, node in frozen.layers.items()}
            batches = np.split(seen, len(seen)) if frozen.static else [seen]
            runs = [session.run(fetch, {f"{frozen.input}:0": batch}) for batch in batches]
    return {name: np.concatenate([run[name] for run in runs]) for name in fetch}


@dataclass
class Builder:
    """Writes the layers of one graph; `widths` and `units` are the network's."""

    widths: Widths
    units: int
    actions: int
    seed: int
    graph: tf.Graph = field(default_factory=tf.Graph)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def variable(self, name: str, shape: Sequence[int], fan_in: int = 0) -> Any:
        """A variable: weights for so many inputs, else biases."""
        value = self.random.normal(size=shape) * (2 / fan_in) ** 0.5 if fan_in else None
        value = self.random.uniform(-0.3, 0.3, shape) if value is None else value
        return v1.get_variable(
            name, initializer=value.astype(np.float32), use_resource=False, trainable=True
        )

    def convolution(
        self,
        value: Any,
        index: int,
        scope: str,
        names: tuple[str, str] = ("weights", "biases"),
        padding: str = "SAME",
        channels_first: bool = False,
        relu: str = "Relu",
    ) -> Any:
        """Conv2D, BiasAdd and ReLU in a scope of their own, as slim and contrib.layers write."""
        (size, stride), width = GEOMETRY[index], self.widths[index]
        inputs = ([4, *self.widths])[index]
        form = "NCHW" if channels_first else "NHWC"
        steps = [1, 1, stride, stride] if channels_first else [1, stride, stride, 1]
        with v1.variable_scope(scope):
            kernel = self.variable(names[0], (size, size, inputs, width), size * size * inputs)
            bias = self.variable(names[1], (width,))
            made = raw.Conv2D(
                input=value,
                filter=kernel,
                strides=steps,
                padding=padding,
                data_format=form,
                name="Conv2D",
            )
            made = raw.BiasAdd(value=made, bias=bias, data_format=form, name="BiasAdd")
            return raw.Relu(features=made, name=relu) if relu else made

    def dense(
        self,
        value: Any,
        scope: str,
        units: int,
        names: tuple[str, str] = ("weights", "biases"),
        relu: bool = False,
        inputs: int | None = None,
    ) -> Any:
        """MatMul and BiasAdd in a scope of their own, and ReLU."""
        inputs = inputs or int(value.shape[-1])
        with v1.variable_scope(scope):
            weight = self.variable(names[0], (inputs, units), inputs)
            bias = self.variable(names[1], (units,))
            made = raw.MatMul(a=value, b=weight, name="MatMul")
            made = raw.BiasAdd(value=made, bias=bias, name="BiasAdd")
            return raw.Relu(features=made, name="Relu") if relu else made

    def flattened(self, value: Any, scope: str = "Flatten/flatten") -> Any:
        """As tf.contrib.layers.flatten writes it; of a static shape its `Shape` is a constant."""
        count = int(np.prod(value.shape[1:]))
        with v1.name_scope(scope):
            batch = v1.shape(value, name="Shape")[0]
            shape = tf.stack([batch, -1], name="Reshape/shape")
            made = tf.reshape(value, shape, name="Reshape")
        made.set_shape([value.shape[0], count])
        return made

    def frozen(self, outputs: Sequence[str]) -> bytes:
        """The GraphDef of these nodes, variables made constants."""
        with v1.Session(graph=self.graph) as session:
            session.run(v1.global_variables_initializer())
            definition = v1.graph_util.convert_variables_to_constants(
                session, self.graph.as_graph_def(), list(outputs)
            )
        definition.versions.producer = 27  # TensorFlow 1.12's
        return definition.SerializeToString()


@dataclass
class Evolved(Builder):
    """Layers as deep-neuroevolution's gpu_implementation writes them: [policies, batch, ...].

    patches: with ExtractImagePatches and TensorFlow 1's BatchMatMul, as it was released; else
        with Conv2D, as an exporter could have rewritten it.
    """

    patches: bool = True

    def screen(self) -> Any:
        """The placeholder, with an axis of 1 after the batch."""
        with v1.name_scope(None):
            seen = v1.placeholder(tf.float32, [None, 84, 84, 4], name="X_t")
        return tf.expand_dims(seen, 1, name="ExpandDims")

    def evolved_convolution(self, value: Any, index: int, bias: bool = True) -> Any:
        """A convolution of (policies, 1, height, width, channels)."""
        (size, stride), width = GEOMETRY[index], self.widths[index]
        inputs, side = int(value.shape[-1]), -(-int(value.shape[2]) // stride)
        count, steps = size * size * inputs, [1, stride, stride, 1]
        kernel = self.variable("w", (1, size, size, inputs, width), count)
        flat = tf.reshape(value, [-1, *value.shape[2:]])
        if self.patches:
            window = [1, size, size, 1]
            cut = v1.extract_image_patches(flat, window, steps, [1, 1, 1, 1], "SAME")
            sizes = v1.shape(value)
            cut = tf.reshape(cut, [sizes[0], -1, count])
            table = tf.reshape(kernel, [-1, count, width])
            made = raw.BatchMatMul(x=cut, y=table, name="MatMul")
            made = tf.reshape(made, [sizes[0], sizes[1], side, side, width])
            made.set_shape([None, None, side, side, width])
        else:
            kernel = tf.squeeze(kernel, [0])
            made = raw.Conv2D(input=flat, filter=kernel, strides=steps, padding="SAME")
            made = tf.expand_dims(made, 1)
        return self._biased(made) if bias else made

    def evolved_dense(self, value: Any, units: int, bias: bool = True) -> Any:
        """A dense layer on (policies, 1, features)."""
        inputs = int(value.shape[-1])
        weight = self.variable("w", (1, inputs, units), inputs)
        multiply = raw.BatchMatMul if self.patches else raw.BatchMatMulV2
        made = multiply(x=value, y=weight, name="MatMul")
        made.set_shape([None, None, units])
        return self._biased(made) if bias else made

    def flattened_policy(self, value: Any) -> Any:
        """(policies, 1, height, width, channels) as (policies, 1, features)."""
        count = int(np.prod(value.shape[2:]))
        made = tf.reshape(value, [-1, v1.shape(value)[1], count])
        made.set_shape([None, None, count])
        return made

    def normalised(self, value: Any) -> Any:
        """(x - mean) var + b; what is called `var` already holds 1 / sqrt(variance + 0.001)."""
        width, rank = int(value.shape[-1]), len(value.shape)
        with v1.variable_scope("BatchNorm"):
            mean, shift = self.variable("mean", (1, width)), self.variable("b", self._ones(value))
            factor = self.variable("var", (1, width), fan_in=2)
            for _ in range(rank - 2):
                mean, factor = tf.expand_dims(mean, 1), tf.expand_dims(factor, 1)
            return raw.Add(x=(value - mean) * factor, y=shift, name="add")

    def _biased(self, value: Any) -> Any:
        return raw.Add(x=value, y=self.variable("b", self._ones(value)), name="add")

    @staticmethod
    def _ones(value: Any) -> tuple[int, ...]:
        return (*[1] * (len(value.shape) - 1), int(value.shape[-1]))
