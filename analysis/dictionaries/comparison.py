"""A dictionary beside its controls: what it gives back, and what the agent then does."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.analysis.dictionaries.dictionaries import Dictionary
from atari_zoo.analysis.dictionaries.held_out import HeldOut
from atari_zoo.analysis.dictionaries.reconstruction import (
    Estimate,
    active_count,
    dead_share,
    divergences,
    ratio_over_episodes,
    squared_errors,
)
from atari_zoo.intervals import interval


class Finding(NamedTuple):
    """One number. dictionary: whose. feature: which of its features; -1 of all together.
    what: a name, of an action or a variable."""

    dictionary: str
    feature: int
    measure: str
    what: str
    estimate: Estimate


def measure_dictionary(
    called: str,
    dictionary: Dictionary,
    learned: Float[Tensor, "moments units"],
    held: HeldOut,
    seed: int,
) -> list[Finding]:
    """What it gives back of held-out episodes, and how far the network's outputs move with that.

    learned: the values that it was made from, at which a feature lives or is dead.
    """
    codes = dictionary.codes(held.values)
    missed, spread = squared_errors(held.values, dictionary(held.values))
    changed = held.outputs_with(dictionary)
    same, kl = divergences(held.outputs, changed, held.network.card.action_rule)
    ones = np.ones(len(same))
    parts = {
        "fvu": (missed, spread),
        "l0": (active_count(codes), ones),
        "agreement": (same, ones),
        "kl": (kl, ones),
    }
    found = {
        name: ratio_over_episodes(above, below, held.episodes, seed)
        for name, (above, below) in parts.items()
    }
    dead = dead_share(_codes(dictionary, learned))
    found["dead"] = Estimate(dead, np.nan, np.nan, len(dictionary.decoder))
    return [Finding(called, -1, name, "", estimate) for name, estimate in found.items()]


def measure_returns(called: str, returns: Float[np.ndarray, "episodes"], seed: int) -> Finding:
    """The mean of some episodes' scores."""
    ends = interval(list(returns), seed)
    return Finding(called, -1, "score", "", Estimate(float(np.mean(returns)), *ends, len(returns)))


def _codes(dictionary: Dictionary, values: Tensor) -> Tensor:
    return torch.cat([dictionary.codes(some) for some in values.split(1024)])
