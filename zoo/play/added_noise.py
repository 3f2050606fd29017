"""Noise added to observations and to a network's weights, drawn from a seed."""

from __future__ import annotations

import copy

import numpy as np
import torch
from jaxtyping import Bool, Shaped
from torch import Tensor, nn

from atari_zoo.converters.network.foreign import Network
from atari_zoo.play.noise import Noise
from atari_zoo.seeds import generator_seed


class ObservationNoise:
    """Adds noise to observations, step by step; the same seed adds the same.

    channels: of a frame, 3 in colour.
    Each step's is seeded apart, so that play can be taken up in its middle.
    """

    def __init__(self, noise: Noise, seed: int, device: torch.device, channels: int = 1) -> None:
        self.noise, self.seed, self.channels = noise, seed, channels
        self.generator = torch.Generator(device)
        self._stack = torch.zeros(0)

    def __call__(
        self,
        observations: Shaped[Tensor, "envs channels height width"],
        step: int,
        starts: Bool[np.ndarray, "envs"],
    ) -> Shaped[Tensor, "envs channels height width"]:
        """Observations in 0..1, and what goes beyond with the noise; as they are without any."""
        if not self.noise.observation:
            return observations
        pixels = observations.float() / 255 if observations.dtype == torch.uint8 else observations
        self.generator.manual_seed((self.seed * 1_000_003 + step) % 2**63)
        if self.noise.place == "stack":
            return pixels + self._drawn(pixels.shape)
        if step == 0 or starts.all():
            self._stack = self._drawn(pixels.shape)
        else:
            newest = self._drawn(pixels[:, : self.channels].shape)
            self._stack = torch.cat([self._stack[:, self.channels :], newest], dim=1)
            if starts.any():
                begun = torch.from_numpy(starts).to(pixels.device)
                self._stack[begun] = self._drawn(pixels[begun].shape)
        return pixels + self._stack

    def _drawn(self, shape: torch.Size) -> Tensor:
        device = self.generator.device
        return torch.randn(shape, generator=self.generator, device=device) * self.noise.observation


def with_parameter_noise(network: Network, noise: Noise, seed: int) -> Network:
    """A copy of the network whose weights have noise; the network itself if there is none."""
    if not noise.parameters:
        return network
    noisy = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(generator_seed(seed))
    spreads = weight_spreads(noisy)
    with torch.no_grad():
        for module in noisy.modules():
            kernels = isinstance(module, nn.Conv2d)
            for name, weight in module.named_parameters(recurse=False):
                if noise.kernels and not (kernels and name == "weight"):
                    continue
                drawn = torch.randn(weight.shape, generator=generator).to(weight)
                spread = spreads[id(weight)] if noise.relative else 1.0
                weight.add_(drawn, alpha=noise.parameters * spread)
    return noisy


def weight_spreads(network: nn.Module) -> dict[int, float]:
    """The standard deviation of each layer's weights, by the `id` of each of its parameters.

    A bias has that of its layer's weights: its own may be of one number.
    """
    found = {}
    for module in network.modules():
        parts = dict(module.named_parameters(recurse=False))
        for name, part in parts.items():
            weight = parts.get(name.replace("bias", "weight"), part).detach()
            found[id(part)] = float(weight.std(correction=0))
    return found
