"""Gradients where the caller has switched them off, as evaluation loops do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import torch

from atari_zoo.converters.network.foreign import ForeignNetwork, Network, observation_shape


@contextmanager
def gradients() -> Iterator[None]:
    """While it is open, and in a function that it decorates, torch takes gradients: also within
    `torch.no_grad()` and `torch.inference_mode()`."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def differentiable(network: Network) -> Network:
    """The network; a copy of one that was made in inference mode, whose weights take no part in
    gradients."""
    if any(weight.is_inference() for weight in network.parameters()):
        with gradients():
            return deepcopy(network)
    return network


@gradients()
def check_slopes(network: Network) -> None:
    """Raises ValueError if the outputs do not follow the pixels smoothly, as where these are made
    whole numbers first."""
    if not isinstance(network, ForeignNetwork):
        return
    weight, shape = next(network.parameters()), (network.batch or 1, *observation_shape(network))
    pixels = torch.full(shape, 0.5, dtype=weight.dtype, device=weight.device, requires_grad=True)
    outputs = network(pixels)
    if outputs.requires_grad:
        (slope,) = torch.autograd.grad(outputs.sum(), pixels, allow_unused=True)
        if slope is not None:
            return
    raise ValueError("this network makes its pixels whole numbers: its outputs have no gradient")
