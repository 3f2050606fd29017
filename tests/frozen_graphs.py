"""Frozen graphs of the original zoo's seven algorithms, made by TensorFlow itself.

Names, operators and layouts are those of the published agents' sources: deep-neuroevolution's
models (ES, GA), ape-x's, Dopamine's at its first release, scalable_agent's with a Nature tower
(IMPALA), and the names that the original zoo asked its graphs for. Weights are random, of the
size of trained ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from frozen_builder import GEOMETRY, WIDTHS, Builder, Evolved, Frozen, Widths, raw, v1


def a2c(
    widths: Widths = WIDTHS,
    units: int = 512,
    actions: int = 6,
    seed: int = 0,
    padding: str = "SAME",
    divides: bool = False,
    value: bool = True,
) -> Frozen:
    """A2C: contrib.layers' names; whether it divides by 255 itself is open, so both."""
    b = Builder(widths, units, actions, seed)
    with b.graph.as_default():
        seen = v1.placeholder(tf.float32, [None, 84, 84, 4], name="X_t")
        with v1.variable_scope("a2c"):
            maps = raw.RealDiv(x=seen, y=255.0, name="truediv") if divides else seen
            for i in range(3):
                maps = b.convolution(maps, i, f"conv{i + 1}", padding=padding)
            features = b.dense(b.flattened(maps), "fc", units, relu=True)
            b.dense(features, "policy", actions)
            b.dense(features, "value", 1)
    layers = {f"conv{i}": f"a2c/conv{i}/Relu" for i in (1, 2, 3)}
    layers |= {"fc": "a2c/fc/Relu", "output": "a2c/policy/BiasAdd"}
    layers |= {"value": "a2c/value/BiasAdd"} if value else {}
    ends = [layers[end] for end in ("output", "value") if end in layers]
    return Frozen(b.frozen(ends), "X_t", layers, white=255 if divides else 1)


def apex(
    widths: Widths = WIDTHS,
    units: int = 512,
    actions: int = 6,
    seed: int = 0,
    channels_first: bool = True,
) -> Frozen:
    """Ape-X: dueling, a dense layer for each stream; NCHW inside, and so flattened C, H, W."""
    b = Builder(widths, units, actions, seed)
    with b.graph.as_default():
        maps = v1.placeholder(tf.float32, [None, 84, 84, 4], name="X_t")
        with v1.variable_scope("deepq/q_func"):
            if channels_first:
                maps = tf.transpose(maps, [0, 3, 1, 2], name="transpose")
            with v1.variable_scope("convnet"):
                for i, scope in enumerate(("Conv", "Conv_1", "Conv_2")):
                    maps = b.convolution(maps, i, scope, channels_first=channels_first)
                features = b.flattened(maps)
            streams = {}
            for scope, count in (("action_value", actions), ("state_value", 1)):
                with v1.variable_scope(scope):
                    hidden = b.dense(features, "fully_connected", units)
                    hidden = raw.Relu(features=hidden, name="Relu")
                    streams[scope] = b.dense(hidden, "fully_connected_1", count)
            mean = tf.reduce_mean(streams["action_value"], 1, name="Mean")
            mean = tf.expand_dims(mean, 1, name="ExpandDims")
            centred = raw.Sub(x=streams["action_value"], y=mean, name="sub")
            raw.Add(x=streams["state_value"], y=centred, name="q_values")
    top = "deepq/q_func"
    layers = {f"conv{i + 1}": f"{top}/convnet/Conv{s}/Relu" for i, s in enumerate(("", "_1", "_2"))}
    layers |= {
        "fc": f"{top}/state_value/Relu",
        "advantage_fc": f"{top}/action_value/Relu",
        "value": f"{top}/state_value/fully_connected_1/BiasAdd",
        "advantage": f"{top}/action_value/fully_connected_1/BiasAdd",
        "output": f"{top}/q_values",
    }
    return Frozen(b.frozen([layers["output"]]), "X_t", layers, channels=1 if channels_first else -1)


