"""Keras models, written by Keras itself; and files of Keras 1 and of Theano, by h5py.

Imported with TensorFlow as Keras's backend, the tests' oracle.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from torch import Tensor

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
import keras
from keras import layers

Widths = tuple[int, int, int]


def keras_network(
    widths: Widths = (32, 64, 64),
    units: int = 512,
    actions: int = 6,
    scaled: bool = False,
    critic: bool = False,
    padding: str = "valid",
    nested: bool = False,
) -> Any:
    """The network of Mnih et al. with random weights and biases, channels last.

    nested: its convolutions are a model within the model.
    """
    keras.utils.set_random_seed(0)
    seen = keras.Input((84, 84, 4), name="screens")
    x = layers.Rescaling(1 / 255)(seen) if scaled else seen
    convolutions = [
        layers.Conv2D(width, kernel, stride, padding, activation="relu")
        for width, kernel, stride in zip(widths, (8, 4, 3), (4, 2, 1), strict=True)
    ]
    for layer in [keras.Sequential(convolutions)] if nested else convolutions:
        x = layer(x)
    x = layers.Dense(units, activation="relu", name="hidden")(layers.Flatten()(x))
    outputs = [layers.Dense(actions, name="actor")(x)]
    if critic:
        outputs.append(layers.Dense(1, name="critic")(x))
    return lively(keras.Model(seen, outputs if critic else outputs[0]))


def lively(model: Any) -> Any:
    """With biases that show when they are lost."""
    random = np.random.default_rng(1)
    weights = model.get_weights()
    model.set_weights([w if w.ndim > 1 else random.uniform(0.1, 0.5, w.shape) for w in weights])
    return model


def keras_outputs(model: Any, seen: Tensor) -> list[np.ndarray]:
    """Keras's own, of observations (batch, frames, height, width), as they are."""
    found = model(np.moveaxis(seen.numpy().astype(np.float32), 1, -1))
    return [np.asarray(part) for part in (found if isinstance(found, list | tuple) else [found])]


def save_layers(
    path: Path, arrays: dict[str, list[np.ndarray]], config: str = "", **told: str
) -> Path:
    """As Keras 1 and 2 wrote them. told: attributes such as backend and keras_version."""
    with h5py.File(path, "w") as file:
        if config:
            file.attrs["model_config"] = np.bytes_(config)
        group = file.create_group("model_weights") if config else file
        group.attrs["layer_names"] = np.array([name.encode() for name in arrays])
        for key, value in told.items():
            group.attrs[key] = np.bytes_(value)
        for name, parts in arrays.items():
            names = [f"{name}/{part}:0" for part in ("kernel", "bias")[: len(parts)]]
            own = group.create_group(name)
            own.attrs["weight_names"] = np.array([text.encode() for text in names])
            for text, array in zip(names, parts, strict=True):
                own[text] = array
    return path


def save_keras(path: Path, **sizes: Any) -> Path:
    keras_network(**sizes).save(path)
    return path


def save_keras_weights(path: Path, **sizes: Any) -> Path:
    keras_network(**sizes).save_weights(path)
    return path
