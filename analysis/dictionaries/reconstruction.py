"""Reconstruction of a layer from few directions: how well, and what an agent then chooses."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from atari_zoo.analysis.measures.resampling import episode_sums, measure_interval

ACTIVE = 1e-3  # of a feature that is not silent, in units of the layer's spread


class Estimate(NamedTuple):
    """A number, the ends of its interval (NaN where there are none), and of how many it is."""

    value: float
    low: float
    high: float
    n: int


def ratio_over_episodes(
    parts: Float[np.ndarray, "moments"],
    wholes: Float[np.ndarray, "moments"],
    episodes: Int[np.ndarray, "moments"],
    seed: int = 0,
) -> Estimate:
    """sum(parts) / sum(wholes), and its bootstrap over whole episodes.

    n: of the episodes. Of one there is no interval; of fewer than 4 it is the lowest and highest.
    """
    if not len(parts):
        return Estimate(np.nan, np.nan, np.nan, 0)
    sums = episode_sums(np.stack([parts, wholes], axis=1), episodes)
    low, high = measure_interval(sums, _ratio, seed)
    return Estimate(
        float(_ratio(sums.sum(axis=0, keepdims=True))[0]), float(low), float(high), len(sums)
    )


def _ratio(sums: Float[np.ndarray, "*resamples 2"]) -> Float[np.ndarray, "*resamples"]:
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums[..., 0] / sums[..., 1]


def squared_errors(
    values: Float[Tensor, "moments units"], given_back: Float[Tensor, "moments units"]
) -> tuple[Float[np.ndarray, "moments"], Float[np.ndarray, "moments"]]:
    """Of each moment: what was missed, and what the mean alone would miss. The ratio of their sums
    is FVU, the fraction of variance unexplained, 1 - R^2 over all units together."""
    missed = (values - given_back).double().square().sum(dim=1)
    spread = (values - values.mean(dim=0)).double().square().sum(dim=1)
    return missed.cpu().numpy(), spread.cpu().numpy()


def outputs_to_policy(
    intact: Float[Tensor, "moments actions"], rule: str
) -> Callable[[Float[Tensor, "moments actions"]], Float[Tensor, "moments actions"]]:
    """What makes log-probabilities of outputs.

    Of agents that sample (`rule`), the softmax of their logits, which is how they act. Values and
    scores have a scale of their own: they are divided by the mean, over the moments, of the
    intact outputs' standard deviation over the actions.
    """
    spread = 1.0 if rule == "sample" else float(intact.std(dim=1, correction=0).mean())
    scale = spread if spread > 0 else 1.0
    return lambda outputs: (outputs.double() / scale).log_softmax(dim=1)


def divergences(
    intact: Float[Tensor, "moments actions"], changed: Float[Tensor, "moments actions"], rule: str
) -> tuple[Float[np.ndarray, "moments"], Float[np.ndarray, "moments"]]:
    """Of each moment, whether the best action stays the same (1 or 0), and KL(intact || changed)
    of the policies, in bits: see `outputs_to_policy`."""
    return between(intact, changed, outputs_to_policy(intact, rule))


def between(
    intact: Tensor, changed: Tensor, log_policy: Callable[[Tensor], Tensor]
) -> tuple[Float[np.ndarray, "moments"], Float[np.ndarray, "moments"]]:
    """The same with a given way to make policies of outputs."""
    same = (intact.argmax(dim=1) == changed.argmax(dim=1)).double()
    before, after = log_policy(intact), log_policy(changed)
    kl = (before.exp() * (before - after)).sum(dim=1).clamp(min=0) / math.log(2)
    return same.cpu().numpy(), kl.cpu().numpy()


def dead_share(codes: Float[Tensor, "moments features"]) -> float:
    """The share of features that are active at none of the moments."""
    return float((codes.abs() <= ACTIVE).all(dim=0).double().mean())


def active_count(codes: Float[Tensor, "moments features"]) -> Float[np.ndarray, "moments"]:
    """L0: how many features are active at each moment."""
    return (codes.abs() > ACTIVE).sum(dim=1).double().cpu().numpy()


def torch_rows(values: np.ndarray, layer: str) -> Float[Tensor, "moments units"]:
    """A layer's values as rows. Raises ValueError if they are maps."""
    if values.ndim != 2:
        shape = "x".join(map(str, values.shape[1:]))
        raise ValueError(
            f"{layer} has maps of {shape}; features are learned of layers of plain units, such as "
            "fc"
        )
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
