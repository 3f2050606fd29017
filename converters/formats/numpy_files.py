"""Weights in a NumPy archive (.npz), by the names of a state dict.

An .npz is a zip archive of .npy files: a header with type and shape, then the numbers
(numpy/lib/format.py). Objects, which would be pickles, are refused.
"""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from atari_zoo.converters.archives.npy import npy_header
from atari_zoo.converters.archives.zips import Archive, first_member, is_zip
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.registry import Probe, Source, reader
from atari_zoo.converters.weights.metadata import ACTIONS, CARD, HEAD, described
from atari_zoo.converters.weights.state_dicts import source_of

LARGEST = 1 << 28  # bytes of all the arrays
ARRAYS = 2_000
METADATA = (CARD, HEAD, ACTIONS)


def _is_npz(probe: Probe) -> bool:
    if not is_zip(probe.start):
        return False
    names = probe.names or {first_member(probe.start)}
    return all(name.endswith(".npy") for name in names)


@reader("numpy", "NumPy archive", "state dicts by name, or by order and shape", _is_npz)
def read_npz(path: Path) -> Source:
    """An `.npz` file of a policy's weights; the zoo's own have a card."""
    arrays = npz_arrays(path)
    metadata = {name: _text(name, arrays.pop(name)) for name in METADATA if name in arrays}
    layout, card = described(metadata)
    weights = {name: _tensor(name, array) for name, array in arrays.items()}
    source = source_of(weights, layout)
    source.card |= card
    return source


def npz_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by their names.

    Raises ConversionError if they are damaged, objects, or far more than a policy has.
    """
    arrays, left = {}, LARGEST
    with Archive(path) as archive:
        if len(archive.names) > ARRAYS:
            raise ConversionError(f"{len(archive.names)} arrays; at most {ARRAYS} were expected")
        for name in archive.names:
            content = archive.read(name, left)
            left -= len(content)
            arrays[name.removesuffix(".npy")] = _array(name, content)
    return arrays


def _array(name: str, content: bytes) -> np.ndarray:
    """A .npy file's array; raises ConversionError unless its shape accounts for its bytes."""
    file = io.BytesIO(content)
    try:
        shape, fortran, dtype = npy_header(file)
    except Exception as error:  # the header is a Python literal: it can be wrong in every way
        raise ConversionError(f"{name[:80]!a} is no NumPy array: damaged") from error
    if dtype.hasobject or dtype.kind not in "fiubU":
        raise ConversionError(f"{name[:80]!a} holds {dtype}: numbers were expected")
    sizes = [n for n in shape if type(n) is int and 0 <= n <= len(content)]
    if len(sizes) != len(shape) or math.prod(sizes) * dtype.itemsize != len(content) - file.tell():
        raise ConversionError(f"{name[:80]!a} {shape} of {dtype} is not what its bytes hold")
    flat = np.frombuffer(content, dtype, math.prod(sizes), file.tell())
    return flat.reshape(shape, order="F" if fortran else "C")


def _text(name: str, array: np.ndarray) -> str:
    if array.dtype.kind != "U" or array.ndim:
        raise ConversionError(f"'{name}' is no text: damaged")
    order = "be" if array.dtype.str.startswith(">") else "le"
    try:  # not str(array): NumPy does not check that these are characters
        return array.tobytes().decode(f"utf-32-{order}").rstrip("\0")
    except UnicodeDecodeError as error:
        raise ConversionError(f"'{name}' is no text: damaged") from error


def _tensor(name: str, array: np.ndarray) -> Tensor:
    if array.dtype.kind not in "fiub":
        raise ConversionError(f"{name[:80]!a} holds text: numbers were expected")
    native = array.astype(array.dtype.newbyteorder("="))
    return torch.from_numpy(np.ascontiguousarray(native))
