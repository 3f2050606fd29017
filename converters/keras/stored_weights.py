"""Weights as Keras stores them in HDF5: by layer, each layer's in order.

Keras 1 and 2 (saving/hdf5_format.py): attributes `layer_names` and `weight_names` list them.
Keras 3 (saving/saving_lib.py): `layers/<class, numbered>/vars/0`, the layer's own name beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.hdf5.trees import Hdf5Node
from atari_zoo.converters.keras.models import KerasLayer

INSIDE = "model_weights"  # of a whole model, its weights
VARIABLES = "vars"  # of Keras 3: a layer's arrays, numbered
OPTIMIZER = "optimizer"
THEANO = "theano"


@dataclass(frozen=True)
class StoredLayers:
    """The arrays of layers by their names, in the file's order.

    flipped: convolutions' kernels are Theano's, which turns them over.
    old: they are ordered as Keras 1 had them. version: of the Keras that wrote them.
    numbered: the names are not the layers' own, but their classes, numbered.
    places: the arrays by their layers' places, in files of Keras 3. paths: of each array of a
        layer, or of a model within the model, in older files: the names in the file's own.
    """

    arrays: dict[str, list[np.ndarray]]
    flipped: bool = False
    old: bool = False
    version: str = ""
    numbered: bool = False
    places: dict[str, list[np.ndarray]] = field(default_factory=dict)
    paths: dict[str, list[tuple[tuple[str, ...], np.ndarray]]] = field(default_factory=dict)


def has_keras_weights(root: Hdf5Node) -> bool:
    """Whether a file is one of Keras's."""
    if {"layer_names", "layer_names0"} & (root.attributes.keys() | _inside(root).attributes.keys()):
        return True
    return any(f"/{VARIABLES}/" in node.path for node in root.arrays())


def stored_layers(root: Hdf5Node, backend: str = "") -> StoredLayers:
    """What a file holds.

    backend: somebody's word on what Keras ran on; what the file says counts before it.
    Raises ConversionError if it is damaged.
    """
    base = _inside(root)
    if not {"layer_names", "layer_names0"} & base.attributes.keys():
        return _newest(base)
    told = {**root.attributes, **base.attributes}
    backend = _word(told.get("backend")) or backend
    version = _word(told.get("keras_version"))
    names = _texts(base, "layer_names")
    paths = {}
    for name in names:
        group = base.members.get(name)
        if group is None:
            raise ConversionError(f"layer {name[:60]!a} is missing in the file")
        weights = _texts(group, "weight_names")
        paths[name] = [(tuple(path.split("/")), _array(group, path)) for path in weights]
    old = version.startswith("1") or not version
    found = {name: [array for _, array in rows] for name, rows in paths.items()}
    return StoredLayers(found, backend == THEANO, old, version, paths=paths)


def arrays_of(layer: KerasLayer, stored: StoredLayers) -> list[np.ndarray]:
    """One layer's, by its name, or by its place in the file.

    Raises ConversionError where they could be another's.
    """
    nested = len(layer.path) > 1
    if stored.numbered or (nested and stored.places):
        return stored.places.get(layer.place, [])
    if not nested:
        return stored.arrays.get(layer.name, [])
    # before Keras 3 a model within the model is one group, its arrays named after their layers
    rows = stored.paths.get(layer.path[0], [])
    whole = (layer.path[1:], layer.path)
    alike = [[path[:-1] in whole for path, _ in rows]]
    for length in range(1, len(layer.path)):
        alike.append([path[:-1][-length:] == layer.path[-length:] for path, _ in rows])
    for which in alike if rows else ():
        found = {
            path[-1]: array for (path, array), is_its in zip(rows, which, strict=True) if is_its
        }
        if found and len(found) == sum(which):
            return list(found.values())
    if not any(map(any, alike)):
        return []
    raise ConversionError("two layers of this name in one model within the model")


def _inside(root: Hdf5Node) -> Hdf5Node:
    return root.members.get(INSIDE, root)


def _newest(root: Hdf5Node) -> StoredLayers:
    """Each group of variables by its layer's own name, where all tell one and no two the same; and
    by its place."""
    found: dict[str, list[Hdf5Node]] = {}
    for node in root.arrays():
        layer, _, number = node.path.rpartition(f"/{VARIABLES}/")
        if number.isdigit() and not layer.startswith(f"/{OPTIMIZER}"):
            found.setdefault(layer, []).append(node)
    own: list[str] = []
    places: dict[str, list[np.ndarray]] = {}
    for layer in sorted(found, key=_natural):
        group = root.at(f"{layer}/{VARIABLES}")
        own.append(_word(group.attributes.get("name")) if group is not None else "")
        nodes = sorted(found[layer], key=lambda node: _natural(node.path))
        places[layer] = [node.array() for node in nodes]
    numbered = not all(own)
    pairs = list(zip(places, own, strict=True))
    ends = [layer.rpartition("/")[2] if numbered else name for layer, name in pairs]
    # of models within the model: two layers may have one name
    names = [
        end if ends.count(end) == 1 else layer for end, layer in zip(ends, places, strict=True)
    ]
    arrays = dict(zip(names, places.values(), strict=True))
    # a path is `layers/functional/layers/conv2d`
    inside = {"/".join(layer.strip("/").split("/")[1::2]): found for layer, found in places.items()}
    return StoredLayers(arrays, version="3", numbered=numbered, places=inside)


def _texts(node: Hdf5Node, name: str) -> list[str]:
    """A list of texts; one too long for an attribute is in several, numbered."""
    found = node.attributes.get(name)
    if found is None:
        parts: Sequence[str] = [key for key in node.attributes if re.fullmatch(rf"{name}\d+", key)]
        found = [text for key in sorted(parts, key=_natural) for text in node.attributes[key]]
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []


def _array(group: Hdf5Node, path: str) -> np.ndarray:
    node = group.at(path)
    if node is None:
        raise ConversionError(f"weights {path[-60:]!a} are missing in the file")
    return node.array()


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]
