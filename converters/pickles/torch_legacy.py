"""Files of `torch.save` from before torch 1.6: pickles in a row, then the storages' bytes.

Magic number, protocol and byte order; the object; the storages' keys; then for each key its count
as int64, and its numbers (torch/serialization.py, `_legacy_save`).
"""

from __future__ import annotations

import os
from io import BufferedIOBase
from typing import Any

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.pickles.torch_pickles import Storage, TorchFile, persistent, read_pickle

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
PICKLED_MAGIC = b"\x8a\x0a" + MAGIC.to_bytes(10, "little")  # LONG1, ten bytes


def is_legacy(start: bytes) -> bool:
    """Whether a file that starts so is of the old kind."""
    return start[:1] == b"\x80" and PICKLED_MAGIC in start[:32]


def read_legacy(file: BufferedIOBase) -> TorchFile:
    """What the file holds; its storages are read when they are asked for.

    Raises ConversionError if it is damaged, or would run code.
    """
    storages: dict[str, Storage] = {}

    def resolve(pid: Any) -> Any:
        found = persistent(pid)
        if isinstance(found, Storage) and storages.setdefault(found.key, found) != found:
            raise ConversionError(f"two storages called {found.key[:40]!a}")
        return found

    file.seek(0)
    magic, protocol, system = (read_pickle(file) for _ in range(3))
    numbers = type(magic) is int and type(protocol) is int
    if not numbers or (magic, protocol) != (MAGIC, PROTOCOL):
        raise ConversionError("not a torch file: its first numbers are others")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ConversionError("it was written in another byte order; save it again on this machine")
    content = read_pickle(file, resolve)
    places = _places(file, read_pickle(file), storages)

    def bytes_of(storage: Storage) -> bytes:
        if storage.key not in places:
            raise ConversionError(f"the file lacks storage {storage.key[:40]!a}")
        file.seek(places[storage.key])
        return file.read(storage.size)

    return TorchFile(content, bytes_of)


def _places(file: BufferedIOBase, keys: Any, storages: dict[str, Storage]) -> dict[str, int]:
    """Where in the file each storage's numbers begin."""
    if not isinstance(keys, list) or len(keys) > len(storages):
        raise ConversionError("its list of storages is damaged")
    position, end = file.tell(), file.seek(0, os.SEEK_END)
    places: dict[str, int] = {}
    for key in keys:
        storage = storages.get(key) if isinstance(key, str) else None
        file.seek(position)
        count = int.from_bytes(file.read(8), "little")
        if storage is None or storage.dtype is None or count != storage.count:
            raise ConversionError("its list of storages is damaged, or the file cut short")
        places[storage.key] = position + 8
        position += 8 + storage.size
        if position > end:
            raise ConversionError("the file is cut short")
    return places
