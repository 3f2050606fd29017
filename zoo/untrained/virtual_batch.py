"""Virtual batch normalisation (Salimans et al., 2016, https://arxiv.org/abs/1606.03498).

Evolution strategies need it on Atari games: without it, most perturbed networks do the same
whatever they see (Salimans et al., 2017, section 3.1). A layer's units are normalised by their
mean and variance on a fixed batch of observations; as this batch never changes, the norms are
folded into the weights, and the network needs no further layers.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional

from atari_zoo.converters.cards import Preprocessing
from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.emulator.environments import Environments
from atari_zoo.seeds import generator_seed
from atari_zoo.untrained.flat_weights import flat_layers

EPSILON = 1e-3  # added to the variance, as `batchnorm.py` of deep-neuroevolution has it
GAMES, APART = 8, 25  # observations are taken from so many games, so many steps apart


def reference_batch(
    rom: str, count: int, preprocessing: Preprocessing, seed: int, device: torch.device | str
) -> Shaped[Tensor, "count channels height width"]:
    """Observations of a random player."""
    random = np.random.default_rng(generator_seed(seed))
    games = Environments(rom, min(GAMES, count), preprocessing, device)
    games.reset(seed)
    seen: list[Tensor] = []
    while len(seen) * games.count < count:
        for _ in range(APART):
            step = games.step(random.integers(len(games.screen.actions), size=games.count))
        seen.append(step.observations)
    games.close()
    return torch.cat(seen)[:count]


@torch.no_grad()
def fold_norms(
    network: MnihNetwork,
    weights: Float[Tensor, "parameters"],
    reference: Shaped[Tensor, "count channels height width"],
) -> None:
    """Changes `weights` so that the plain network does what the normalised one did with them.

    Each layer but the last becomes (w x - mean) / sqrt(variance + EPSILON) + b; `mean` and
    `variance` are those of w x over `reference` and, in a convolution, over its places.
    """
    x = network.trunk.scale(reference)
    for shape, weight, bias in flat_layers(network, weights[None])[:-1]:
        if shape is None:
            x = functional.linear(x.flatten(1), weight[0])
        else:
            kernels = weight[0].unflatten(1, (-1, *shape.kernel))
            x = functional.conv2d(functional.pad(x, shape.padding), kernels, stride=shape.stride)
        variance, mean = torch.var_mean(x.transpose(0, 1).flatten(1), dim=1, correction=0)
        scale = (variance + EPSILON).rsqrt()
        weight[0].mul_(scale[:, None])
        bias[0].sub_(mean * scale)
        by_unit = (-1, *[1] * (x.ndim - 2))
        x = (x * scale.view(by_unit) + bias[0].view(by_unit)).relu_()
