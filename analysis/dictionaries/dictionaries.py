"""Dictionaries: ways to write a layer's values as sums of few directions, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from atari_zoo.analysis.dictionaries.autoencoders import TopKAutoencoder
from atari_zoo.seeds import generator_seed

SPARSE, COMPONENTS, DRAWN = "sparse autoencoder", "principal components", "random directions"
RIDGE = 1e-6  # of the least squares, whose directions may be nearly equal


@dataclass(frozen=True)
class Standard:
    """How a layer's values become rows: silent units left out, the data's mean and one scale.

    live: units that changed. mean: of every unit. scale: the root of the live units' mean variance.
    Not each row by its own mean and spread: how much of a layer is active says how sure it is.
    """

    live: Bool[Tensor, "units"]
    mean: Float[Tensor, "units"]
    scale: float

    def rows(self, values: Float[Tensor, "moments units"]) -> Float[Tensor, "moments live"]:
        """The values without the silent units, centred and scaled."""
        return (values - self.mean)[:, self.live] / self.scale

    def values(self, rows: Float[Tensor, "moments live"]) -> Float[Tensor, "moments units"]:
        """The values of such rows; a silent unit has what it always had."""
        back = self.mean.repeat(len(rows), 1)
        back[:, self.live] += rows * self.scale
        return back


def standard_of(values: Float[Tensor, "moments units"]) -> Standard:
    """Of a layer's values. Raises ValueError if there are none, or they never change."""
    if not len(values):
        raise ValueError("no activations: there is nothing to learn from")
    live = (values != values[0]).any(dim=0)
    if not live.any():
        raise ValueError(
            f"none of the layer's {len(live)} units ever changes here: there are no features in it"
        )
    mean = values.mean(dim=0)
    mean[~live] = values[0, ~live]  # to the last bit
    return Standard(live, mean, float(values[:, live].var(dim=0, correction=0).mean().sqrt()))


class Dictionary(nn.Module):
    """Codes of a layer's values in directions of length 1, and what these codes give back.

    kind: of which sort. k: codes that are not 0, of each moment, at most.
    decoder: a direction for each feature, among the units that are not silent.
    """

    kind = ""
    live: Tensor
    mean: Tensor
    decoder: Tensor
    centre: Tensor

    def __init__(self, standard: Standard, k: int, decoder: Tensor, centre: Tensor) -> None:
        super().__init__()
        self.k, self.scale = k, standard.scale
        for name, part in (
            ("live", standard.live),
            ("mean", standard.mean),
            ("decoder", decoder),
            ("centre", centre),
        ):
            self.register_buffer(name, part.detach().clone())

    @property
    def standard(self) -> Standard:
        return Standard(self.live, self.mean, self.scale)

    @property
    def directions(self) -> Float[Tensor, "features units"]:
        """What one of a feature's code adds to the layer's values."""
        wide = self.decoder.new_zeros(len(self.decoder), len(self.live))
        wide[:, self.live] = self.decoder * self.scale
        return wide

    def codes(self, values: Float[Tensor, "moments units"]) -> Float[Tensor, "moments features"]:
        """How strongly each feature is active."""
        return self._codes(self.standard.rows(values) - self.centre)

    def forward(self, values: Float[Tensor, "moments units"]) -> Float[Tensor, "moments units"]:
        """What the codes give back."""
        return self.standard.values(self.codes(values) @ self.decoder + self.centre)

    def _codes(self, centred: Float[Tensor, "moments live"]) -> Float[Tensor, "moments features"]:
        raise NotImplementedError


class SparseDictionary(Dictionary):
    """What a TopK autoencoder learned."""

    kind = SPARSE
    encoder: Tensor
    bias: Tensor

    def __init__(self, standard: Standard, k: int, tensors: Mapping[str, Tensor]) -> None:
        super().__init__(standard, k, tensors["decoder"], tensors["centre"])
        self.register_buffer("encoder", tensors["encoder"].detach().clone())
        self.register_buffer("bias", tensors["bias"].detach().clone())

    def _codes(self, centred: Tensor) -> Tensor:
        largest = F.linear(centred, self.encoder, self.bias).topk(self.k, sorted=False)
        codes = centred.new_zeros(len(centred), len(self.decoder))
        return codes.scatter_(1, largest.indices, largest.values.relu())


class PrincipalComponents(Dictionary):
    """The k directions in which the values vary most: a control, and the best of k directions
    that are the same at every moment."""

    kind = COMPONENTS

    def _codes(self, centred: Tensor) -> Tensor:
        return centred @ self.decoder.T


class RandomDirections(Dictionary):
    """As many random directions as there are features: a control. The k that a moment has most of
    are fitted to it by least squares, the best that can be made of them."""

    kind = DRAWN

    def _codes(self, centred: Tensor) -> Tensor:
        which = (centred @ self.decoder.T).topk(self.k, sorted=False).indices
        some = self.decoder[which]  # (moments, k, live)
        gram = some @ some.mT + RIDGE * torch.eye(self.k, device=some.device)
        fitted = torch.linalg.solve(gram, some @ centred[..., None])[..., 0]
        codes = centred.new_zeros(len(centred), len(self.decoder))
        return codes.scatter_(1, which, fitted)


def sparse_dictionary(standard: Standard, autoencoder: TopKAutoencoder) -> SparseDictionary:
    """An autoencoder that was learned, with what its rows were made by."""
    return SparseDictionary(standard, autoencoder.k, dict(autoencoder.named_parameters()))


def first_components(
    standard: Standard, values: Float[Tensor, "moments units"], k: int
) -> PrincipalComponents:
    """The first k of these values; fewer where there are no more."""
    rows = standard.rows(values)
    centre = rows.mean(dim=0)
    components = torch.linalg.svd(rows - centre, full_matrices=False).Vh[:k]
    return PrincipalComponents(standard, len(components), components, centre)


def random_directions(standard: Standard, features: int, k: int, seed: int) -> RandomDirections:
    """So many of them, drawn from the seed, for a layer's values."""
    generator = torch.Generator().manual_seed(generator_seed(seed))
    units = int(standard.live.sum())
    drawn = F.normalize(torch.randn(features, units, generator=generator), dim=1)
    drawn = drawn.to(standard.mean.device)
    return RandomDirections(standard, min(k, units), drawn, drawn.new_zeros(units))