def ga(
    widths: Widths = WIDTHS,
    units: int = 512,
    actions: int = 6,
    seed: int = 0,
    patches: bool = True,
) -> Frozen:
    """Deep GA: weights and values with an axis of 1 for the policy; patches, or Conv2D."""
    e = Evolved(widths, units, actions, seed, patches=patches)
    with e.graph.as_default(), v1.variable_scope("ga"):
        value = e.screen()
        for i in range(3):
            with v1.variable_scope(f"conv{i + 1}"):
                value = raw.Relu(features=e.evolved_convolution(value, i), name="relu")
        value = e.flattened_policy(value)
        with v1.variable_scope("fc"):
            value = raw.Relu(features=e.evolved_dense(value, units), name="relu")
        with v1.variable_scope("out"):
            tf.reshape(e.evolved_dense(value, actions), [-1, actions], name="signal")
    layers = {f"conv{i}": f"ga/conv{i}/relu" for i in (1, 2, 3)}
    layers |= {"fc": "ga/fc/relu", "output": "ga/out/signal"}
    return Frozen(e.frozen(["ga/out/signal"]), "X_t", layers, static=patches)


def es(
    widths: Widths = WIDTHS,
    units: int = 512,
    actions: int = 6,
    seed: int = 0,
    patches: bool = True,
    normalised: bool = True,
) -> Frozen:
    """ES: as Deep GA, in scopes `layerN`, with virtual batch normalisation or without."""
    e = Evolved(widths, units, actions, seed, patches=patches)
    with e.graph.as_default(), v1.variable_scope("es"):
        value = e.screen()
        for i in range(3):
            with v1.variable_scope(f"layer{i + 1}"):
                with v1.variable_scope(f"conv{i + 1}"):
                    value = e.evolved_convolution(value, i, bias=not normalised)
                value = e.normalised(value) if normalised else value
                value = raw.Relu(features=value, name="Relu")
        value = e.flattened_policy(value)
        with v1.variable_scope("layer4"):
            with v1.variable_scope("fc"):
                value = e.evolved_dense(value, units, bias=not normalised)
            value = e.normalised(value) if normalised else value
            value = raw.Relu(features=value, name="Relu")
        with v1.variable_scope("layer5/out"):
            value = e.evolved_dense(value, actions)
            tf.reshape(value, [-1, actions], name="out")
    layers = {f"conv{i}": f"es/layer{i}/Relu" for i in (1, 2, 3)}
    layers |= {"fc": "es/layer4/Relu", "output": "es/layer5/out/out"}
    return Frozen(e.frozen(["es/layer5/out/out"]), "X_t", layers, static=patches)


def dqn(
    widths: Widths = WIDTHS,
    units: int = 512,
    actions: int = 6,
    seed: int = 0,
    division: str = "div",
    leftovers: bool = False,
) -> Frozen:
    """Dopamine's DQN: a placeholder of one observation in bytes.

    division: what the node is called. leftovers: with the target network, gradients and a saver.
    """
    b = Builder(widths, units, actions, seed)
    with b.graph.as_default():
        with v1.variable_scope("Online"):
            features, seen = _dopamine_features(b, division)
            values = b.dense(features, "fully_connected_1", actions)
        more = _leftovers(b, values, seen) if leftovers else []
    layers = _dopamine_layers() | {"output": "Online/fully_connected_1/BiasAdd"}
    ends = [layers["output"], *more]
    return Frozen(b.frozen(ends), "state_ph", layers, white=255, static=True)


def rainbow(
    widths: Widths = WIDTHS,
    units: int = 512,
    actions: int = 6,
    seed: int = 0,
    folded: bool = False,
) -> Frozen:
    """Dopamine's Rainbow and C51: 51 atoms an action, softmax in two axes, the expectation.

    folded: the support is a constant instead of LinSpace.
    """
    b = Builder(widths, units, actions, seed)
    with b.graph.as_default():
        support = (
            tf.constant(np.linspace(-10, 10, 51), tf.float32, name="support")
            if folded
            else raw.LinSpace(start=-10.0, stop=10.0, num=51, name="linspace")
        )
        with v1.variable_scope("Online"):
            features, _ = _dopamine_features(b, "div")
            logits = b.dense(features, "fully_connected_1", actions * 51)
            logits = tf.reshape(logits, [-1, actions, 51], name="Reshape")
            with v1.name_scope("softmax"):
                table = tf.reshape(logits, [-1, 51], name="Reshape")
                chances = tf.nn.softmax(table, name="Softmax")
                chances = tf.reshape(chances, v1.shape(logits, name="Shape"), name="Reshape_1")
            weighted = raw.Mul(x=support, y=chances, name="mul")
            tf.reduce_sum(weighted, axis=2, name="Sum")
    layers = _dopamine_layers() | {"atoms": "Online/Reshape", "output": "Online/Sum"}
    return Frozen(b.frozen(["Online/Sum"]), "state_ph", layers, white=255, static=True)


