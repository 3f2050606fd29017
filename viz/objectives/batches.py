"""Objectives between the samples of a batch (Olah et al., 2017,
https://distill.pub/2017/feature-visualization): several images of one unit that differ, or a
row of images that change little from one to the next."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from atari_zoo.viz.objectives.objectives import Objective, Term
from atari_zoo.viz.objectives.values import IMAGE, Reference

REACH = 4  # neighbours further than these are not compared


def diversity(layer: str) -> Objective:
    """How little the samples' styles resemble each other, in -1..0 a sample.

    The style is the Gram matrix of a convolution's channels, or a dense layer's values; the
    number is minus the mean cosine to the other samples' styles.
    """
    term = Term(_diversity, (Reference(layer),), couples=True)
    return Objective((term,), (f"diversity:{layer}",))


def alignment(layer: str | None = None, decay: float = 2.0) -> Objective:
    """How little neighbouring samples differ, of the image or of a layer's values: 0 at best.

    Minus the mean squared difference to the first, second ... fourth neighbour, divided by
    decay^1, decay^2 ...; each of two samples bears half.
    """
    reference = IMAGE if layer is None else Reference(layer)
    term = Term(_alignment, (reference,), options=(decay,), couples=True)
    return Objective((term,), ("alignment" if layer is None else f"alignment:{layer}",))


def _diversity(values: Tensor) -> Float[Tensor, "batch"]:
    flat = values.float().flatten(2) if values.ndim > 2 else values.float()[:, :, None]
    styles = flat if values.ndim == 2 else flat @ flat.transpose(1, 2)
    styles = F.normalize(styles.flatten(1), dim=1)
    alike = styles @ styles.T
    others = len(values) - 1
    return -(alike.sum(dim=1) - alike.diagonal()) / max(others, 1)


def _alignment(values: Tensor, decay: float) -> Float[Tensor, "batch"]:
    total = torch.zeros(len(values), device=values.device)
    for distance in range(1, min(REACH, len(values) - 1) + 1):
        apart = (values[distance:] - values[:-distance]).float().square().flatten(1).mean(dim=1)
        shares = apart / (2 * decay**distance)
        total = total - F.pad(shares, (0, distance)) - F.pad(shares, (distance, 0))
    return total
