"""Keras's HDF5 files, whole models (`model.save`) and weights (`save_weights`), and `.keras` zips.

A `.keras` file has config.json and model.weights.h5 (keras/src/saving/saving_lib.py).
A whole model's HDF5 has its configuration as an attribute; without one, order and shapes tell.
"""

from __future__ import annotations

from pathlib import Path

from atari_zoo.converters.archives.zips import Archive, is_zip
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.hdf5.trees import LARGEST, Hdf5Node, hdf5_root, is_hdf5
from atari_zoo.converters.keras.backends import told_backend
from atari_zoo.converters.keras.models import keras_model
from atari_zoo.converters.keras.plain_weights import state_dict_of
from atari_zoo.converters.keras.stored_weights import StoredLayers, has_keras_weights, stored_layers
from atari_zoo.converters.keras.translation import translated
from atari_zoo.converters.registry import Probe, Source, reader
from atari_zoo.converters.weights.state_dicts import source_of

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
CONFIGURATION = 1 << 24  # bytes
BACKEND_ASSUMED = (
    "kernels as TensorFlow has them: the file does not tell what Keras ran on (--keras-backend "
    "theano if it was Theano)"
)

LAST_ASSUMED = (
    "channels last where it flattens: weights of Theano's do not tell; save the whole model"
)


def _is_keras_hdf5(probe: Probe) -> bool:
    if not is_hdf5(probe.start):
        return False
    try:
        return has_keras_weights(hdf5_root(probe.path))
    except ConversionError:  # damaged, or another's: the reader of the rest says how
        return False


@reader(
    "keras-hdf5",
    "Keras HDF5",
    "models saved whole by Keras 1 to 3, layer by layer; weights alone, by order and shape; of "
    "TensorFlow and of Theano",
    _is_keras_hdf5,
)
def read_keras_hdf5(path: Path) -> Source:
    """A `.h5` or `.hdf5` file; nothing in it is run."""
    root = hdf5_root(path)
    stored = stored_layers(root, told_backend())
    config = root.attributes.get("model_config")
    return _source(config if isinstance(config, str) else None, stored)


@reader(
    "keras",
    "Keras model (.keras)",
    "models of Keras 3, layer by layer",
    lambda probe: is_zip(probe.start) and {CONFIG, WEIGHTS} <= probe.names,
)
def read_keras(path: Path) -> Source:
    """A `.keras` file; nothing in it is run."""
    with Archive(path) as archive:
        config = archive.read(CONFIG, CONFIGURATION)
        root: Hdf5Node = hdf5_root(archive.read(WEIGHTS, LARGEST))
    return _source(config, stored_layers(root))


def _source(config: str | bytes | None, stored: StoredLayers) -> Source:
    written_by = f"Keras {stored.version}".strip()[:40]
    if config is None:
        source = source_of(state_dict_of(stored))
        source.flatten = ""
        if stored.flipped and not stored.old:
            source.assumptions.append(LAST_ASSUMED)
    else:
        source = Source(translated(keras_model(config), stored))
    source.written_by = written_by
    if stored.flipped:
        source.notes.append("kernels turned over: Theano's convolutions turn them when they run")
    if stored.old and not stored.flipped and not told_backend():
        source.assumptions.append(BACKEND_ASSUMED)
    return source
