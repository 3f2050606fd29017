"""The head of a network, from a state dict in which its layers have known names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.finite import finite_tensor
from atari_zoo.converters.network.heads import Head
from atari_zoo.converters.weights.assembling import (
    AffineLayer,
    actor_critic_head,
    categorical_dueling_head,
    categorical_head,
    dueling_head,
    implicit_quantile_head,
    policy_head,
    q_head,
    quantile_head,
)
from atari_zoo.converters.weights.namings import LayerNames

QUANTILES = 200  # what QR-DQN has where nobody says otherwise
LARGEST_TABLE = 10_000  # atoms, quantiles


@dataclass(frozen=True)
class HeadFacts:
    """What a file tells of its network beside the weights.

    head: "q" where the outputs are Q-values. actions, quantiles: how many, or 0.
    """

    head: str = ""
    actions: int = 0
    quantiles: int = 0


@dataclass
class HeadLayers:
    """HeadLayers by their part in a head. notes: what is assumed or left out is added to them."""

    weights: Mapping[str, Tensor]
    naming: LayerNames
    facts: HeadFacts
    notes: list[str]

    def __getitem__(self, part: str) -> AffineLayer:
        name = self.naming.layers[part]
        if not self.naming.noisy:
            return AffineLayer.of(self.weights, name)
        if f"{name}.bias_mu" not in self.weights:
            raise ConversionError(f"'{name}.bias_mu' is missing")
        return AffineLayer(self.weights[f"{name}.weight_mu"], self.weights[f"{name}.bias_mu"], name)

    @property
    def streams(self) -> tuple[AffineLayer, AffineLayer] | None:
        """The dense layers of a dueling head's streams, if they have their own."""
        return (self["value fc"], self["advantage fc"]) if self.naming.fc is None else None

    @property
    def table(self) -> Tensor:
        """The file's own table of numbers: the atoms' returns, or the quantiles."""
        table = self.weights[self.naming.support]
        if table.ndim != 1 or not 2 <= len(table) <= LARGEST_TABLE:
            raise ConversionError(
                f"'{self.naming.support}' {tuple(table.shape)} is no table of a distribution"
            )
        return finite_tensor(table, self.naming.support)

    def support(self, atoms: int) -> Tensor:
        """The returns of the atoms."""
        if self.naming.support:
            return self.table
        if atoms > LARGEST_TABLE:
            raise ConversionError(f"a distribution of {atoms} atoms")
        self.notes.append(f"{atoms} atoms from -10 to 10 are assumed: the file does not tell")
        return torch.linspace(-10, 10, atoms)


def named_head(layers: HeadLayers) -> Head:
    """The head with these layers; raises ConversionError if they do not fit together."""
    kind = layers.naming.head
    if kind == "actor-critic" and _critic_is_apart(layers):
        layers.notes.append("the critic has convolutions of its own, which are left out")
        kind = "policy"
    if kind == "policy" and layers.facts.head == "q":
        kind = "q"
    match kind:
        case "policy":
            return policy_head(layers["output"])
        case "q":
            return q_head(layers["output"])
        case "actor-critic":
            return actor_critic_head(layers["output"], layers["value"])
        case "dueling":
            return dueling_head(layers["value"], layers["advantage"], layers.streams)
        case "categorical":
            return categorical_head(layers["atoms"], layers.support(51))
        case "categorical dueling":
            value, advantage = layers["value"], layers["advantage"]
            support = layers.support(len(value.weight))
            return categorical_dueling_head(value, advantage, support, layers.streams)
        case "implicit-quantile":
            return _implicit_quantile_head(layers)
        case _:
            return _quantile_head(layers, layers["quantiles"], kind == "quantile first")


def _critic_is_apart(layers: HeadLayers) -> bool:
    """Whether the critic's trunk is not the policy's."""
    if layers.naming.critic_trunk is None:
        return False
    ours, theirs = layers.naming.critic_trunk
    pairs = [
        (tensor, layers.weights.get(theirs + name.removeprefix(ours)))
        for name, tensor in layers.weights.items()
        if name.startswith(ours)
    ]
    return any(critic is not None and not torch.equal(actor, critic) for actor, critic in pairs)


def _quantile_head(layers: HeadLayers, quantiles: AffineLayer, quantile_first: bool) -> Head:
    count, actions = layers.facts.quantiles, layers.facts.actions
    if actions:
        count = max(len(quantiles.weight) // actions, 1)
    if not count:
        count = QUANTILES
        layers.notes.append(f"{count} quantiles an action are assumed: the file does not tell")
    if quantile_first:
        quantiles = quantiles.transposed(count)
    return quantile_head(quantiles, count)


def _implicit_quantile_head(layers: HeadLayers) -> Head:
    taus = layers.table
    head = implicit_quantile_head(
        layers["embedding"], layers["embedding fc"], layers["quantiles"], len(taus)
    )
    with torch.no_grad():
        head.embedding.taus.copy_(taus)
    return head
