"""Plain torch weights: state dicts in .safetensors, .pt and .pth files, and whole modules.

Since version 1.6 a file of `torch.save` is a zip archive: `<name>/data.pkl` is a pickle,
`<name>/data/<key>` the bytes of a storage, in the byte order that `<name>/byteorder` tells
(torch/serialization.py, `_save`). Before, it was pickles in a row (`torch_legacy`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path

from torch import Tensor

from atari_zoo.converters.archives.zips import Archive, first_member, is_zip
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.pickles.torch_contents import state_dict_in
from atari_zoo.converters.pickles.torch_legacy import is_legacy, read_legacy
from atari_zoo.converters.pickles.torch_pickles import (
    LARGEST,
    TENSORS,
    Storage,
    TorchFile,
    read_pickle,
)
from atari_zoo.converters.registry import Probe, Source, reader
from atari_zoo.converters.weights.metadata import described
from atari_zoo.converters.weights.state_dicts import (
    network_from_state_dict as network_from_state_dict,
)
from atari_zoo.converters.weights.state_dicts import source_of

PICKLE = 1 << 26  # bytes of the pickle beside the tensors
HEADER = 1 << 22  # bytes of the names and shapes in a safetensors file


def _is_safetensors(probe: Probe) -> bool:
    start = probe.start
    return len(start) > 8 and int.from_bytes(start[:8], "little") < 1 << 26 and start[8:9] == b"{"


@reader(
    "safetensors",
    "safetensors state dict",
    "state dicts by name, or by order and shape",
    _is_safetensors,
)
def read_safetensors(path: Path) -> Source:
    """A `.safetensors` file of a policy's weights; the zoo's own have a card."""
    weights, metadata = safetensors_in(path)
    facts, card = described(metadata)
    source = source_of(weights, facts)
    source.card |= card
    return source


def safetensors_in(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a `.safetensors` file, and its metadata.

    Raises ConversionError if it is damaged, or has far more than a policy.
    """
    from safetensors import safe_open

    with path.open("rb") as start:
        if int.from_bytes(start.read(8), "little") > HEADER:
            raise ConversionError(f"a safetensors file with a header of more than {HEADER} bytes")
    try:
        with safe_open(path, "pt") as file:
            metadata, names = file.metadata() or {}, list(file.keys())
            weights = {name: file.get_tensor(name) for name in names[:TENSORS]}
    except Exception as error:  # its own errors, and torch's on types that it lacks
        raise ConversionError(f"{path}: not a whole safetensors file") from error
    if len(names) > TENSORS:
        raise ConversionError(f"{len(names)} tensors; at most {TENSORS} were expected")
    return weights, metadata


def holds_torch(probe: Probe) -> bool:
    """Whether a file is one of `torch.save`, by its start or by the names in it."""
    if is_legacy(probe.start):
        return True
    if not is_zip(probe.start):
        return False
    names = probe.names or {first_member(probe.start)}  # no names: damaged
    return any(name.endswith("/data.pkl") for name in names) or names == {""}


def pickle_mentions(probe: Probe, word: bytes) -> bool:
    """Whether the pickle in a file of `torch.save` has a word in it; not if it is damaged."""
    if not (is_zip(probe.start) and holds_torch(probe)):
        return False
    try:
        with Archive(probe.path) as archive:
            pickles = [name for name in archive.names if name.endswith("/data.pkl")]
            return any(word in archive.read(name, PICKLE) for name in pickles[:1])
    except ConversionError:  # the reader of all torch files says how
        return False


@reader(
    "torch",
    "torch file",
    "state dicts by name, or by order and shape; modules saved whole, without running them",
    # CleanRL's models are torch files too, of which more is known
    lambda probe: holds_torch(probe) and probe.path.suffix.lower() != ".cleanrl_model",
)
def read_torch(path: Path) -> Source:
    """A `.pt` or `.pth` file: nothing in it is run."""
    with opened_torch(path) as file:
        return source_of(weights_in(file))


@contextmanager
def opened_torch(path: Path) -> Iterator[TorchFile]:
    """What a file of `torch.save` holds, while it is open.

    Raises ConversionError if it is damaged, or would run code.
    """
    with path.open("rb") as file:
        yield torch_file(file)


def torch_file(file: BufferedIOBase) -> TorchFile:
    """What a file of `torch.save` holds; its storages are read from `file` when asked for.

    Raises ConversionError as `opened_torch` does.
    """
    start = file.read(32)
    file.seek(0)
    return read_legacy(file) if is_legacy(start) else _read_zip(file)


def weights_in(file: TorchFile) -> dict[str, Tensor]:
    """The one state dict, or whole module, in it; raises ConversionError if there is no one."""
    return file.tensors(state_dict_in(file.content))


def _read_zip(file: BufferedIOBase) -> TorchFile:
    try:
        archive = Archive(file)
    except ConversionError as error:
        raise ConversionError(f"not a torch file, or cut short: {error}") from error
    pickles = [name for name in archive.names if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ConversionError("not a torch file: one 'data.pkl' was expected in the archive")
    folder = pickles[0].removesuffix("data.pkl")
    if any(name.startswith(f"{folder}code/") for name in archive.names):
        raise ConversionError("a TorchScript program: save its state_dict() instead")
    order = f"{folder}byteorder"
    if order in archive.names and archive.read(order, 16) != b"little":
        raise ConversionError("it was written in another byte order; save it again on this machine")
    content = read_pickle(io.BytesIO(archive.read(pickles[0], PICKLE)))

    def bytes_of(storage: Storage) -> bytes:
        return archive.read(f"{folder}data/{storage.key}", LARGEST)

    return TorchFile(content, bytes_of)
