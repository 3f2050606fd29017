"""Checkpoints as Dopamine's TensorFlow agents save them, made with TensorFlow's own Saver.

And the agents' networks in TensorFlow, from the same variables.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1

Variables = dict[str, np.ndarray]

# release -> what the convolution, the dense layer, and the parts of a layer are called
NAMES = {
    "slim": ("Conv", "fully_connected", "weights", "biases"),
    "keras": ("Conv", "fully_connected", "kernel", "bias"),
    "unnamed keras": ("conv2d", "dense", "kernel", "bias"),
}
ATOMS = 51
COSINES = 64


def network_variables(
    algorithm: str = "dqn",
    release: str = "slim",
    scope: str = "Online/",
    widths: Sequence[int] = (32, 64, 64),
    units: int = 512,
    actions: int = 6,
    same: bool = True,
    seed: int = 0,
) -> Variables:
    """One network's variables, in the order in which Dopamine makes them."""
    random = np.random.default_rng(seed)
    conv, dense, weights, biases = NAMES[release]
    flat, inputs = widths[2] * (121 if same else 49), (4, *widths)
    outputs = actions * ATOMS if algorithm in ("c51", "rainbow") else actions
    shapes = {
        _numbered(conv, i): (kernel, kernel, inputs[i], widths[i])
        for i, kernel in enumerate((8, 4, 3))
    }
    names = [_numbered(dense, i) for i in range(3)]
    if algorithm == "iqn":
        if release == "keras":  # there the embedding alone has no name
            names.insert(0, "dense")
        shapes[names.pop(0)] = (COSINES, flat)
    shapes |= {names[0]: (flat, units), names[1]: (units, outputs)}
    made: Variables = {}
    for name, shape in shapes.items():
        scale = np.prod(shape[:-1]) ** -0.5
        made[f"{scope}{name}/{weights}"] = random.normal(0, scale, shape).astype(np.float32)
        made[f"{scope}{name}/{biases}"] = random.normal(0, 0.3, shape[-1]).astype(np.float32)
    return made


def agent_variables(
    algorithm: str = "dqn", release: str = "slim", seed: int = 0, **sizes: Any
) -> Variables:
    """The variables of the network that acts, and of its target."""
    online = network_variables(algorithm, release, seed=seed, **sizes)
    return online | network_variables(
        algorithm, release, scope="Target/", seed=seed + 1000, **sizes
    )


def save(
    prefix: Path,
    variables: Mapping[str, np.ndarray],
    optimizer: str = "",
    step: int | None = None,
    sharded: bool = False,
) -> Path:
    """Saves variables as TensorFlow 1 does, and returns the prefix.

    optimizer: "rmsprop" or "adam", as Dopamine has them, leaving their slots for Online/.
    step: written behind a hyphen. sharded: a file for each of two devices.
    """
    with tf.Graph().as_default():
        made = [
            _variable(name, value, f"/cpu:{i % 2 if sharded else 0}")
            for i, (name, value) in enumerate(variables.items())
        ]
        optimize = _optimize(optimizer, [v for v in made if v.op.name.startswith("Online/")])
        saver = v1.train.Saver(max_to_keep=None, sharded=sharded)
        with v1.Session(config=v1.ConfigProto(device_count={"CPU": 2})) as session:
            session.run(v1.global_variables_initializer())
            session.run(optimize)
            return Path(saver.save(session, str(prefix), global_step=step))


def save_agent(
    prefix: Path, algorithm: str = "dqn", release: str = "slim", **sizes: Any
) -> Variables:
    """Saves an agent's checkpoint, with its target network and its optimizer's slots."""
    variables = agent_variables(algorithm, release, **sizes)
    save(prefix, variables, "rmsprop" if algorithm == "dqn" else "adam")
    return variables


def save_run(
    folder: Path,
    numbers: Sequence[int] = (195, 199),
    sentinels: Sequence[int] = (195, 199),
    **sizes: Any,
) -> dict[int, Variables]:
    """A run's `checkpoints` folder as Dopamine leaves it, each iteration's weights its own."""
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir(parents=True)
    saved = {}
    for number in numbers:
        saved[number] = agent_variables(**sizes, seed=number)
        save(checkpoints / "tf_ckpt", saved[number], step=number)
        with (checkpoints / f"ckpt.{number}").open("wb") as file:
            pickle.dump({"state": np.zeros((1, 84, 84, 4)), "training_steps": 1}, file)
    for number in sentinels:
        (checkpoints / f"sentinel_checkpoint_complete.{number}").write_text("done")
    return saved


def outputs(
    variables: Mapping[str, np.ndarray],
    algorithm: str,
    observations: np.ndarray,
    taus: np.ndarray,
    same: bool = True,
    scope: str = "Online/",
) -> np.ndarray:
    """Q-values by TensorFlow, of observations (batch, frames, height, width) in bytes.

    taus: the quantiles that IQN is asked for.
    """
    parts = [value for name, value in variables.items() if name.startswith(scope)]
    layers = list(zip(parts[::2], parts[1::2], strict=True))  # weights, biases
    x = tf.cast(observations.transpose(0, 2, 3, 1), tf.float32) / 255.0
    for (kernel, bias), stride in zip(layers[:3], (4, 2, 1), strict=True):
        x = tf.nn.relu(tf.nn.conv2d(x, kernel, stride, "SAME" if same else "VALID") + bias)
    x = tf.reshape(x, (len(observations), -1))
    (w, b), (v, c) = layers[-2:]
    if algorithm == "iqn":
        kernel, bias = layers[3]
        angles = np.pi * taus[:, None] * np.arange(1, COSINES + 1)
        embedded = tf.nn.relu(np.cos(angles).astype(np.float32) @ kernel + bias)
        hidden = tf.nn.relu((x[:, None] * embedded) @ w + b)
        return tf.reduce_mean(hidden @ v + c, axis=1).numpy()
    x = tf.nn.relu(x @ w + b) @ v + c
    if algorithm in ("c51", "rainbow"):
        chances = tf.nn.softmax(tf.reshape(x, (len(observations), -1, ATOMS)))
        x = tf.reduce_sum(tf.linspace(-10.0, 10.0, ATOMS) * chances, axis=2)
    return x.numpy()


def _numbered(name: str, number: int) -> str:
    return f"{name}_{number}" if number else name


def _variable(name: str, value: np.ndarray, device: str) -> tf.Variable:
    with tf.device(device):
        made = v1.get_variable(
            name, initializer=v1.placeholder_with_default(value, value.shape), use_resource=False
        )
    assert made.op.name == name
    return made


def _optimize(optimizer: str, variables: Sequence[tf.Variable]) -> tf.Operation:
    """One step at a rate of zero: it fills the slots and leaves the weights."""
    if not optimizer:
        return tf.no_op()
    rule = (
        v1.train.RMSPropOptimizer(0.0, decay=0.95, momentum=0.0, epsilon=1e-5, centered=True)
        if optimizer == "rmsprop"
        else v1.train.AdamOptimizer(0.0, epsilon=0.0003125)
    )
    return rule.minimize(tf.add_n([tf.nn.l2_loss(x) for x in variables]), var_list=variables)
