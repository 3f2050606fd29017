"""A network's forward pass as CUDA graphs: its many small kernels are launched as one.

As in https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs: a warm-up on another
stream, then the capture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

WARM_UP = 3  # passes, as in PyTorch's own example


class _Captured(NamedTuple):
    graph: torch.cuda.CUDAGraph
    seen: Tensor
    outputs: Tensor
    values: dict[str, Tensor]


class GraphedForward:
    """Does `forward` again for every batch, captured once for each shape and type of batches.

    forward: of observations on a CUDA device; never waits for it.
    values: what hooks leave of each pass, by layer.

    What it returns is overwritten by its next call: use it, or copy it, before that.
    """

    def __init__(self, forward: Callable[[Tensor], Tensor], values: Mapping[str, Tensor]) -> None:
        self._forward, self._values = forward, values
        self._captured: dict[tuple[torch.Size, torch.dtype], _Captured] = {}

    def __call__(self, observations: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The outputs, and the layers' values."""
        kind = observations.shape, observations.dtype
        if kind not in self._captured:
            self._captured[kind] = self._capture(observations)
        captured = self._captured[kind]
        captured.seen.copy_(observations)
        captured.graph.replay()
        return captured.outputs, captured.values

    def _capture(self, observations: Tensor) -> _Captured:
        seen = observations.clone()
        warm_up(lambda: self._forward(seen))
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = self._forward(seen)
        return _Captured(graph, seen, outputs, dict(self._values))


def warm_up(step: Callable[[], object]) -> None:
    """Does a step some times on a stream of its own, as must be before it is captured."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            step()
    torch.cuda.current_stream().wait_stream(stream)
