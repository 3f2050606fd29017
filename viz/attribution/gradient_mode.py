"""Gradients where the caller has switched them off, as evaluation loops do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import torch

from atari_zoo.converters.network.foreign import Network


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
