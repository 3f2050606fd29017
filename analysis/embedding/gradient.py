"""The gradient that openTSNE's descent asks for at each iteration, its repulsion interpolated."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64

from atari_zoo.analysis.embedding.repulsion import Repulsion, too_wide


class InterpolatedGradient:
    """Of KL(P || Q) in the plane; for openTSNE's `negative_gradient_method`, of one layout.

    Points too far apart for a grid get openTSNE's, by Barnes and Hut.
    """

    def __init__(self) -> None:
        self._repulsion = Repulsion()

    def __call__(
        self, embedding: Float64[np.ndarray, "points 2"], probabilities: Any, **asked: Any
    ) -> tuple[float, Float64[np.ndarray, "points 2"]]:
        """The divergence, or 0 if it is not asked for, and the gradient as openTSNE scales it:
        a quarter.

        asked: what openTSNE gives its own methods.
        """
        from openTSNE import _tsne
        from openTSNE.tsne import kl_divergence_bh

        places = np.asarray(embedding)
        if too_wide(places):
            return kl_divergence_bh(embedding, probabilities, **asked)
        forces, normalizer = self._repulsion(places)
        gradient = -forces / normalizer
        mass, divergence = _tsne.estimate_positive_gradient_nn(
            probabilities.indices,
            probabilities.indptr,
            probabilities.data,
            places,
            places,
            gradient,  # is added to
            asked["dof"],
            num_threads=asked["n_jobs"],
            should_eval_error=asked["should_eval_error"],
        )
        if asked["should_eval_error"]:
            divergence += mass * np.log(normalizer)
        return divergence, gradient
