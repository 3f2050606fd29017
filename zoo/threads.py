"""Threads of torch, and how many cores there are to use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def cores() -> int:
    """Processor cores that this process may use, whatever OpenMP was told to take."""
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Torch computes with so many threads meanwhile, in the calling thread.

    With one it keeps to the calling thread. Where little is left to torch, as when onnxruntime
    computes, more would spin for a while after each call, on cores that others need.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
