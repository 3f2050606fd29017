"""Methods that lay points out in the plane: t-SNE and UMAP, and where new points go among old.

t-SNE is openTSNE's (Policar et al., 2024, https://doi.org/10.18637/jss.v109.i03), UMAP umap-learn's
(McInnes et al., 2018, https://arxiv.org/abs/1802.03426).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float32, Float64

from atari_zoo.analysis.embedding.umap_learn import umap_class
from atari_zoo.analysis.measures.divergence import affinities
from atari_zoo.seeds import generator_seed
from atari_zoo.threads import cores

EXAGGERATED = 250  # t-SNE's first iterations
BEGUN = 1e-4  # standard deviation of the places to begin from
TOLD = 50  # iterations between two calls of `progress`
CALM = 0.1  # learning rate of points that are placed among others that do not move
Points = Float32[np.ndarray, "points features"]
Places = Float64[np.ndarray, "points 2"]
Told = Callable[[int], None]


@dataclass(frozen=True)
class Layout:
    """How points are laid out.

    perplexity: the size of a neighbourhood; of UMAP its number of neighbours.
    iterations: t-SNE's exaggerated ones among them; UMAP's epochs.
    """

    perplexity: float = 30.0
    iterations: int = 3000


class Method(Protocol):
    """What lays out points.

    iterations: as a rule.
    """

    iterations: int

    def lay_out(self, points: Points, near: Any, layout: Layout, seed: int, told: Told) -> Places:
        """Places of the points.

        points: by their principal components, the largest first. near: their `affinities`.
        seed: 0 begins from the first two components, others from random places.
        told: called with how many iterations are done.
        """

    def place(self, points: Points, places: Places, new: Points, layout: Layout) -> Places:
        """Places of new points among old ones, which stay where they are."""


class TSNE:
    """t-SNE of exact neighbours; repulsion by Barnes and Hut, or interpolated from 10,000 points."""

    iterations = 3000

    def lay_out(self, points: Points, near: Any, layout: Layout, seed: int, told: Told) -> Places:
        """See `Method`."""
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
            n_jobs=cores(),
            random_state=generator_seed(seed) % 2**32,
            callbacks=tick,
            callbacks_every_iters=TOLD,
        )
        begun = beginning(points, seed)
        return np.array(made.fit(affinities=near, initialization=begun), np.float64)

    def place(self, points: Points, places: Places, new: Points, layout: Layout) -> Places:
        """See `Method`; new points see the old ones alone, never each other."""
        from openTSNE import TSNEEmbedding

        near = affinities(points, layout.perplexity, cores())
        middle = (places.max(axis=0) + places.min(axis=0)) / 2
        old = TSNEEmbedding(
            places.copy(), near, negative_gradient_method=_repulsion(len(points)), n_jobs=cores()
        )
        # `transform` moves the old ones' middle to 0
        found = old.transform(np.asarray(new, np.float64), learning_rate=CALM)
        return np.array(found, np.float64) + middle


class UMAP:
    """UMAP, in one thread, so that the same seed gives the same places."""

    iterations = 500

    def lay_out(self, points: Points, near: Any, layout: Layout, seed: int, told: Told) -> Places:
        """See `Method`; its own neighbours, not `near`, and it tells nothing until it is done."""
        made = self._made(layout, seed, beginning(points, seed) / BEGUN)
        found = np.array(made.fit_transform(points), np.float64)
        told(layout.iterations)
        return found

    def place(self, points: Points, places: Places, new: Points, layout: Layout) -> Places:
        """See `Method`."""
        made = self._made(layout, 0, places.astype(np.float32))
        made.n_epochs = 0  # neighbours are found anew, and nothing is moved
        made.fit(points)
        made.embedding_ = places.astype(np.float32)
        made.n_epochs = layout.iterations
        return np.array(made.transform(new), np.float64)

    def _made(self, layout: Layout, seed: int, begun: np.ndarray) -> Any:
        return umap_class()(
            n_neighbors=round(layout.perplexity),
            n_epochs=layout.iterations,
            init=begun,
            random_state=generator_seed(seed) % 2**32,
            n_jobs=1,
        )


METHODS: dict[str, Method] = {"tsne": TSNE(), "umap": UMAP()}


def method_named(name: str) -> Method:
    """Raises ValueError, with those there are, if there is none."""
    if name not in METHODS:
        raise ValueError(f"no method '{name}'; there are {', '.join(METHODS)}")
    return METHODS[name]


def beginning(points: Points, seed: int) -> Places:
    """Small places to begin from: the first two principal components, or random ones."""
    if seed:
        random = np.random.default_rng(generator_seed(seed))
        return random.normal(size=(len(points), 2)) * BEGUN
    return points[:, :2].astype(np.float64) / points[:, 0].std() * BEGUN


def _repulsion(count: int) -> str:
    return "bh" if count < 10_000 else "fft"
