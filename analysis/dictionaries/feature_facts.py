"""Facts of single features: when they are active, what goes with them, what they do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from atari_zoo.analysis.dictionaries.comparison import Finding
from atari_zoo.analysis.dictionaries.correlates import strongest_correlates
from atari_zoo.analysis.dictionaries.dictionaries import DRAWN, SPARSE, Dictionary
from atari_zoo.analysis.dictionaries.held_out import HeldOut
from atari_zoo.analysis.dictionaries.layer_changes import Change
from atari_zoo.analysis.dictionaries.reconstruction import (
    ACTIVE,
    Estimate,
    between,
    outputs_to_policy,
    ratio_over_episodes,
)
from atari_zoo.seeds import generator_seed

AT_ONCE = 256  # moments that a feature is ablated at, at most
APART = 15  # steps between two top moments of an episode: a second of play


def strongest_features(codes: Float[Tensor, "moments features"], count: int) -> list[int]:
    """Those of the largest mean activity, the strongest first; only such as are ever active."""
    means = codes.mean(dim=0)
    order = means.argsort(descending=True)[:count]
    return order[means[order] > 0].tolist()


def top_moments(
    activity: Float[np.ndarray, "moments"],
    episodes: Int[np.ndarray, "moments"],
    envs: int,
    count: int,
) -> list[int]:
    """The moments of the largest activity, of which no two of an episode are nearer in time than
    15 steps; of equal ones the first. Fewer where it is not active so often."""
    left = np.asarray(activity, float).copy()
    steps, found = np.arange(len(left)) // envs, list[int]()
    while len(found) < count and left[best := int(left.argmax())] > ACTIVE:
        found.append(best)
        left[(episodes == episodes[best]) & (np.abs(steps - steps[best]) < APART)] = -np.inf
    return found


def activity_facts(
    features: Sequence[int],
    codes: Float[Tensor, "moments features"],
    episodes: Int[np.ndarray, "moments"],
    seed: int,
) -> list[Finding]:
    """How strongly, and at which share of the moments, each is active."""
    ones, found = np.ones(len(codes)), []
    for feature in features:
        activity = codes[:, feature].double().numpy()
        for name, parts in (("activity", activity), ("active", (activity > ACTIVE).astype(float))):
            estimate = ratio_over_episodes(parts, ones, episodes, seed)
            found.append(Finding(SPARSE, feature, name, "", estimate))
    return found


def correlate_facts(
    features: Sequence[int],
    names: Sequence[str],
    learned: tuple[Float[np.ndarray, "moments some"], Float[np.ndarray, "moments variables"]],
    new: tuple[Float[np.ndarray, "others some"], Float[np.ndarray, "others variables"]],
) -> list[Finding]:
    """The variable that goes with each: chosen where features were learned, measured in new play.

    learned, new: activity of these features, and the variables, at moments of each.
    """
    found = []
    for feature, best in zip(features, strongest_correlates(*learned, *new), strict=True):
        name = names[best.variable] if best.variable >= 0 else ""
        for who, value in ((SPARSE, best.correlation), (f"{SPARSE}, shifted", best.chance)):
            estimate = Estimate(value, np.nan, np.nan, len(new[0]))
            found.append(Finding(who, feature, "correlation", name, estimate))
    return found


def ablation_facts(
    features: Sequence[int],
    dictionary: Dictionary,
    held: HeldOut,
    actions: Sequence[str],
    seed: int,
) -> list[Finding]:
    """What each does to the outputs where it is active in new play: they are computed with what it
    adds to the layer, and without.

    "effect": on the action that it raises most over the mean of all, in the outputs' units.
    "agreement", "kl": of the choices without it. The control takes as much in a random direction.
    """
    codes = dictionary.codes(held.values)
    drawn = _drawn_directions(dictionary, len(features), seed)
    found = []
    for number, feature in enumerate(features):
        active = np.flatnonzero((codes[:, feature] > ACTIVE).numpy())
        active = active[:: max(1, -(-len(active) // AT_ONCE))]
        for called, direction in ((SPARSE, dictionary.directions[feature]), (DRAWN, drawn[number])):
            without = partial(_without, dictionary=dictionary, feature=feature, direction=direction)
            for name, what, estimate in _effects(held, without, active, actions, seed):
                found.append(Finding(called, feature, name, what, estimate))
    return found


def _without(
    values: Float[Tensor, "moments units"],
    dictionary: Dictionary,
    feature: int,
    direction: Float[Tensor, "units"],
) -> Float[Tensor, "moments units"]:
    """The values without as much of the direction as the feature is active."""
    return values - dictionary.codes(values)[:, feature : feature + 1] * direction


def _effects(
    held: HeldOut,
    without: Change,
    active: Int[np.ndarray, "some"],
    actions: Sequence[str],
    seed: int,
) -> list[tuple[str, str, Estimate]]:
    """By name: of which action, and how much; at moments at which something is active."""
    if not len(active):
        nothing = Estimate(np.nan, np.nan, np.nan, 0)
        return [(name, "", nothing) for name in ("effect", "agreement", "kl")]
    intact, changed = held.outputs[active], held.outputs_with(without, active)
    added = (intact - changed).double().numpy()
    added -= added.mean(axis=1, keepdims=True)
    raised = int(added.mean(axis=0).argmax())
    log_policy = outputs_to_policy(held.outputs, held.network.card.action_rule)
    same, kl = between(intact, changed, log_policy)
    ones, episodes = np.ones(len(active)), held.episodes[active]
    parts = (("effect", actions[raised], added[:, raised]), ("agreement", "", same), ("kl", "", kl))
    return [
        (name, what, ratio_over_episodes(values, ones, episodes, seed))
        for name, what, values in parts
    ]


def _drawn_directions(
    dictionary: Dictionary, count: int, seed: int
) -> Float[Tensor, "count units"]:
    """Random ones, each as long as a feature's, among the units that are not silent."""
    generator = torch.Generator().manual_seed(generator_seed(seed))
    drawn = torch.randn(count, int(dictionary.live.sum()), generator=generator)
    wide = torch.zeros(count, len(dictionary.live))
    wide[:, dictionary.live] = F.normalize(drawn, dim=1) * dictionary.scale
    return wide
