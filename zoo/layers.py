"""Activations: what the named layers of a network compute."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.hooks import recorded
from atari_zoo.observations import ObservationsLike, observations_for


def activations(
    network: Network,
    observations: ObservationsLike,
    layers: Sequence[str] | None = None,
    batch: int = 256,
    before_relu: bool = False,
) -> dict[str, Tensor]:
    """The values of `layers` (all if not given) for each observation, on the CPU.

    observations: (steps, 4, 84, 84), or one, uint8 or float in 0..1.
    before_relu: of layers that have a ReLU, what enters it and not what leaves it.
    Returns name -> (steps, ...).
    Raises ValueError if a layer is not there; the message lists those that are. Also for
        observations of another shape or range.

    >>> activations(net, observations, ["conv3", "fc"])["conv3"].shape
    torch.Size([32, 64, 7, 7])
    """
    names = list(network.layers) if layers is None else list(dict.fromkeys(layers))
    device = next(network.parameters()).device
    parts: dict[str, list[Tensor]] = {name: [] for name in names}
    seen = observations_for(network, observations)
    with torch.inference_mode(), recorded(network, names, before_relu) as values:
        for share in seen.split(batch):
            network(share.to(device))
            for name in names:
                parts[name].append(values[name].cpu())
    return {name: torch.cat(part) for name, part in parts.items()}