def _dopamine_features(b: Builder, division: str) -> tuple[Any, Any]:
    with v1.name_scope(None):
        seen = v1.placeholder(tf.uint8, [1, 84, 84, 4], name="state_ph")
    maps = raw.Cast(x=seen, DstT=tf.float32, name="Cast")
    maps = raw.RealDiv(x=maps, y=tf.constant(255.0, name=f"{division}/y"), name=division)
    for i, scope in enumerate(("Conv", "Conv_1", "Conv_2")):
        maps = b.convolution(maps, i, scope)
    return b.dense(b.flattened(maps), "fully_connected", b.units, relu=True), seen


def _dopamine_layers() -> dict[str, str]:
    layers = {f"conv{i + 1}": f"Online/Conv{s}/Relu" for i, s in enumerate(("", "_1", "_2"))}
    return layers | {"fc": "Online/fully_connected/Relu"}


def _leftovers(b: Builder, values: Any, seen: Any) -> list[str]:
    """What training leaves in a graph: another network, a loss, gradients, a choice, a saver."""
    weights = list(v1.trainable_variables())
    with v1.variable_scope("Target"):
        maps = raw.Cast(x=seen, DstT=tf.float32, name="Cast")
        for i, scope in enumerate(("Conv", "Conv_1", "Conv_2")):
            maps = b.convolution(maps, i, scope)
        hidden = b.dense(b.flattened(maps), "fully_connected", b.units, relu=True)
        target = b.dense(hidden, "fully_connected_1", b.actions)
    rewards = v1.placeholder(tf.float32, [None], name="rewards")
    choice = tf.argmax(values, 1, name="ArgMax")
    loss = tf.reduce_mean(tf.square(rewards + tf.reduce_max(target, 1) - values[:, 0]), name="loss")
    gradients = tf.gradients(loss, weights)
    saver = v1.train.Saver(weights)
    v1.summary.scalar("loss_summary", loss)
    named = [g.op.name for g in gradients]
    return [choice.op.name, *named, saver.saver_def.save_tensor_name.removesuffix(":0")]


def impala(
    widths: Widths = WIDTHS,
    units: int = 512,
    actions: int = 6,
    seed: int = 0,
    padding: str = "SAME",
    baked: bool = True,
    rewards: bool = False,
) -> Frozen:
    """IMPALA: Sonnet's names, time and batch before the screen's axes, merged and split again.

    baked: time and batch are 1 in the graph's constants; else they are read from the input.
    rewards: the policy reads the last reward too.
    """
    b = Builder(widths, units, actions, seed)
    size: Any = 1 if baked else None
    top = "agent_1/agent/unroll"
    tower = f"{top}/batch_apply/convnet"
    with b.graph.as_default():
        seen = v1.placeholder(tf.uint8, [size, size, 84, 84, 4], name="frame")
        with v1.name_scope(f"{top}/batch_apply/"):
            maps = raw.Cast(x=_merged(seen), DstT=tf.float32, name="ToFloat")
            maps = raw.RealDiv(x=maps, y=255.0, name="truediv")
            for i, scope in enumerate(("conv_2d", "conv_2d_1", "conv_2d_2")):
                maps = _sonnet_convolution(b, maps, i, f"{tower}/{scope}", padding)
                # a name that ends in "/" is taken as it is, outside the scope that stands
                maps = raw.Relu(features=maps, name=f"{tower}/Relu" + (f"_{i}/" if i else "/"))
            flat = b.flattened(maps, f"{top}/batch_apply/batch_flatten/")
            made = _sonnet_linear(b, flat, units, "batch_apply/linear", top)
            made = raw.Relu(features=made, name="Relu")
            made = _split(made, seen)
        if rewards:
            reward = v1.placeholder(tf.float32, [size, size, 1], name="reward")
            made = tf.concat([made, reward], -1, name="joined")
        with v1.name_scope(f"{top}/batch_apply_1/"):
            merged = _merged(made)
            _sonnet_linear(b, merged, actions, "batch_apply_1/policy_logits", top)
            _sonnet_linear(b, merged, 1, "batch_apply_1/baseline", top)
    layers = {f"conv{i + 1}": f"{tower}/Relu{s}" for i, s in enumerate(("", "_1", "_2"))}
    layers |= {"fc": f"{top}/batch_apply/Relu"}
    layers |= {"value": f"{top}/batch_apply_1/baseline/add"}
    layers |= {"output": f"{top}/batch_apply_1/policy_logits/add"}
    ends = [layers["output"], layers["value"]]
    return Frozen(b.frozen(ends), "frame", layers, white=255, axes=5, static=baked)


