"""Memory that processes share: what the workers of a pool of emulators read and write.

The file behind it has no name, so that nothing is left of it however the processes end.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Sequence

import numpy as np


def memory_layout(
    count: int, height: int, width: int, frames: str, shape: Sequence[int] = (84, 84)
) -> np.dtype:
    """The arrays of `count` emulators with screens of this size, as fields of one record.

    frames: the type of the rendered ones, such as "uint8". shape: of one of them.
    """
    return np.dtype(
        [
            ("screens", np.uint8, (count, 2, height, width)),
            ("frames", frames, (count, *shape)),
            ("ram", np.uint8, (count, 128)),
            ("actions", np.int32, (count,)),
            ("seeds", np.int64, (count,)),
            ("rewards", np.float32, (count,)),
            ("lives", np.int32, (count,)),
            ("terminated", np.bool_, (count,)),
            ("truncated", np.bool_, (count,)),
            ("life_ended", np.bool_, (count,)),
            ("colours", np.uint8, (256, 3)),
            ("greys", np.uint8, (256,)),
        ],
        align=True,
    )


def native_layout(count: int, size: Sequence[int]) -> np.dtype:
    """The arrays of `count` emulators that render grey frames of this height and width."""
    return np.dtype(
        [
            ("frames", np.uint8, (count, *size)),
            ("actions", np.int32, (count,)),
            ("seeds", np.int64, (count,)),
            ("rewards", np.float32, (count,)),
            ("lives", np.int32, (count,)),
            ("terminated", np.bool_, (count,)),
            ("truncated", np.bool_, (count,)),
        ],
        align=True,
    )


def memory_file(size: int) -> int:
    """A file of so many zeros that no folder lists; returns its descriptor, to be closed."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("atari-zoo")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.truncate(descriptor, size)
    return descriptor


def shared_arrays(descriptor: int, dtype: np.dtype) -> dict[str, np.ndarray]:
    """The fields of a layout in a file's memory, by name; they outlive the descriptor."""
    memory = mmap.mmap(descriptor, dtype.itemsize)
    record = np.frombuffer(memory, dtype)[0]
    return {name: record[name] for name in dtype.names or ()}
