"""Real policies that others trained, and what is known of them.

They stand beside the checkout, in shared/policies, or where ATARI_ZOO_POLICIES says.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "policies"
POLICIES = Path(os.environ.get("ATARI_ZOO_POLICIES", BESIDE))
needs_policies = pytest.mark.skipif(not POLICIES.is_dir(), reason=f"no policies at {POLICIES}")

# file, game, action rule, episodes, the least mean score. Their origin reports 20.8, 1718, 577 and
# 229; random play scores -21, 130, 1 and 1. Single games in Breakout spread widely: those of the
# last from 17 to 370.
CASES = [
    ("acktr-Pong", "Pong", "argmax", 2, 18),
    ("acktr-Seaquest", "Seaquest", "sample", 4, 1500),
    ("acktr-Breakout", "Breakout", "sample", 2, 300),
    ("ppo-Breakout", "Breakout", "sample", 8, 60),
]


def by_hand(weights: dict[str, Tensor], seen: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and value, from the file's own names."""
    x = seen.float() / 255
    for name, stride in (("base.main.0", 4), ("base.main.2", 2), ("base.main.4", 1)):
        x = F.relu(F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride))
    x = F.relu(F.linear(x.flatten(1), weights["base.main.7.weight"], weights["base.main.7.bias"]))
    heads = ("dist.linear", "base.critic_linear")
    logits, value = (F.linear(x, weights[f"{h}.weight"], weights[f"{h}.bias"]) for h in heads)
    return logits, value


def widened(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same function with 64 filters in the last convolution: 32 of them are zero."""
    full = dict(weights)
    full["base.main.4.weight"] = torch.zeros(64, 64, 3, 3)
    full["base.main.4.weight"][:32] = weights["base.main.4.weight"]
    full["base.main.4.bias"] = F.pad(weights["base.main.4.bias"], (0, 32))
    full["base.main.7.weight"] = F.pad(weights["base.main.7.weight"], (0, 32 * 49))
    return full
