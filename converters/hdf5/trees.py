"""An HDF5 file as a tree of groups and arrays."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.hdf5.arrays_in_files import data_set, is_data_set
from atari_zoo.converters.hdf5.attributes import object_attributes
from atari_zoo.converters.hdf5.links import group_members
from atari_zoo.converters.hdf5.objects import SIGNATURE, Hdf5File

LARGEST = 1 << 29  # bytes of a file: a policy's has its optimizer's, too
CONTENTS = 1 << 28  # bytes of the arrays and texts that are asked for
DEPTH = 20  # of groups in groups


class Hdf5Node:
    """A group, or an array. path: where it is in the file, as in "/model_weights/dense"."""

    def __init__(self, file: Hdf5File, address: int, path: str = "") -> None:
        self._file, self.address, self.path = file, address, path

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """Texts, lists of texts, and arrays."""
        return object_attributes(self._file, self._messages)

    @cached_property
    def members(self) -> dict[str, Hdf5Node]:
        """A group's members by name, in the file's order; an array has none."""
        found = group_members(self._file, self._messages)
        return {
            name: Hdf5Node(self._file, place, f"{self.path}/{name}")
            for name, place in found.items()
        }

    @property
    def is_array(self) -> bool:
        return is_data_set(self._messages)

    def array(self) -> np.ndarray:
        """Its numbers; raises ConversionError, with its path, if there are none to be had."""
        try:
            return data_set(self._file, self._messages)
        except ConversionError as error:
            raise ConversionError(f"{self.path[-80:]!a} in the HDF5 file: {error}") from error

    def at(self, path: str) -> Hdf5Node | None:
        """What is at a path below it; None if nothing is."""
        node: Hdf5Node | None = self
        for part in path.strip("/").split("/"):
            node = node.members.get(part) if node is not None else None
        return node

    def arrays(self) -> Iterator[Hdf5Node]:
        """All arrays below it. Raises ConversionError if a group is in itself."""
        queue: list[tuple[int, Hdf5Node]] = [(0, self)]
        seen: set[int] = set()
        while queue:
            depth, node = queue.pop(0)
            if node.is_array:
                yield node
                continue
            if node.address in seen or depth > DEPTH:
                raise ConversionError("groups in the HDF5 file that are in themselves: refused")
            seen.add(node.address)
            queue += [(depth + 1, member) for member in node.members.values()]

    @cached_property
    def _messages(self) -> list[Any]:
        return self._file.messages(self.address)


def is_hdf5(start: bytes) -> bool:
    """Whether a file that starts so is one."""
    return start.startswith(SIGNATURE)


def hdf5_root(source: Path | bytes) -> Hdf5Node:
    """The root of a file, or of its bytes.

    Raises ConversionError if it is damaged, or far larger than a policy's.
    """
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    if size > LARGEST:
        raise ConversionError(f"an HDF5 file of {size} bytes; at most {LARGEST} were expected")
    data = source if isinstance(source, bytes) else source.read_bytes()
    file = Hdf5File(data, CONTENTS)
    return Hdf5Node(file, file.root)
