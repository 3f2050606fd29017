"""SARFA, specific and relevant feature attribution (Puri et al., 2020,
https://arxiv.org/abs/1912.12191; https://github.com/nikaashpuri/sarfa-saliency), batched.

The authors publish two softmaxes over the other actions: their library takes one of whatever values
it is given, their Atari file renormalizes the policy. Of Q-values or logits these are the same
function; they differ where the library is given a policy's probabilities, as its variant here is.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atari_zoo.viz.attribution.blurring import blurred
from atari_zoo.viz.attribution.methods.perturbation import place_masks, responses, spread
from atari_zoo.viz.attribution.registry import Case, method
from atari_zoo.viz.attribution.scores import OUTPUT

VARIANTS = ("renormalized", "library")
DIVERGENCES = ("code", "paper")
TINY = 1e-30  # keeps the logarithm of a probability that float32 takes for zero


@method("https://arxiv.org/abs/1912.12191", action=True, signed=False, unit="0 to 1")
def sarfa(
    case: Case,
    *,
    variant: str = "renormalized",
    divergence: str = "code",
    step: int = 5,
    radius: float = 5.0,
    blur: float = 3.0,
    frames: str = "together",
) -> Float[Tensor, "batch covered height width"]:
    """How much a place matters to one action's probability and to no other's, 0 to 1.

    variant: "renormalized", the policy without the action; "library", a softmax of the policy.
    divergence: "code", of the perturbed others from the original; "paper", the other way round.
    step, radius, frames: as of greydanus. blur: of what a place is replaced with; 0 for black
        discs, as Huber et al. (2022, https://arxiv.org/abs/2101.07312) have it.
    """
    actions = explained_actions(case)
    if blur < 0:
        raise ValueError(f"blur is {blur}; expected 0 or more")
    masks = place_masks(case.observations, step, radius, frames, blurry=blur > 0)
    found = []
    for seen, action in zip(case.observations, actions, strict=True):
        instead = blurred(seen, blur) if blur > 0 else torch.zeros_like(seen)
        with torch.no_grad():
            before = case.network(seen[None])
        after = torch.cat(list(responses(case.network, OUTPUT, seen, instead, masks)))
        scores = sarfa_scores(before, after, action.item(), variant, divergence)
        found.append(spread(scores, seen.shape, step, frames))
    return torch.stack(found)


def sarfa_scores(
    before: Float[Tensor, "1 actions"],
    after: Float[Tensor, "masks actions"],
    action: int,
    variant: str = "renormalized",
    divergence: str = "code",
) -> Float[Tensor, "masks"]:
    """The formula: 2 dP K / (dP + K) where the action loses probability dP > 0, else 0.

    before, after: outputs, Q-values or logits, without and with the perturbation.
    K = 1 / (1 + KL) of the other actions' distributions, before and after.
    Raises ValueError for another variant or divergence.
    """
    if variant not in VARIANTS or divergence not in DIVERGENCES:
        raise ValueError(
            f"variant is '{variant}' and divergence '{divergence}'; "
            f"expected one of {', '.join(VARIANTS)} and one of {', '.join(DIVERGENCES)}"
        )
    if variant == "library":
        before, after = before.softmax(dim=1), after.softmax(dim=1)
    drop = before.softmax(dim=1)[:, action] - after.softmax(dim=1)[:, action]
    first, second = _others(before, action), _others(after, action)
    if divergence == "paper":
        first, second = second, first
    distance = (first * ((first + TINY).log() - (second + TINY).log())).sum(dim=1)
    kept = 1 / (1 + distance)
    return torch.where(drop > 0, 2 * drop * kept / (drop + kept), torch.zeros_like(drop))


def explained_actions(case: Case) -> Int[Tensor, "batch"]:
    """The action of each observation that the target names.

    Raises ValueError if the target is no action's output.
    """
    weights = case.score.arguments
    if case.score.layer != OUTPUT or not weights or not (weights[0].amin() >= 0):
        raise ValueError("sarfa explains an action: give chosen, an action's number or its name")
    return weights[0].argmax(dim=1)


def _others(values: Tensor, action: int) -> Tensor:
    """The distribution over the other actions: the policy renormalized without this one."""
    return torch.cat([values[:, :action], values[:, action + 1 :]], dim=1).softmax(dim=1)
