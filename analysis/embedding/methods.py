"""Methods that lay points out in the plane: t-SNE and UMAP, and where new points go among old.

t-SNE is openTSNE's (Policar et al., 2024, https://doi.org/10.18637/jss.v109.i03) but for the
repulsion of many points, UMAP umap-learn's (McInnes et al., 2018, https://arxiv.org/abs/1802.03426).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64

from atari_zoo.analysis.embedding.gradient import InterpolatedGradient
from atari_zoo.analysis.embedding.umap_learn import umap_class
from atari_zoo.analysis.measures.divergence import affinities
from atari_zoo.seeds import generator_seed

EXAGGERATED = 250  # t-SNE's first iterations
BEGUN = 1e-4  # standard deviation of the places to begin from
TOLD = 50  # iterations between two calls of `progress`
MANY = 2000  # points, of which Barnes and Hut's way takes longer than a grid's
CALM = 0.1  # learning rate of points that are placed among others that do not move
Points = Float32[np.ndarray, "points features"]
New = Float32[np.ndarray, "new features"]
Places = Float64[np.ndarray, "points 2"]
NewPlaces = Float64[np.ndarray, "new 2"]
Told = Callable[[int], None]


@dataclass(frozen=True)
class MapSettings:
    """How points are laid out.

    perplexity: the size of a neighbourhood; of UMAP its number of neighbours.
    iterations: t-SNE's exaggerated ones among them; UMAP's epochs. seed: of what is drawn.
    """

    perplexity: float = 30.0
    iterations: int = 3000
    seed: int = 0


class MapMethod(ABC):
    """What lays out points.

    iterations: as a rule. by_affinities: whether it is those that it fits.
    """

    iterations: int
    by_affinities: bool

    @abstractmethod
    def lay_out(
        self, points: Points, near: Any, begun: Places, layout: MapSettings, told: Told
    ) -> Places:
        """Places of the points.

        points: by their principal components, the largest first.
        near: their `affinities`; None for a method that does not ask for them.
        begun: where to begin from.
        told: called with how many iterations are done.
        """

    @abstractmethod
    def place(self, points: Points, places: Places, new: New, layout: MapSettings) -> NewPlaces:
        """Places of new points among old ones, which stay where they are."""


class TSNE(MapMethod):
    """t-SNE of exact neighbours; repulsion by Barnes and Hut, from 2,000 points interpolated."""

    iterations, by_affinities = 3000, True

    def lay_out(
        self, points: Points, near: Any, begun: Places, layout: MapSettings, told: Told
    ) -> Places:
        from openTSNE import TSNE as OpenTSNE

        if layout.iterations <= EXAGGERATED:
            raise ValueError(
                f"{layout.iterations} iterations; the first {EXAGGERATED} only pull neighbours "
                f"together: give more, such as {self.iterations}"
            )
        done = [0]

        def tick(iteration: int, error: float, embedding: np.ndarray) -> None:
            done[0] += TOLD
            told(done[0])

        made = OpenTSNE(
            early_exaggeration_iter=EXAGGERATED,
            n_iter=layout.iterations - EXAGGERATED,
            n_jobs=torch.get_num_threads(),
            random_state=generator_seed(layout.seed) % 2**32,
            negative_gradient_method=InterpolatedGradient() if len(points) >= MANY else "bh",
            callbacks=tick,
            callbacks_every_iters=TOLD,
        )
        return np.array(made.fit(affinities=near, initialization=begun), np.float64)

    def place(self, points: Points, places: Places, new: New, layout: MapSettings) -> NewPlaces:
        # new points see the old ones alone, never each other
        from openTSNE import TSNEEmbedding

        near = affinities(points, layout.perplexity, torch.get_num_threads())
        middle = (places.max(axis=0) + places.min(axis=0)) / 2
        old = TSNEEmbedding(
            places.copy(),
            near,
            negative_gradient_method="bh" if len(points) < 10_000 else "fft",
            n_jobs=torch.get_num_threads(),
        )
        # `transform` moves the old ones' middle to 0
        found = old.transform(np.asarray(new, np.float64), learning_rate=CALM)
        return np.array(found, np.float64) + middle


class UMAP(MapMethod):
    """UMAP, in one thread, so that a seed gives the same places again."""

    iterations, by_affinities = 500, False

    def lay_out(
        self, points: Points, near: Any, begun: Places, layout: MapSettings, told: Told
    ) -> Places:
        made = self._made(layout, begun / BEGUN)
        found = np.array(made.fit_transform(points), np.float64)
        told(layout.iterations)
        return found

    def place(self, points: Points, places: Places, new: New, layout: MapSettings) -> NewPlaces:
        made = self._made(layout, places)
        made.n_epochs = 0  # neighbours are found anew, and nothing is moved
        made.fit(points)
        made.embedding_ = places.astype(np.float32)
        made.n_epochs = layout.iterations
        return np.array(made.transform(new), np.float64)

    def _made(self, layout: MapSettings, begun: Places) -> Any:
        return umap_class()(
            n_neighbors=round(layout.perplexity),
            n_epochs=layout.iterations,
            init=begun.astype(np.float32),
            random_state=generator_seed(layout.seed) % 2**32,
            n_jobs=1,
        )


METHODS: dict[str, MapMethod] = {"tsne": TSNE(), "umap": UMAP()}


def map_method(name: str) -> MapMethod:
    """Raises ValueError, with those there are, if there is none."""
    if name not in METHODS:
        raise ValueError(f"no method '{name}'; there are {', '.join(METHODS)}")
    return METHODS[name]


def from_components(points: Points) -> Places:
    """Small places to begin from: the first two principal components."""
    return points[:, :2].astype(np.float64) / points[:, 0].std() * BEGUN


def from_chance(points: Points, seed: int) -> Places:
    """Small places to begin from, drawn."""
    return np.random.default_rng(generator_seed(seed)).normal(size=(len(points), 2)) * BEGUN
