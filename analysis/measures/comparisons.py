"""Comparisons of two layers over the same states, by name, with resamples of whole episodes.

What a measure needs of a layer alone is computed once, and used with every other layer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from atari_zoo.analysis.measures.canonical_correlation import (
    VARIANCE,
    canonical_correlations,
)
from atari_zoo.analysis.measures.kernel_alignment import (
    alignment_ratio,
    hollow_criterion,
    kernel,
    resampled_criteria,
    without_diagonal,
    without_means,
)
from atari_zoo.analysis.measures.procrustes import procrustes_similarity

FOR_A_COMPONENT = 10  # states, at least: with fewer, unrelated layers correlate
MISSING = float("nan")
NEGLIGIBLE = 1e-10  # of the largest variance: rounding
RIDGE = 1e-9  # of the mean variance, where a resample has fewer states than components


class Resamples(NamedTuple):
    """members: which state is of which episode. copies: how often each is in a resample."""

    members: Float[np.ndarray, "states episodes"]
    copies: Float[np.ndarray, "resamples episodes"]


class ComparedLayer:
    """A layer's values over the states, (states, units), as the comparisons need them."""

    def __init__(self, values: Float[np.ndarray, "states units"], resamples: Resamples) -> None:
        self.resamples = resamples
        whole = kernel(values).astype(float)
        spread = without_means(values).std(0, dtype=float)
        scaled = values[:, spread > 0] / spread[spread > 0].astype(values.dtype)
        first, self.components = _components(whole, max(1, len(values) // FOR_A_COMPONENT))
        self._kernels = {
            "cka": without_diagonal(whole),
            "cka_standardized": without_diagonal(kernel(scaled).astype(float)),
            "cka_without_first": without_diagonal(whole - first @ first.T),
        }
        self._own: dict[str, tuple[float, np.ndarray]] = {}

    def shuffled(self, order: Int[np.ndarray, "states"]) -> ComparedLayer:
        """The same with its states in another order: related to nothing, of the same spread."""
        made = object.__new__(ComparedLayer)
        made.resamples, made._own = self.resamples, self._own
        made._kernels = {name: k[np.ix_(order, order)] for name, k in self._kernels.items()}
        made.components = self.components[order]
        return made

    def kernel_for(self, measure: str) -> Float[np.ndarray, "states states"]:
        """Of centred features, with zeros on its diagonal; for "cka", "cka_standardized" (each unit
        of the same spread) or "cka_without_first" (without the largest component: one loud unit
        that two layers share makes them alike, and the value falls without it)."""
        return self._kernels[measure]

    def own_criterion(self, measure: str) -> float:
        """The criterion of the layer with itself."""
        return self._own_criteria(measure)[0]

    def own_resampled(self, measure: str) -> Float[np.ndarray, "resamples"]:
        """The same in each resample."""
        return self._own_criteria(measure)[1]

    def _own_criteria(self, measure: str) -> tuple[float, np.ndarray]:
        if measure not in self._own:
            k = self.kernel_for(measure)
            found = resampled_criteria(k, k, *self.resamples)
            self._own[measure] = hollow_criterion(k, k), found
        return self._own[measure]

    @cached_property
    def means(self) -> Float[np.ndarray, "resamples components"]:
        """Of the components in each resample."""
        members, copies = self.resamples
        counts = copies @ members.sum(0)
        return copies @ (members.T @ self.components) / counts[:, None]

    @cached_property
    def spreads(self) -> Float[np.ndarray, "resamples components components"]:
        """The components' products in each resample, about its mean."""
        return products(self, self)

    @cached_property
    def whitening(self) -> Float[np.ndarray, "resamples components components"]:
        """What makes the components of a resample uncorrelated, and of length 1."""
        count = self.components.shape[1]
        mean = np.einsum("rii->r", self.spreads) / max(count, 1)
        ridge = RIDGE * mean[:, None, None] * np.eye(count)
        return np.linalg.inv(np.linalg.cholesky(self.spreads + ridge))


def products(
    a: ComparedLayer, b: ComparedLayer
) -> Float[np.ndarray, "resamples components others"]:
    """Of two layers' components in each resample, about its means."""
    members, copies = a.resamples
    by_episode = np.stack(
        [(a.components * m[:, None]).T @ b.components for m in members.T]
    )  # (episodes, components, others)
    counts = (copies @ members.sum(0))[:, None, None]
    whole = np.tensordot(copies, by_episode, 1)
    return whole - counts * a.means[:, :, None] * b.means[:, None, :]


def _components(k: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The states' places along the first principal component of a kernel, and along the fewest that
    hold 99 % of the variance, `most` of them at most: as `principal_components` has them."""
    from scipy.linalg import eigh

    count = len(k)
    values, vectors = eigh(k, subset_by_index=(max(0, count - most), count - 1))
    values, vectors = values[::-1], vectors[:, ::-1]
    places = vectors * np.sqrt(np.maximum(values, 0))
    real = int((values > NEGLIGIBLE * max(values[0], 0)).sum())
    shares = np.cumsum(values) / max(np.trace(k), np.finfo(float).tiny)
    return places[:, :1], places[:, : min(real, int(np.searchsorted(shares, VARIANCE) + 1))]


class Comparison(NamedTuple):
    """value: of two layers. resampled: in each resample."""

    value: Callable[[ComparedLayer, ComparedLayer], float]
    resampled: Callable[[ComparedLayer, ComparedLayer], np.ndarray]


def _cka(measure: str) -> Comparison:
    def value(a: ComparedLayer, b: ComparedLayer) -> float:
        shared = hollow_criterion(a.kernel_for(measure), b.kernel_for(measure))
        return float(alignment_ratio(shared, a.own_criterion(measure), b.own_criterion(measure)))

    def resampled(a: ComparedLayer, b: ComparedLayer) -> np.ndarray:
        shared = resampled_criteria(a.kernel_for(measure), b.kernel_for(measure), *a.resamples)
        own, other = a.own_resampled(measure), b.own_resampled(measure)
        return np.asarray(alignment_ratio(shared, own, other))

    return Comparison(value, resampled)


def _svcca(a: ComparedLayer, b: ComparedLayer) -> float:
    found = canonical_correlations(a.components, b.components)[0]
    return float(found.mean()) if len(found) else float("nan")


def _resampled_svcca(a: ComparedLayer, b: ComparedLayer) -> np.ndarray:
    turned = a.whitening @ products(a, b) @ b.whitening.transpose(0, 2, 1)
    kept = min(turned.shape[1:])
    return np.linalg.svd(turned, compute_uv=False).sum(1) / (kept or MISSING)


def _procrustes(a: ComparedLayer, b: ComparedLayer) -> float:
    return procrustes_similarity(a.components, b.components)


def _resampled_procrustes(a: ComparedLayer, b: ComparedLayer) -> np.ndarray:
    lengths = np.sqrt(np.einsum("rii->r", a.spreads) * np.einsum("rii->r", b.spreads))
    return np.linalg.svd(products(a, b), compute_uv=False).sum(1) / np.where(
        lengths, lengths, MISSING
    )


COMPARISONS: dict[str, Comparison] = {
    "cka": _cka("cka"),
    "cka_standardized": _cka("cka_standardized"),
    "cka_without_first": _cka("cka_without_first"),
    "svcca": Comparison(_svcca, _resampled_svcca),
    "procrustes": Comparison(_procrustes, _resampled_procrustes),
}
