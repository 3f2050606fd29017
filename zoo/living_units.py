"""Living units: those that answer to anything that an agent sees."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

from atari_zoo.converters.network.foreign import Network
from atari_zoo.layers import activations
from atari_zoo.play.rollouts import rollout

ENVS, STEPS = 16, 500


def living(
    network: Network, observations: Tensor, batch: int = 64
) -> dict[str, Bool[Tensor, "units"]]:
    """Which units of each ReLU layer are above 0 for some observation, at some place.

    observations: (steps, 4, 84, 84), uint8 or float in 0..1.
    Returns the layer's name -> (units,); a unit of a convolution is a channel.
    """
    alive: dict[str, Tensor] = {}
    for some in observations.split(batch):
        for name, values in activations(network, some, rectified(network)).items():
            positive = (values > 0).transpose(0, 1).flatten(1).any(1)
            alive[name] = alive.get(name, torch.zeros_like(positive)) | positive
    return alive


def living_units(network: Network, seed: int = 0) -> dict[str, list[int]]:
    """How many units of each ReLU layer ever answer while the agent plays, and how many there are.

    It plays 500 steps in 16 environments; every eighth observation is looked at. A unit that
    answers only to what it did not meet there counts as dead.
    Returns, as it stands in a card's scores, name -> [living, all].

    >>> living_units(load("a2c/Pong/1"))["conv1"]
    [1, 32]
    """
    play = rollout(network, steps=STEPS, envs=ENVS, seed=seed, keep=["screens"])
    seen = torch.cat([play.observations(env)[::8] for env in range(ENVS)])
    return {name: [int(alive.sum()), len(alive)] for name, alive in living(network, seen).items()}


def rectified(network: Network) -> list[str]:
    """The named layers that end in a ReLU."""
    return [
        name
        for name, layer in network.layers.items()
        if isinstance(list(layer.modules())[-1], torch.nn.ReLU)
    ]
