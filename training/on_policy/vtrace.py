"""V-trace: values and advantages from the play of an older policy.

Espeholt et al., 2018, https://arxiv.org/abs/1802.01561, section 4.1 and remark 1.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class VTrace(NamedTuple):
    """What the learner learns from; no gradient passes through."""

    targets: Float[Tensor, "time envs"]  # v_s: what the value of state s should be
    advantages: Float[Tensor, "time envs"]  # rho_s (r_s + gamma v_s+1 - V(x_s))


@torch.no_grad()
def vtrace(
    log_ratios: Float[Tensor, "time envs"],
    rewards: Float[Tensor, "time envs"],
    over: Bool[Tensor, "time envs"],
    values: Float[Tensor, "time envs"],
    bootstrap: Float[Tensor, "envs"],
    discount: float,
    bars: tuple[float, float] = (1.0, 1.0),
) -> VTrace:
    """Targets and advantages of an unroll, by the paper's recursion from its end.

    log_ratios: log(pi / mu) of the actions taken, pi being the policy that learns and mu the one
        that acted.
    over: where an episode ended with the action; what follows belongs to another.
    values, bootstrap: V of the states acted in, and of the state after the last action.
    bars: where the ratios are cut off, as rho and as c: rho decides what is converged to, c how
        fast.
    """
    ratios = log_ratios.exp()
    rhos, cs = (ratios.clamp(max=bar) for bar in bars)
    discounts = discount * (~over).to(values.dtype)
    following = torch.cat([values[1:], bootstrap[None]])  # V(x_s+1)
    deltas = rhos * (rewards + discounts * following - values)
    corrections = torch.empty_like(values)  # v_s - V(x_s)
    ahead = torch.zeros_like(bootstrap)
    for step in reversed(range(len(values))):
        ahead = deltas[step] + discounts[step] * cs[step] * ahead
        corrections[step] = ahead
    targets = values + corrections
    following = torch.cat([targets[1:], bootstrap[None]])  # v_s+1
    return VTrace(targets, rhos * (rewards + discounts * following - values))
