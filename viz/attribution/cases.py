"""An attribution step by step: what is asked is checked and looked up, then explained in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.converters.network.foreign import Network
from atari_zoo.viz.attribution.baselines import BaselineLike, references
from atari_zoo.viz.attribution.module_checks import check_modules
from atari_zoo.viz.attribution.registry import AttributionMethod, Case
from atari_zoo.viz.attribution.targets import TargetLike, target_score

AT_ONCE = 32  # observations at a time: bounds the memory
NOTHING: Mapping[str, Any] = {}


class Attribution(NamedTuple):
    """values: of each pixel, in units of the target where the method has such; methods that do not
    tell frames apart give one map. delta: by how much the values' sum misses what it should be,
    target(x) - target(baseline), of LRP target(x); None of methods that promise no sum."""

    values: Float[Tensor, "batch covered height width"]
    delta: Float[Tensor, "batch"] | None = None

    def per_frame(self) -> Float[Tensor, "batch covered"]:
        """The sum of each frame's values, oldest first."""
        return self.values.sum(dim=(2, 3))


def case_for(
    network: Network,
    observations: Tensor,
    method: AttributionMethod,
    target: TargetLike = "chosen",
    baseline: BaselineLike = "black",
    seed: int = 0,
) -> Case:
    """What `attribute` would explain: the target and baselines of these observations, looked up.

    observations: (batch, frames, height, width), floats in 0..1.
    Raises ValueError if something is not there.
    """
    _check(network, observations)
    weight = next(network.parameters())
    observations = observations.detach().to(weight.device, weight.dtype)
    if not method.target and str(target) != "chosen":
        raise ValueError(
            f"{method.name} measures all outputs, not '{target}'; leave the target out, "
            "or ask for side='critic'"
        )
    if method.baselines == "none" and not (isinstance(baseline, str) and baseline == "black"):
        raise ValueError(f"{method.name} compares with no baseline; leave it out")
    compared = references(observations, baseline)
    if method.baselines == "one" and compared.shape[1] > 1:
        raise ValueError(
            f"{method.name} compares with one baseline, not {compared.shape[1]}; "
            "deep_shap and gradient_shap take several"
        )
    return Case(network, target_score(network, observations, target), observations, compared, seed)


def attributed(
    method: AttributionMethod,
    case: Case,
    options: Mapping[str, Any] = NOTHING,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Attribution:
    """`attribute` of a case that `case_for` made, or one like it.

    progress: called with the observations done and those there are.
    Raises ValueError if the method would be wrong on this network.
    """
    check_modules(method, case)
    parts: list[Tensor] = []
    for part in parts_of(case):
        parts.append(method.function(part, **options).detach())
        progress(sum(map(len, parts)), len(case.observations))
    values = torch.cat(parts) if parts else case.observations
    return Attribution(values, _delta(method, case, values))


def parts_of(case: Case) -> Iterator[Case]:
    """The case, a batch of observations at a time."""
    for start in range(0, len(case.observations), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        yield Case(
            case.network,
            case.score.at(some),
            case.observations[some],
            case.references[some],
            case.seed,
        )


def _delta(method: AttributionMethod, case: Case, values: Tensor) -> Float[Tensor, "batch"] | None:
    """How far the sums are from what the method promises."""
    if not method.complete or not len(values):
        return None
    with torch.no_grad():
        promised = torch.cat([_promised(method, part) for part in parts_of(case)])
    return values.detach().sum(dim=(1, 2, 3)) - promised


def _promised(method: AttributionMethod, case: Case) -> Float[Tensor, "batch"]:
    whole = case.score(case.observations, *case.score.arguments)
    if method.complete == "whole":
        return whole
    several = case.references.unbind(dim=1)
    return whole - sum(case.score(some, *case.score.arguments) for some in several) / len(several)


def _check(network: Network, observations: Tensor) -> None:
    if not observations.is_floating_point():
        raise ValueError(
            f"observations are {observations.dtype}; gradients need floats in 0..1: "
            "divide bytes by 255"
        )
    if observations.numel() and not 0 <= observations.min() <= observations.max() <= 1:
        raise ValueError(
            f"observations are in {observations.min():g}..{observations.max():g}; "
            "expected 0..1: divide bytes by 255"
        )
    if getattr(network, "bytes", False):
        raise ValueError("this network takes bytes alone, by which no pixel can be varied a little")
