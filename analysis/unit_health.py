"""Rows of a network's health: its units' dormancy, its features' ranks, its weights' drift."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.analysis.measures.dormancy import THRESHOLDS, EpisodeActivity, episode_activity
from atari_zoo.analysis.measures.drawn_episodes import centred_interval
from atari_zoo.analysis.measures.ranks import FeatureRanks, feature_ranks, resampled_ranks
from atari_zoo.converters.network.foreign import Network
from atari_zoo.layers import activations
from atari_zoo.living_units import rectified

ALL = "all"  # layers together
STILL = 0.025  # the threshold of units that are dormant again
MISSING = float("nan")
RANKS = ("srank", "entropy_rank", "participation_ratio")  # in the order of `FeatureRanks`
Row = dict[str, Any]


class LookedAt(NamedTuple):
    """What a network's layers with a ReLU did, by their names: all of them, and of the dense ones
    the features themselves."""

    activity: Mapping[str, EpisodeActivity]
    features: Mapping[str, Float[np.ndarray, "moments units"]]

    def scores(self, copies: Float[np.ndarray, "resamples episodes"]) -> dict[str, np.ndarray]:
        """The dormancy scores of each layer's units in each resample."""
        return {name: found.scores(copies) for name, found in self.activity.items()}


def look_at(
    network: Network, observations: Tensor, members: Float[np.ndarray, "moments episodes"]
) -> LookedAt:
    """members: 1 where an observation is of an episode, else 0."""
    activity: dict[str, EpisodeActivity] = {}
    features: dict[str, np.ndarray] = {}
    for name in rectified(network):
        values = activations(network, observations, name)[name].float().numpy()
        activity[name] = episode_activity(values, members)
        if values.ndim == 2:
            features[name] = values
    return LookedAt(activity, features)


def dormancy_rows(
    looked: LookedAt,
    blank: LookedAt | None,
    copies: Float[np.ndarray, "resamples episodes"],
) -> Iterator[Row]:
    """The shares of units that are dormant, and always on, in each layer and in all.

    blank: the same of the untrained network.
    """
    once = np.ones((1, copies.shape[1]))
    whole, drawn = looked.scores(once), looked.scores(copies)
    control = blank.scores(once) if blank else None
    for layer in (*whole, ALL):
        for threshold in THRESHOLDS:
            shares = [_share(s, layer, threshold) for s in (whole, drawn, control)]
            yield _row(layer, "dormant", shares, threshold) | {"n": _units(whole, layer)}
    lit = [
        {name: found.always_on(c) for name, found in one.activity.items()} if one else None
        for one, c in ((looked, once), (looked, copies), (blank, once))
    ]
    for layer in (*whole, ALL):
        shares = [_mean(_of_layer(parts, layer)) for parts in lit]
        yield _row(layer, "always_on", shares) | {"n": _units(whole, layer)}


def rank_rows(
    looked: LookedAt,
    blank: LookedAt | None,
    members: Float[np.ndarray, "moments episodes"],
    copies: Float[np.ndarray, "resamples episodes"],
) -> Iterator[Row]:
    """Three effective ranks of each dense layer's features."""
    for layer, features in looked.features.items():
        found = feature_ranks(features)
        drawn = resampled_ranks(features, members, copies) if members.shape[1] > 1 else []
        control = feature_ranks(blank.features[layer]) if blank else FeatureRanks(*[MISSING] * 3)
        for place, measure in enumerate(RANKS):
            ranks = np.array([ranks[place] for ranks in drawn])
            numbers = np.array([found[place]]), ranks, np.array([control[place]])
            yield _row(layer, measure, numbers) | {"n": features.shape[1]}


def still_dormant_rows(before: LookedAt, now: LookedAt) -> Iterator[Row]:
    """The share of the units dormant before that still are; control: the share dormant now."""
    sides = []
    for looked in (before, now):
        once = np.ones((1, len(next(iter(looked.activity.values())).counts)))
        sides.append({n: s[0] <= STILL for n, s in looked.scores(once).items()})
    for layer in (*(name for name in sides[0] if name in sides[1]), ALL):
        old, new = (_of_layer(side, layer) for side in sides)
        assert old is not None and new is not None
        share = np.array([new[old].mean() if old.any() else MISSING])
        row = _row(layer, "still_dormant", (share, np.empty(0), np.array([new.mean()])), STILL)
        yield row | {"n": int(old.sum())}


def drift_rows(network: Network, begun: Network | None, other: Network | None) -> Iterator[Row]:
    """|w - w0| / |w0| of each layer with weights, and of all weights.

    begun: the network that training began with; None where it is not known. other: an untrained
    network of another seed, whose distance is the control.
    """
    whole = {name: list(layer.parameters()) for name, layer in network.layers.items()}
    for layer in (*(name for name, own in whole.items() if own), ALL):
        numbers = [np.array([_distance(one, begun, layer)]) for one in (network, other)]
        size = sum(p.numel() for p in (whole[layer] if layer in whole else network.parameters()))
        yield _row(layer, "drift", (numbers[0], np.empty(0), numbers[1])) | {"n": size}


def _distance(network: Network | None, begun: Network | None, layer: str) -> float:
    if network is None or begun is None:
        return MISSING
    sides = []
    for one in (network, begun):
        part = one if layer == ALL else one.layers[layer]
        sides.append(torch.cat([p.detach().double().cpu().flatten() for p in part.parameters()]))
    length = float(sides[1].norm())
    return float((sides[0] - sides[1]).norm()) / length if length else MISSING


def _row(layer: str, measure: str, numbers: Any, threshold: float = MISSING) -> Row:
    """numbers: the value, its resamples, and the control, each an array; or None."""
    value = float(numbers[0][0])
    limits = (0.0, 1.0 if measure not in RANKS else np.inf)
    low, high = centred_interval(value, _several(numbers[1]), limits)
    control = MISSING if numbers[2] is None else float(numbers[2][0])
    return {
        "layer": layer,
        "measure": measure,
        "threshold": threshold,
        "value": value,
        "low": low,
        "high": high,
        "control": control,
    }


def _several(drawn: np.ndarray) -> np.ndarray:
    return drawn if len(drawn) > 1 else np.empty(0)


def _of_layer(parts: Mapping[str, np.ndarray] | None, layer: str) -> np.ndarray | None:
    if parts is None:
        return None
    return np.concatenate(list(parts.values()), axis=-1) if layer == ALL else parts[layer]


def _share(
    scores: Mapping[str, np.ndarray] | None, layer: str, threshold: float
) -> np.ndarray | None:
    found = _of_layer(scores, layer)
    return None if found is None else (found <= threshold).mean(-1)


def _mean(lit: np.ndarray | None) -> np.ndarray | None:
    return None if lit is None else lit.mean(-1)


def _units(scores: Mapping[str, np.ndarray], layer: str) -> int:
    found = _of_layer(scores, layer)
    assert found is not None
    return int(found.shape[-1])
