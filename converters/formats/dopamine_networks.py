"""The networks of Dopamine's JAX agents, told by their dense layers' shapes.

From dopamine/jax/networks.py: NatureDQNNetwork, RainbowNetwork, QuantileNetwork,
ImplicitQuantileNetwork, and FullRainbowNetwork with its options.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.formats.linen import Layers
from atari_zoo.converters.network.networks import PLACES, MnihNetwork
from atari_zoo.converters.weights.assembling import (
    assembled,
    categorical_dueling_head,
    categorical_head,
    dueling_head,
    implicit_quantile_head,
    q_head,
    quantile_head,
)

Sizes = Sequence[tuple[int, int]]  # each dense layer's inputs and outputs

SCREENS = (4, 84, 84)  # frames, height and width of what its agents see
ACTIONS = range(2, 19)  # of Atari's games
ATOMS, REACH = 51, 10.0  # c51.gin, rainbow.gin and full_rainbow.gin: 51 returns from -10 to 10
QUANTILES = 200  # quantile.gin

ATOMS_NOTE = "51 atoms from -10 to 10, as Dopamine's gin files have them: no checkpoint holds them"
QUANTILES_NOTE = "32 quantiles at fixed midpoints; Dopamine draws 32 at random for each decision"
NOISY_NOTE = "noisy layers at their means, as Dopamine evaluates them"


@dataclass(frozen=True)
class Policy:
    """A network found in an agent's parameters.

    algorithm: as far as the shapes tell. notes: what was decided or left out, a line each.
    """

    network: MnihNetwork
    algorithm: str
    notes: list[str]


def policy_of(found: Layers) -> Policy:
    """The agent with these layers.

    Raises ConversionError if they are none of Dopamine's networks.
    """
    channels = len(found.convolutions[-1].weight)
    sizes = [(layer.weight.shape[1], layer.weight.shape[0]) for layer in found.dense]
    flat = [channels * places for places in PLACES]
    for fits, build in READINGS:
        if fits(sizes, flat):
            policy = build(found, channels)
            break
    else:
        raise ConversionError(f"its layers are none of Dopamine's networks: {found.described}")
    if policy.network.shape != SCREENS:
        raise ConversionError(
            f"Dopamine's agents see {SCREENS}; this one {policy.network.shape}: {found.described}"
        )
    if not found.noisy:
        return policy
    return Policy(policy.network, "rainbow", [*policy.notes, NOISY_NOTE])


def _fits_plain(sizes: Sizes, flat: Sequence[int]) -> bool:
    match sizes:
        case ((inputs, units), (read, outputs)):
            each = (1, ATOMS, QUANTILES)
            return inputs in flat and read == units and any(_per(outputs, n) for n in each)
    return False


def _plain(found: Layers, channels: int) -> Policy:
    fc, output = found.dense
    fc, outputs = fc.from_height_width_channels(channels), len(output.weight)
    if _per(outputs, 1):
        return Policy(assembled(found.convolutions, fc, q_head(output)), "dqn", [])
    if _per(outputs, ATOMS):
        atoms = categorical_head(output, _support())
        return Policy(assembled(found.convolutions, fc, atoms), "c51", [ATOMS_NOTE])
    quantiles = quantile_head(output, QUANTILES)
    return Policy(assembled(found.convolutions, fc, quantiles), "qrdqn", [])


def _fits_dueling(sizes: Sizes, flat: Sequence[int]) -> bool:
    match sizes:
        case ((inputs, units), (to_advantage, advantages), (to_value, values)):
            reads = inputs in flat and to_advantage == to_value == units
            return reads and values in (1, ATOMS) and _per(advantages, values)
    return False


def _dueling(found: Layers, channels: int) -> Policy:
    fc, advantage, value = found.dense
    fc = fc.from_height_width_channels(channels)
    if len(value.weight) == 1:
        scalar = dueling_head(value, advantage)
        return Policy(assembled(found.convolutions, fc, scalar), "dqn", [])
    atoms = categorical_dueling_head(value, advantage, _support())
    return Policy(assembled(found.convolutions, fc, atoms), "rainbow", [ATOMS_NOTE])


def _fits_implicit(sizes: Sizes, flat: Sequence[int]) -> bool:
    match sizes:
        case ((_, features), (inputs, units), (read, outputs)):
            return features == inputs and inputs in flat and read == units and _per(outputs, 1)
    return False


def _implicit(found: Layers, channels: int) -> Policy:
    embedding, fc, quantiles = found.dense
    head = implicit_quantile_head(
        embedding.transposed(len(embedding.weight) // channels),  # its units are places, channels
        fc.from_height_width_channels(channels),
        quantiles,
    )
    return Policy(assembled(found.convolutions, None, head), "iqn", [QUANTILES_NOTE])


# no sizes fit two: a value has 1 or 51 outputs, IQN's quantiles 2 to 18
READINGS: tuple[tuple[Callable[[Sizes, Sequence[int]], bool], Callable[[Layers, int], Policy]], ...]
READINGS = ((_fits_plain, _plain), (_fits_dueling, _dueling), (_fits_implicit, _implicit))


def _per(outputs: int, each: int) -> bool:
    return outputs % each == 0 and outputs // each in ACTIONS


def _support() -> Tensor:
    return torch.linspace(-REACH, REACH, ATOMS)
