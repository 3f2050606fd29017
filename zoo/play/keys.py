"""Keys of what is made of a network and kept: others where its weights or its card are others."""

from __future__ import annotations

import hashlib

import torch

from atari_zoo.converters.network.foreign import Network
from atari_zoo.wrapping import WrappedNetwork


def told_by_weights(network: Network) -> bool:
    """Not of somebody's own module, whose code may change, nor where hooks change what it does."""
    hooks = (m._forward_hooks or m._forward_pre_hooks for m in network.modules())
    return not isinstance(network, WrappedNetwork) and not any(hooks)


def network_key(network: Network, *parts: object) -> str:
    """16 hexadecimal digits, of the weights, the card, and what else is told in `parts`."""
    told = (*parts, network.card.to_json(), network)  # a module tells what it is of
    found = hashlib.sha256(" ".join(map(str, told)).encode(errors="surrogatepass"))
    for name, value in network.state_dict().items():
        found.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        found.update(
            value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        )
    return found.hexdigest()[:16]
