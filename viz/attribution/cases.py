"""An attribution step by step: what is asked is checked and looked up, then explained in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.agent_states import warn_of_zero_state
from atari_zoo.converters.displays import notebook_html
from atari_zoo.converters.network.finite import check_finite
from atari_zoo.converters.network.foreign import Network
from atari_zoo.observations import ObservationsLike, observations_for
from atari_zoo.seeds import generator_seed
from atari_zoo.viz.attribution.baselines import BaselineLike, references
from atari_zoo.viz.attribution.gradient_mode import check_slopes, differentiable, gradients
from atari_zoo.viz.attribution.module_checks import check_modules
from atari_zoo.viz.attribution.registry import AttributionMethod, Case
from atari_zoo.viz.attribution.targets import DECISION, TargetLike, resolved_target, target_score

AT_ONCE = 32  # observations at a time: bounds the memory
NOTHING: Mapping[str, Any] = {}


class Attribution(NamedTuple):
    """values: of each pixel, in units of the target where the method has such; methods that do not
    tell frames apart give one map. delta: by how much the values' sum misses what it should be,
    target(x) - target(baseline), of LRP target(x); None of methods that promise no sum."""

    values: Float[Tensor, "batch covered height width"]
    delta: Float[Tensor, "batch"] | None = None

    def _repr_html_(self) -> str | None:  # a NamedTuple takes no attribute that begins so
        return notebook_html(self)

    def __repr__(self) -> str:
        size, delta = tuple(self.values.shape), "no delta"
        if self.delta is not None and len(self.delta):
            delta = f"delta at most {float(self.delta.detach().abs().max()):.2g}"
        return f"<Attribution of {size[0]} observations: values {size}, {delta}>"

    def per_frame(self) -> Float[Tensor, "batch covered"]:
        """The sum of each frame's values, oldest first."""
        return self.values.sum(dim=(2, 3))


@gradients()
def case_for(
    network: Network,
    observations: ObservationsLike,
    method: AttributionMethod,
    target: TargetLike = DECISION,
    baseline: BaselineLike = "black",
    seed: int = 0,
) -> Case:
    """What `attribute` would explain: the target and baselines of these observations, looked up.

    observations: (batch, frames, height, width), or one without the batch; bytes, or floats in
        0..1.
    Raises ValueError if something is not there, or no number in 0..1.
    """
    seed = generator_seed(seed)
    check_finite(network)
    warn_of_zero_state(network)
    network = differentiable(network)
    weight = next(network.parameters())
    observations = _floats(network, observations).to(weight.device, weight.dtype)
    if method.gradients:
        check_slopes(network)
    asked = target_for(network, method, target)
    if method.baselines == "none" and not (isinstance(baseline, str) and baseline == "black"):
        raise ValueError(f"{method.name} compares with no baseline; leave it out")
    compared = references(observations, baseline)
    if method.baselines == "one" and compared.shape[1] > 1:
        raise ValueError(
            f"{method.name} compares with one baseline, not {compared.shape[1]}; "
            "deep_shap and gradient_shap take several"
        )
    return Case(network, target_score(network, observations, asked), observations, compared, seed)


def target_for(network: Network, method: AttributionMethod, target: TargetLike) -> TargetLike:
    """What the method explains where this target is asked for: of "decision" what it takes.

    Raises ValueError if the method has no target, and another one than the choice is asked for.
    """
    name, _, action = target.partition(":") if isinstance(target, str) else ("", "", "")
    if method.target:
        if method.action and name == DECISION:
            return action or "chosen"
        return resolved_target(network, target)
    if target not in (DECISION, "chosen") if isinstance(target, str) else True:
        raise ValueError(
            f"{method.name} measures all outputs, not '{target}'; leave the target out, "
            "or ask for side='critic'"
        )
    return "chosen"


@gradients()
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


def rises(case: Case) -> Float[Tensor, "batch"]:
    """How far the target of each observation lies above its baselines'."""
    with torch.no_grad():
        parts = [_whole(part) - _compared(part) for part in parts_of(case)]
    return torch.cat(parts) if parts else case.observations.new_zeros(0)


def _delta(method: AttributionMethod, case: Case, values: Tensor) -> Float[Tensor, "batch"] | None:
    """How far the sums are from what the method promises."""
    if not method.complete or not len(values):
        return None
    if method.complete == "rise":
        promised = rises(case)
    else:
        with torch.no_grad():
            promised = torch.cat([_whole(part) for part in parts_of(case)])
    return values.detach().sum(dim=(1, 2, 3)) - promised


def _whole(case: Case) -> Float[Tensor, "batch"]:
    return case.score(case.observations, *case.score.arguments)


def _compared(case: Case) -> Float[Tensor, "batch"]:
    several = case.references.unbind(dim=1)
    total = torch.stack([case.score(some, *case.score.arguments) for some in several])
    return total.mean(dim=0)


def _floats(network: Network, given: ObservationsLike) -> Tensor:
    """The observations as a normal tensor of floats, on their own device."""
    observations = observations_for(network, given)
    if not observations.is_floating_point():
        return observations.float() / 255
    return observations.detach().clone()  # a normal one also of what inference mode made
