"""Images as smooth as what they reach allows: the weight of total variation, found for each sample.

A weight that suits one unit leaves another noise, and of a third nothing but grey. So what can be
reached without a penalty is looked up first; then the weight is a Lagrange multiplier, which grows
while more than a share of that is kept and shrinks while less is (Platt and Barr, 1987,
https://papers.nips.cc/paper/4-constrained-differential-optimization).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.viz.objectives.objectives import Objective

KEPT = 0.6  # of what can be gained
PROBED = 2  # the steps of which one part is taken to look up what can be gained
RATE = 0.15  # by how much the logarithm of the weight changes, where all that can be is gained
VARIATION = 300.0  # of an image with a few shapes: what the first weight is measured against
TINY = 1e-12  # where nothing can be gained
LAST = 8  # steps whose mean is what was reached: each has other transforms


class Smoothing:
    """The weights of a batch.

    probed: the objective before each step of an ascent without a penalty.
    kept: which share of the gain is to be kept. smoothed: which samples are to be smooth at all.

    weights: of total variation, now. reach: what was reached without.
    """

    def __init__(
        self,
        probed: Float[Tensor, "steps batch"],
        kept: float,
        smoothed: Float[Tensor, "batch"],
    ) -> None:
        self._start, self._kept = probed[0], kept
        self.reach = probed[-LAST:].mean(dim=0)
        self._recent = probed[0]
        self.weights = smoothed * self._gain / VARIATION

    @property
    def _gain(self) -> Float[Tensor, "batch"]:
        return (self.reach - self._start).clamp_min(TINY)

    def penalty(self, images: Tensor) -> Float[Tensor, "batch"]:
        """What the images cost."""
        down, right = images.diff(dim=2), images.diff(dim=3)
        variation = down.abs().flatten(1).sum(dim=1) + right.abs().flatten(1).sum(dim=1)
        return self.weights * variation

    def adapt(self, heights: Float[Tensor, "batch"]) -> None:
        """The next weights, where the objective is so high now."""
        self._recent = self._recent + (heights - self._recent) / LAST
        self.reach = torch.maximum(self.reach, self._recent)  # more can be gained than was known
        over = (heights - self._start) / self._gain - self._kept
        self.weights = self.weights * (RATE * over.clamp(-1, 1)).exp()


def smoothed_samples(objective: Objective, count: int) -> Float[Tensor, "batch"]:
    """1 of a sample that asks nothing of the image itself, else 0: its penalties are its own."""
    own = [t.weight.expand(count) != 0 for t in objective.terms if not t.wanted and not t.couples]
    return 1.0 - torch.stack(own).any(dim=0).float() if own else torch.ones(count)
