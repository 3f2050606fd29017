"""Pickles of `torch.save`, read without running them: tensors are records until asked for.

A tensor is `torch._utils._rebuild_tensor_v2(storage, offset, shape, strides, ...)`, its storage a
persistent id ("storage", type, key, device, count); so torch/_utils.py and torch/serialization.py
have it. The bytes of a storage stand elsewhere in the file. Modules stay opaque.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BufferedIOBase
from typing import Any

import torch
from torch import Tensor

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.pickles.opaque import OpaqueClass
from atari_zoo.converters.pickles.safe_pickle import NUMPY, load_pickle

TYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
# what else checkpoints hold stays opaque: layers, optimizers, settings, a space's random numbers
KEPT = (
    "numpy.random.",
    "pathlib.",
    "torch.autograd.variable.",
    "torch.distributions.",
    "torch.nn.",
    "torch.optim.",
)
KEPT_NAMES = ("torch.device", "torch.Size", "argparse.Namespace", "types.SimpleNamespace")
AXES = 8
LARGEST = 1 << 28  # bytes of all the tensors that are taken from one file
TENSORS = 2_000  # in a state dict
STORED = 50_000  # in a file


@dataclass(frozen=True)
class Storage:
    """A row of numbers somewhere in a file. dtype: None if it is none that weights have."""

    key: str
    dtype: torch.dtype | None
    count: int

    @property
    def size(self) -> int:
        """In bytes."""
        return 0 if self.dtype is None else self.count * self.dtype.itemsize


@dataclass(frozen=True)
class StoredTensor:
    """A view of a storage; offset and strides in numbers, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def of(self, row: Tensor) -> Tensor:
        """The tensor, a view of its storage's numbers."""
        if 0 in self.shape:
            return torch.zeros(self.shape, dtype=row.dtype)
        return row.as_strided(self.shape, self.strides, self.offset)


def read_pickle(file: BufferedIOBase, resolve: Callable[[Any], Any] | None = None) -> Any:
    """One of the file's pickles, its tensors as `StoredTensor`, its modules as `Opaque`.

    resolve: for persistent ids, in place of `persistent`.
    Raises ConversionError if it is damaged, or would run code.
    """
    left = iter(range(STORED))

    def counted(pid: Any) -> Any:
        if next(left, None) is None:
            raise ConversionError(
                f"more than {STORED} tensors: save the policy's state_dict() alone"
            )
        return (resolve or persistent)(pid)

    return load_pickle(file, _Allowed(), counted)


def persistent(pid: Any) -> Any:
    """The storage, or the module's class, that a persistent id means.

    Raises ConversionError if it is neither.
    """
    if isinstance(pid, tuple) and len(pid) == 4 and pid[0] == "module":
        return pid[1]  # the class's source stands beside it
    if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage":
        raise ConversionError("the pickle refers to something that torch does not store")
    _, kind, key, _, count, *view = pid
    if not isinstance(kind, OpaqueClass) or not isinstance(key, str) or view not in ([], [None]):
        raise ConversionError("a tensor's storage is damaged")
    if type(count) is not int or not 0 <= count < 1 << 40:
        raise ConversionError("a tensor's storage is damaged")
    return Storage(key, TYPES.get(kind.name.rpartition(".")[2]), count)


@dataclass(frozen=True)
class TorchFile:
    """What a file of `torch.save` holds.

    content: with `StoredTensor` for its tensors, and `Opaque` for its modules.
    bytes_of: reads a storage; it raises ConversionError if the file lacks it.
    """

    content: Any
    bytes_of: Callable[[Storage], bytes]

    def tensors(self, stored: Mapping[str, StoredTensor]) -> dict[str, Tensor]:
        """These tensors, as views of their storages, each of which is read once.

        Raises ConversionError if they are too large, or of a type that weights do not have.
        """
        storages = {t.storage: name for name, t in stored.items()}
        size = sum(storage.size for storage in storages)
        if size > LARGEST or len(stored) > TENSORS:
            raise ConversionError(
                f"its {len(stored)} tensors take {size} bytes; at most {TENSORS}, and {LARGEST} "
                "bytes, were expected"
            )
        untyped = [name for storage, name in storages.items() if storage.dtype is None]
        if untyped:
            raise ConversionError(f"{untyped[0][:80]!a} has a type that no weights have")
        rows = {storage: self._row(storage, name) for storage, name in storages.items()}
        return {name: tensor.of(rows[tensor.storage]) for name, tensor in stored.items()}

    def _row(self, storage: Storage, name: str) -> Tensor:
        content = self.bytes_of(storage)
        if len(content) != storage.size:
            raise ConversionError(f"{name[:80]!a} has {len(content)} bytes, not {storage.size}")
        assert storage.dtype is not None
        if not content:
            return torch.zeros(0, dtype=storage.dtype)
        return torch.frombuffer(bytearray(content), dtype=storage.dtype)


class _Allowed(Mapping[str, Callable[..., Any]]):
    """What a pickle of torch may call: all of it ours."""

    def __getitem__(self, name: str) -> Callable[..., Any]:
        if name in CALLED:
            return CALLED[name]
        top, _, last = name.rpartition(".")
        storage = last.endswith("Storage") and top in ("torch", "torch.cuda", "torch.storage")
        number = top == "torch" and isinstance(vars(torch).get(last), torch.dtype)
        if storage or number or name.startswith(KEPT) or name in KEPT_NAMES:
            return OpaqueClass(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(CALLED)

    def __len__(self) -> int:
        return len(CALLED)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> StoredTensor:
    if not isinstance(storage, Storage):
        raise ConversionError("a tensor without a storage")
    if not isinstance(shape, tuple) or not isinstance(strides, tuple):
        raise ConversionError("a tensor with a damaged shape")
    plain = all(type(n) is int and 0 <= n < 1 << 40 for n in (offset, *shape, *strides))
    if not plain or len(shape) != len(strides) or len(shape) > AXES:
        raise ConversionError("a tensor with a damaged shape")
    count = math.prod(shape)
    last = sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    # a view that repeats its storage could be of any size, and so could a size beside a zero
    if math.prod(n or 1 for n in shape) > 1 << 40:
        raise ConversionError("a tensor with a damaged shape")
    if count > storage.count or (count and offset + last >= storage.count):
        raise ConversionError(
            f"a tensor {shape} that its storage of {storage.count} numbers does not hold"
        )
    return StoredTensor(storage, offset, shape, strides)


def _parameter(content: Any, *_: Any) -> Any:
    return content


CALLED: dict[str, Callable[..., Any]] = NUMPY | {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
}
