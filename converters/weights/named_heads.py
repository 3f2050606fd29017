"""The head of a network, from a state dict in which its layers have known names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from torch import Tensor

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.finite import finite_tensor
from atari_zoo.converters.network.heads import MOST_ACTIONS, Head
from atari_zoo.converters.weights.affine_layers import AffineLayer
from atari_zoo.converters.weights.assembling import (
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
QUANTILES_ASSUMED = f"{QUANTILES} quantiles an action: the file does not tell (--game would)"
_EXPECTED: ContextVar[int] = ContextVar("expected actions", default=0)


@contextmanager
def expected_actions(count: int) -> Iterator[None]:
    """While files are read in it, a network whose outputs do not tell has so many actions.

    Readers take a path alone; this is what somebody knows beside it. 0: nobody does.
    """
    before = _EXPECTED.set(count)
    try:
        yield
    finally:
        _EXPECTED.reset(before)


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
    """Layers by their part in a head. notes: what is left out is added to them; and what the
    file does not tell to the assumptions.
    """

    weights: Mapping[str, Tensor]
    naming: LayerNames
    facts: HeadFacts
    notes: list[str]
    assumptions: list[str]

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
        own = "value fc" in self.naming.layers
        return (self["value fc"], self["advantage fc"]) if own else None

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
        self.assumptions.append(f"{atoms} atoms from -10 to 10: the file does not tell")
        return torch.linspace(-10, 10, atoms)


def named_head(layers: HeadLayers) -> Head:
    """The head with these layers; raises ConversionError if they do not fit together."""
    kind = layers.naming.head
    if kind == "actor-critic" and critic_is_apart(layers.weights, layers.naming):
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


def critic_is_apart(weights: Mapping[str, Tensor], naming: LayerNames) -> bool:
    """Whether the critic's trunk is not the policy's."""
    if naming.critic_trunk is None:
        return False
    ours, theirs = naming.critic_trunk
    pairs = [
        (tensor, weights.get(theirs + name.removeprefix(ours)))
        for name, tensor in weights.items()
        if name.startswith(ours)
    ]
    return any(critic is not None and not torch.equal(actor, critic) for actor, critic in pairs)


def _quantile_head(layers: HeadLayers, quantiles: AffineLayer, quantile_first: bool) -> Head:
    count, actions = layers.facts.quantiles, layers.facts.actions or _EXPECTED.get()
    count = len(layers.table) if layers.naming.support else count
    if actions and not count:
        count = _each(len(quantiles.weight), actions)
    if not count:
        count, outputs = QUANTILES, len(quantiles.weight)
        if outputs % count or not 1 < outputs // count <= MOST_ACTIONS:
            raise ConversionError(
                f"{outputs} quantiles of all actions together: the file does not tell how many an "
                f"action has, and {count}, the default, are not it; give the game (--game), whose "
                "actions decide"
            )
        layers.assumptions.append(QUANTILES_ASSUMED)
    if quantile_first:
        quantiles = quantiles.transposed(count)
    return quantile_head(quantiles, count)


def _each(outputs: int, actions: int) -> int:
    if outputs % actions or outputs == actions:
        raise ConversionError(
            f"{outputs} quantiles cannot be shared by {actions} actions: is it another game's?"
        )
    return outputs // actions


def _implicit_quantile_head(layers: HeadLayers) -> Head:
    parts = (layers["embedding"], layers["embedding fc"], layers["quantiles"])
    if not layers.naming.support:  # drawn at random when its library evaluates it
        return implicit_quantile_head(*parts)
    taus = layers.table
    head = implicit_quantile_head(*parts, len(taus))
    with torch.no_grad():
        head.embedding.taus.copy_(taus)
    return head
