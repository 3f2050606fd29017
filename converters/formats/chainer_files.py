"""Chainer's links in HDF5 and NumPy archives (`serializers.save_hdf5`, `save_npz`).

A link's arrays stand under its path, such as `0/0/W` and `0/0/b` (chainer/serializers/hdf5.py,
npz.py): of a convolution W is (out, in, height, width), of a Linear (out, in), as in torch.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch

from atari_zoo.converters.archives.zips import is_zip
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.formats.numpy_files import npz_arrays
from atari_zoo.converters.hdf5.trees import hdf5_root, is_hdf5
from atari_zoo.converters.registry import Probe, Source, reader
from atari_zoo.converters.weights.state_dicts import source_of

WEIGHTS, BIASES = "W", "b"
MODEL = "model:main/"  # in the snapshot of a trainer
ARRAYS = 2_000


def _is_chainer_npz(probe: Probe) -> bool:
    return is_zip(probe.start) and any(name.endswith("/W.npy") for name in probe.names)


def _is_chainer_hdf5(probe: Probe) -> bool:
    if not is_hdf5(probe.start):
        return False
    try:
        return any(node.path.endswith("/W") for node in hdf5_root(probe.path).arrays())
    except ConversionError:
        return False


@reader(
    "chainer",
    "Chainer links (HDF5 or npz)",
    "ChainerRL's DQN, dueling DQN, Rainbow and A3C, by name, or by order and shape",
    lambda probe: _is_chainer_npz(probe) or _is_chainer_hdf5(probe),
)
def read_chainer(path: Path) -> Source:
    """What `save_hdf5` or `save_npz` wrote of a link; nothing in it is run."""
    with path.open("rb") as file:
        hdf5 = is_hdf5(file.read(8))
    arrays = _hdf5_arrays(path) if hdf5 else npz_arrays(path)
    inside = {name for name in arrays if MODEL in name}
    if inside:
        arrays = {name.partition(MODEL)[2]: arrays[name] for name in sorted(inside, key=_natural)}
    weights = {_torch_name(name): _tensor(name, array) for name, array in arrays.items()}
    source = source_of(weights)
    source.written_by = source.written_by or "Chainer"
    return source


def _hdf5_arrays(path: Path) -> dict[str, np.ndarray]:
    nodes = list(hdf5_root(path).arrays())
    if len(nodes) > ARRAYS:
        raise ConversionError(f"{len(nodes)} arrays; at most {ARRAYS} were expected")
    nodes.sort(key=lambda node: _natural(node.path))
    return {node.path.strip("/"): node.array() for node in nodes}


def _torch_name(path: str) -> str:
    *links, last = path.split("/")
    return ".".join([*links, {WEIGHTS: "weight", BIASES: "bias"}.get(last, last)])


def _tensor(name: str, array: np.ndarray) -> torch.Tensor:
    if array.dtype.kind not in "fiu":
        raise ConversionError(f"{name[:80]!a} holds {array.dtype}: numbers were expected")
    return torch.from_numpy(np.array(array, array.dtype.newbyteorder("="), order="C"))


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]
