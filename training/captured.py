"""A learning step as a CUDA graph: hundreds of small kernels are launched as one.

As in https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs: a warm-up on another
stream, then the capture. What both change is put back, so that nothing is learnt by them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from atari_zoo.play.cuda_graphs import warm_up


def captured(
    step: Callable[[], None], tensors: Iterable[Tensor], optimizer: torch.optim.Optimizer
) -> Callable[[], None]:
    """What does `step` again, on the device, whenever it is called.

    step: draws no random numbers, never waits for the device, and changes `tensors` and the
        optimizer's state, all in place, and nothing else.
    """
    changed = [(tensor, tensor.detach().clone()) for tensor in tensors]
    learnt = copy.deepcopy(optimizer.state_dict()["state"])
    warm_up(step)
    optimizer.zero_grad(set_to_none=True)  # the gradients shall lie in the graph's own memory
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    with torch.no_grad():
        for tensor, before in changed:
            tensor.copy_(before)
    put_back(optimizer, learnt)
    return graph.replay


def put_back(optimizer: torch.optim.Optimizer, before: dict[int, dict[str, Tensor]]) -> None:
    """Gives the optimizer's state its former values, in place; what was not there becomes 0.

    before: a copy of `optimizer.state_dict()["state"]`.
    """
    for index, state in optimizer.state_dict()["state"].items():
        for name, tensor in state.items():
            if index in before:
                tensor.copy_(before[index][name])
            else:
                tensor.zero_()
