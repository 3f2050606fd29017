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
    canonical_correlations,
    principal_components,
    pwcca,
)
from atari_zoo.analysis.measures.kernel_alignment import (
    alignment,
    kernel,
    kernel_criterion,
    resampled_criteria,
    without_first,
)
from atari_zoo.analysis.measures.procrustes import procrustes_similarity

FOR_A_COMPONENT = 10  # states, at least: with fewer, unrelated layers correlate
RIDGE = 1e-9  # of the mean variance, where a resample has fewer states than components


class Resamples(NamedTuple):
    """members: which state is of which episode. copies: how often each is in a resample."""

    members: Float[np.ndarray, "states episodes"]
    copies: Float[np.ndarray, "resamples episodes"]


class ComparedLayer:
    """A layer's values over the states, (states, units), as the comparisons need them."""

    def __init__(self, values: Float[np.ndarray, "states units"], resamples: Resamples) -> None:
        values = values.astype(float)
        self.resamples = resamples
        self._kernels = {"cka": kernel(values)}
        spread = values.std(0)
        living = spread > 1e-9 * np.abs(values).max(initial=0.0)
        self._kernels["cka_standardized"] = kernel(values[:, living] / spread[living])
        # a tenth as many directions as states
        most = max(1, len(values) // FOR_A_COMPONENT)
        self.components = principal_components(values, most=most)
        self._own: dict[str, tuple[float, np.ndarray]] = {}

    def shuffled(self, order: Int[np.ndarray, "states"]) -> ComparedLayer:
        """The same with its states in another order: related to nothing, of the same spread."""
        made = object.__new__(ComparedLayer)
        made.resamples, made._own = self.resamples, self._own
        made._kernels = {name: k[np.ix_(order, order)] for name, k in self._kernels.items()}
        made.components = self.components[order]
        return made

    def kernel_for(self, measure: str) -> Float[np.ndarray, "states states"]:
        """Of centred features, for "cka", "cka_standardized" or "cka_without_first"."""
        if measure not in self._kernels:
            self._kernels[measure] = without_first(self._kernels["cka"])
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
            self._own[measure] = kernel_criterion(k, k), found
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


class Comparison(NamedTuple):
    """value: of two layers. resampled: in each resample; None where it takes too long."""

    value: Callable[[ComparedLayer, ComparedLayer], float]
    resampled: Callable[[ComparedLayer, ComparedLayer], np.ndarray] | None


def _cka(measure: str) -> Comparison:
    def value(a: ComparedLayer, b: ComparedLayer) -> float:
        shared = kernel_criterion(a.kernel_for(measure), b.kernel_for(measure))
        return float(alignment(shared, a.own_criterion(measure), b.own_criterion(measure)))

    def resampled(a: ComparedLayer, b: ComparedLayer) -> np.ndarray:
        shared = resampled_criteria(
            a.kernel_for(measure), b.kernel_for(measure), *a.resamples
        )
        return np.asarray(alignment(shared, a.own_resampled(measure), b.own_resampled(measure)))

    return Comparison(value, resampled)


def _svcca(a: ComparedLayer, b: ComparedLayer) -> float:
    found = canonical_correlations(a.components, b.components)[0]
    return float(found.mean()) if len(found) else float("nan")


def _resampled_svcca(a: ComparedLayer, b: ComparedLayer) -> np.ndarray:
    turned = a.whitening @ products(a, b) @ b.whitening.transpose(0, 2, 1)
    return np.linalg.svd(turned, compute_uv=False).mean(1)


def _pwcca(a: ComparedLayer, b: ComparedLayer) -> float:
    return pwcca(a.components, b.components, variance=1.0)


def _procrustes(a: ComparedLayer, b: ComparedLayer) -> float:
    return procrustes_similarity(a.components, b.components)


def _resampled_procrustes(a: ComparedLayer, b: ComparedLayer) -> np.ndarray:
    lengths = [np.sqrt(np.einsum("rii->r", c.spreads)) for c in (a, b)]
    return np.linalg.svd(products(a, b), compute_uv=False).sum(1) / (lengths[0] * lengths[1])


COMPARISONS: dict[str, Comparison] = {
    "cka": _cka("cka"),
    "cka_standardized": _cka("cka_standardized"),
    "cka_without_first": _cka("cka_without_first"),
    "svcca": Comparison(_svcca, _resampled_svcca),
    "pwcca": Comparison(_pwcca, None),
    "procrustes": Comparison(_procrustes, _resampled_procrustes),
}
