"""Noise on what an agent sees and on what it is made of, to ask how robust it is.

The original's noise (Such et al., 2019, supplement S1.2) is N(0, sigma): on the stacked
observation, drawn anew at every step for each of its frames, and on the convolutions' kernels.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Shaped
from torch import Tensor, nn

from atari_zoo.converters.network.foreign import Network

PLACES = ("stack", "frame")


@dataclass(frozen=True)
class Noise:
    """How much noise, in standard deviations.

    observation: in units of 0..1, unclipped. place: "stack", where a frame has other noise at
        each step that it is seen, as in the original; or "frame", where it keeps its own.
    parameters: of the weights' own units. kernels: only those of the convolutions, as in the
        original; else every weight and bias.
    actions: share of actions that are random.
    """

    observation: float = 0.0
    place: str = "stack"
    parameters: float = 0.0
    kernels: bool = True
    actions: float = 0.0

    def __post_init__(self) -> None:
        if self.place not in PLACES:
            raise ValueError(f"noise on each '{self.place}'; there are {', '.join(PLACES)}")
        for name in ("observation", "parameters"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} noise of {getattr(self, name)}; it must be 0 or more")


class ObservationNoise:
    """Adds noise to observations, step by step; the same seed adds the same.

    Each step's is seeded apart, so that play can be taken up in its middle.
    """

    def __init__(self, noise: Noise, seed: int, device: torch.device) -> None:
        self.noise, self.seed = noise, seed
        self.generator = torch.Generator(device)
        self._stack = torch.zeros(0)

    def __call__(
        self,
        observations: Shaped[Tensor, "envs stack 84 84"],
        step: int,
        starts: Bool[np.ndarray, "envs"],
    ) -> Shaped[Tensor, "envs stack 84 84"]:
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
            newest = self._drawn(pixels[:, :1].shape)
            self._stack = torch.cat([self._stack[:, 1:], newest], dim=1)
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
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in noisy.modules():
            kernels = isinstance(module, nn.Conv2d)
            for name, weight in module.named_parameters(recurse=False):
                if noise.kernels and not (kernels and name == "weight"):
                    continue
                drawn = torch.randn(weight.shape, generator=generator)
                weight.add_(drawn.to(weight.device), alpha=noise.parameters)
    return noisy
