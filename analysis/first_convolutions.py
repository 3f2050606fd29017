"""First convolutions: the layer whose filters look at the frames themselves."""

from __future__ import annotations

from torch import nn

from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.foreign import Network, observation_shape


def first_convolution(network: Network) -> tuple[str, nn.Conv2d] | None:
    """The first that takes the frames, and its name; None where there is none."""
    if isinstance(network, AgentNetwork):
        name = next(iter(network.trunk.layers))
        return name, network.trunk.first
    frames = observation_shape(network)[0]
    for name, layer in (*network.layers.items(), *network.named_modules()):
        convolution = layer if isinstance(layer, nn.Conv2d) else getattr(layer, "conv", None)
        if isinstance(convolution, nn.Conv2d) and convolution.in_channels == frames:
            return name, convolution
    return None


def frame_names(frames: int) -> list[str]:
    """What the frames of an observation are called: T-3, T-2, T-1, Now."""
    return [f"T-{age}" for age in range(frames - 1, 0, -1)] + ["Now"]