def _sonnet_convolution(b: Builder, maps: Any, index: int, scope: str, padding: str) -> Any:
    (size, stride), width = GEOMETRY[index], b.widths[index]
    inputs = int(maps.shape[-1])
    with v1.variable_scope(scope.replace("agent_1/agent/unroll", "agent")):
        kernel = b.variable("w", (size, size, inputs, width), size * size * inputs)
        bias = b.variable("b", (width,))
    with v1.name_scope(f"{scope}/"):
        steps = [1, stride, stride, 1]
        maps = raw.Conv2D(
            input=maps, filter=kernel, strides=steps, padding=padding, name="convolution"
        )
        return raw.BiasAdd(value=maps, bias=bias, name="BiasAdd")


def _sonnet_linear(b: Builder, value: Any, units: int, scope: str, top: str) -> Any:
    inputs = int(value.shape[-1])
    with v1.variable_scope(f"agent/{scope}"):
        weight, bias = b.variable("w", (inputs, units), inputs), b.variable("b", (units,))
    with v1.name_scope(f"{top}/{scope}/"):
        made = raw.MatMul(a=value, b=weight, name="MatMul")
        return raw.Add(x=made, y=bias, name="add")


def _merged(value: Any) -> Any:
    """snt.BatchApply: time and batch in one axis."""
    return tf.reshape(value, [1 if value.shape[0] == 1 else -1, *value.shape[2:]])


def _split(value: Any, like: Any) -> Any:
    """snt.BatchApply: time and batch apart again."""
    if like.shape[0] == 1:
        return tf.reshape(value, [1, 1, int(value.shape[-1])])
    made = tf.reshape(value, tf.concat([v1.shape(like)[:2], [int(value.shape[-1])]], 0))
    made.set_shape([None, None, int(value.shape[-1])])
    return made


def baselines_a2c(
    widths: Widths = WIDTHS,
    units: int = 512,
    actions: int = 6,
    seed: int = 0,
) -> Frozen:
    """OpenAI baselines' A2C: bytes divided inside, VALID, no names that are known, used twice."""
    b = Builder(widths, units, actions, seed)
    with b.graph.as_default():
        outputs = []
        for use in ("model", "model_1"):
            seen = v1.placeholder(tf.uint8, [None, 84, 84, 4], name="Ob")
            with v1.variable_scope("model", reuse=use != "model"), v1.name_scope(f"{use}/"):
                outputs += _baselines_model(b, seen)
    layers = {f"conv{i + 1}": f"model/Relu{s}" for i, s in enumerate(("", "_1", "_2"))}
    layers |= {"fc": "model/Relu_3", "output": outputs[0], "value": outputs[1]}
    return Frozen(b.frozen(outputs), "Ob", layers, white=255)


def _baselines_model(b: Builder, seen: Any) -> list[str]:
    maps = raw.Cast(x=seen, DstT=tf.float32) / 255.0
    for i, scope in enumerate(("c1", "c2", "c3")):
        names = ("w", "b")
        maps = b.convolution(maps, i, scope, names, padding="VALID", relu="")
        maps = raw.Relu(features=maps, name="Relu" + (f"_{i}" if i else ""))
    flat = b.flattened(maps, "flatten")
    hidden = raw.Relu(features=b.dense(flat, "fc1", b.units, ("w", "b")), name="Relu_3")
    policy = b.dense(hidden, "pi", b.actions, ("w", "b"))
    value = b.dense(hidden, "vf", 1, ("w", "b"))
    tf.argmax(policy, -1)
    return [policy.op.name, value[:, 0].op.name]
