"""Each TensorFlow operator's translation, run in onnxruntime, against TensorFlow's own run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import tensorflow as tf

from atari_zoo.converters.recognition.symbols import BATCH
from atari_zoo.converters.tf.graphdef import parse_graph
from atari_zoo.converters.tf.operators import TF_OPERATORS
from atari_zoo.converters.tf.screen import TfScreen
from atari_zoo.converters.tf.translation import translate

tf.get_logger().setLevel(logging.ERROR)
v1, raw = tf.compat.v1, tf.raw_ops
random = np.random.default_rng(0)


def normal(*shape: int) -> Any:
    """A constant of the graph."""
    return tf.constant(random.normal(size=shape), tf.float32)


def conv(x: Any, stride: int = 2, padding: str = "SAME", **more: Any) -> Any:
    steps = [1, 1, stride, stride] if "data_format" in more else [1, stride, stride, 1]
    inputs = x.shape[1] if "data_format" in more else x.shape[3]
    return raw.Conv2D(
        input=x, filter=normal(3, 4, inputs, 5), strides=steps, padding=padding, **more
    )


def first(x: Any) -> Any:
    return tf.transpose(x, [0, 3, 1, 2])


def last(x: Any) -> Any:
    return tf.transpose(x, [0, 2, 3, 1])


def normed(x: Any, kind: str, form: str = "NHWC") -> Any:
    numbers = [normal(4), normal(4), normal(4), tf.abs(normal(4))]
    names = ("scale", "offset", "mean", "variance")
    return getattr(raw, kind)(
        x=x, **dict(zip(names, numbers, strict=True)), is_training=False, data_format=form
    )[0]


def pads(*pairs: tuple[int, int]) -> list[int]:
    return [amount for pair in pairs for amount in pair]


def flat(x: Any) -> Any:
    return tf.reshape(x, [-1, 7, 24])


# x is float32 (batch, 6, 7, 4)
OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "conv same": conv,
    "conv same, stride 3": lambda x: conv(x, 3),
    "conv valid": lambda x: conv(x, 1, "VALID"),
    "conv explicit": lambda x: conv(
        x, 2, "EXPLICIT", explicit_paddings=pads((0, 0), (2, 1), (0, 3), (0, 0))
    ),
    "conv NCHW": lambda x: last(conv(first(x), 2, data_format="NCHW")),
    "conv NCHW explicit": lambda x: last(
        conv(
            first(x),
            1,
            "EXPLICIT",
            explicit_paddings=pads((0, 0), (0, 0), (2, 1), (0, 3)),
            data_format="NCHW",
        )
    ),
    "patches same": lambda x: v1.extract_image_patches(
        x, [1, 3, 2, 1], [1, 2, 1, 1], [1] * 4, "SAME"
    ),
    "patches valid": lambda x: v1.extract_image_patches(
        x, [1, 2, 4, 1], [1, 1, 2, 1], [1] * 4, "VALID"
    ),
    "bias": lambda x: raw.BiasAdd(value=x, bias=normal(4)),
    "bias NCHW": lambda x: raw.BiasAdd(value=first(x), bias=normal(4), data_format="NCHW"),
    "batch norm": lambda x: normed(x, "FusedBatchNorm"),
    "batch norm v2, NCHW": lambda x: normed(first(x), "FusedBatchNormV2", "NCHW"),
    "batch norm v3": lambda x: normed(x, "FusedBatchNormV3"),
    "matmul": lambda x: tf.matmul(tf.reshape(x, [-1, 4]), normal(4, 3)),
    "matmul transposed": lambda x: raw.MatMul(
        a=tf.reshape(x, [-1, 4]), b=normal(3, 4), transpose_b=True
    ),
    "matmul both transposed": lambda x: raw.MatMul(
        a=raw.Transpose(x=tf.reshape(x, [-1, 4]), perm=[1, 0]),
        b=normal(3, 4),
        transpose_a=True,
        transpose_b=True,
    ),
    "batch matmul": lambda x: raw.BatchMatMul(x=flat(x), y=flat(x), adj_y=True),
    "batch matmul v2": lambda x: raw.BatchMatMulV2(x=flat(x), y=normal(1, 24, 3)),
    "batch matmul adjoint": lambda x: raw.BatchMatMulV2(
        x=flat(x), y=normal(1, 3, 7), adj_x=True, adj_y=True
    ),
    "batch matmul v3": lambda x: raw.BatchMatMulV3(x=flat(x), y=normal(24, 3), Tout=tf.float32),
    "add": lambda x: raw.Add(x=x, y=normal(7, 1)),
    "add v2": lambda x: raw.AddV2(x=normal(4), y=x),
    "add n": lambda x: raw.AddN(inputs=[x, x, normal(1, 6, 7, 4) + x]),
    "subtract": lambda x: normal(4) - x,
    "multiply": lambda x: x * normal(6, 1, 4),
    "divide": lambda x: raw.RealDiv(x=x, y=255.0),
    "divide as before": lambda x: raw.Div(x=3.0, y=tf.abs(x) + 1),
    "maximum": lambda x: tf.maximum(x, 0.25),
    "minimum": lambda x: tf.minimum(0.25, x),
    "power": lambda x: raw.Pow(x=tf.abs(x) + 0.1, y=1.5),
    "negative, absolute": lambda x: -tf.abs(x),
    "square, root": lambda x: tf.sqrt(tf.square(x) + 1),
    "reciprocal root": lambda x: tf.math.rsqrt(tf.square(x) + 1),
    "exponential, logarithm": lambda x: tf.math.log(tf.exp(x) + 1),
    "cosine, sine": lambda x: tf.cos(x) * tf.sin(x),
    "relu": lambda x: raw.Relu(features=x),
    "leaky relu": lambda x: raw.LeakyRelu(features=x, alpha=0.3),
    "leaky relu, default": lambda x: raw.LeakyRelu(features=x),
    "elu": lambda x: raw.Elu(features=x),
    "tanh, sigmoid, softplus": lambda x: tf.tanh(x) + tf.sigmoid(x) + tf.math.softplus(x),
    "softmax": lambda x: tf.nn.softmax(tf.reshape(x, [-1, 28])),
    "log softmax": lambda x: tf.nn.log_softmax(tf.reshape(x, [-1, 28])),
    "mean": lambda x: raw.Mean(input=x, axis=[1, -1]),
    "mean, kept": lambda x: x - raw.Mean(input=x, axis=3, keep_dims=True),
    "sum": lambda x: raw.Sum(input=x, axis=[2]),
    "sum, kept": lambda x: raw.Sum(input=x, axis=[1, 2], keep_dims=True),
    "max": lambda x: raw.Max(input=x, axis=[-1, 1]),
    "argmax": lambda x: tf.cast(tf.argmax(tf.reshape(x, [-1, 6, 28]), 2), tf.float32),
    "casts": lambda x: tf.cast(tf.cast(tf.cast(x * 5, tf.int32), tf.float64), tf.float32),
    "passed on": lambda x: tf.stop_gradient(tf.identity(v1.check_numerics(x, "not finite"))),
    "default": lambda x: x + v1.placeholder_with_default(normal(4), [None]),
    "reshape by its shape": lambda x: tf.reshape(x, tf.stack([v1.shape(x)[0], -1, 12])),
    "reshape by a product": lambda x: tf.reshape(
        x, tf.stack([-1, tf.reduce_prod(v1.shape(x, name="S")[1:])])
    ),
    "expand, squeeze": lambda x: tf.squeeze(tf.expand_dims(tf.expand_dims(x, 2), -1), [2]),
    "squeeze all": lambda x: tf.squeeze(tf.expand_dims(tf.expand_dims(x, 2), -1)),
    "squeeze nothing": lambda x: tf.squeeze(x),
    "transpose": lambda x: tf.transpose(x, [0, 2, 3, 1]),
    "pack": lambda x: tf.stack([x, x * 2, -x], axis=2),
    "pack last": lambda x: tf.stack([x, x * 2], axis=-1),
    "concat": lambda x: tf.concat([x, x * 2, x + 1], 2),
    "concat with its negative": lambda x: raw.ConcatV2(values=[x, -x], axis=-1),
    "slices": lambda x: x[:, 1:4, ::2, -3:-1],
    "slice, reversed": lambda x: x[:, ::-1, 4:0:-2],
    "slice, one of": lambda x: x[:, -1, :, 2],
    "slice, ellipsis": lambda x: x[:, 1:, ..., 3],
    "slice, ellipsis and new": lambda x: x[..., tf.newaxis, 1:3, tf.newaxis],
    "slice, new first": lambda x: x[:, tf.newaxis, 2, tf.newaxis, ..., -2:],
    "slice, ellipsis of nothing": lambda x: x[:, :, 0, ..., 1:],
    "block": lambda x: raw.Slice(input=x, begin=[0, 2, 1, 0], size=[-1, 3, -1, 2]),
    "gather": lambda x: raw.GatherV2(params=x, indices=[3, 0, 0], axis=2),
    "gather of a constant": lambda x: x * raw.Gather(params=normal(5, 4), indices=3),
    "fill": lambda x: x + raw.Fill(dims=[7, 1], value=2.5),
    "tile": lambda x: raw.Tile(input=x, multiples=[1, 2, 1, 3]),
    "pad": lambda x: raw.Pad(input=x, paddings=[[0, 0], [1, 0], [2, 3], [0, 0]]),
    "line": lambda x: x * raw.LinSpace(start=-2.0, stop=5.0, num=4),
    "range": lambda x: x * tf.cast(tf.range(1, 5), tf.float32),
    "range, counted": lambda x: x + tf.cast(tf.range(0, 14, 2), tf.float32)[:, tf.newaxis],
}


def graph_of(operation: Callable[[Any], Any], batch: int | None = None) -> Any:
    """A GraphDef from "x" to "y", which is (batch, numbers)."""
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [batch, 6, 7, 4], name="x")
        tf.reshape(operation(x), tf.stack([v1.shape(x)[0], -1]), name="y")
        return graph.as_graph_def()


def in_tensorflow(definition: Any, x: np.ndarray) -> np.ndarray:
    config = v1.ConfigProto()
    config.graph_options.rewrite_options.cpu_layout_conversion = 1  # it has no NCHW otherwise
    with tf.Graph().as_default():
        v1.import_graph_def(definition, name="")
        with v1.Session(config=config) as session:
            return session.run("y:0", {"x:0": x})


def in_onnxruntime(definition: Any, x: np.ndarray, static: int | None = None) -> np.ndarray:
    import onnxruntime

    screen = TfScreen("x", (BATCH, 6, 7, 4), onnx.TensorProto.FLOAT, static)
    model, _ = translate(parse_graph(definition.SerializeToString()), screen, "y")
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(["output"], {"x": x})[0]


@pytest.mark.parametrize("batch", [None, 1], ids=["any", "one"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operator_means_the_same(name: str, batch: int | None) -> None:
    """Also in a graph that was made for one observation: ours takes three."""
    definition = graph_of(OPERATIONS[name], batch)
    x = random.normal(size=(3, 6, 7, 4)).astype(np.float32)
    seen = np.split(x, 3) if batch else [x]
    expected = np.concatenate([in_tensorflow(definition, part) for part in seen])
    found = in_onnxruntime(definition, x, batch)
    # float32 sums of up to 48 terms in another order
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)


def test_every_operator_is_tried() -> None:
    tried = {node.op for f in OPERATIONS.values() for node in graph_of(f).node}
    # TensorFlow's optimizers write these two; they stand beside others of the same meaning
    assert set(TF_OPERATORS) - tried == {"Snapshot", "PreventGradient"}
