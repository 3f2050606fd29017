"""Gradients for silent units: Lucid's redirected ReLU (https://github.com/tensorflow/lucid).

Where a ReLU lets nothing of a sample's gradient through, all its values are negative, and an
image would never move. There alone the gradient passes as if the ReLU were not, except where it
would push a negative value further down.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

STEPS = 16  # Lucid rescues in the first 16 steps only


@contextmanager
def redirected(networks: Iterable[nn.Module]) -> Iterator[None]:
    """While it is open, gradients that ascend pass the networks' silent ReLUs, sample by sample."""
    relus = {m for network in networks for m in network.modules() if isinstance(m, nn.ReLU)}
    hooks = [relu.register_forward_hook(_redirect) for relu in relus]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


class RedirectedReLU(torch.autograd.Function):
    """A ReLU whose gradient, of what is descended, is redirected where all of it would be lost."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return values.relu()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        (values,) = ctx.saved_tensors
        ordinary = gradient.masked_fill(values <= 0, 0)
        # descending a positive gradient would push a negative value further down
        rescued = gradient.masked_fill((values <= 0) & (gradient > 0), 0)
        lost = ordinary.flatten(1).abs().sum(dim=1) == 0
        return torch.where(lost.reshape(-1, *[1] * (values.ndim - 1)), rescued, ordinary)


def _redirect(module: nn.Module, inputs: tuple[Tensor, ...], result: Tensor) -> Tensor:
    return RedirectedReLU.apply(inputs[0])
