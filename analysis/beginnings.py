"""Beginnings of training: the network that an agent was before its first update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from atari_zoo.analysis.controls import untrained_or_none
from atari_zoo.analysis.subjects import Subject
from atari_zoo.catalog.catalog import INITIAL, UnknownModel
from atari_zoo.converters.network.foreign import Network
from atari_zoo.models import load

APART = 1_000_003  # from the seeds that runs have


class TrainingStart(NamedTuple):
    """network: None where there is none. own: whether the agent's training began with it; else it
    is another untrained network of the same architecture."""

    network: Network | None
    own: bool


def run_of(agent: Subject) -> str:
    """What all checkpoints of its training share: its name without the tag."""
    return agent.name.partition("@")[0]


def training_start(agent: Subject, others: Sequence[Subject] = (), seed: int = 0) -> TrainingStart:
    """The network that the agent's training began with, where it is known.

    It is the run's `@initial` checkpoint among `others`, or the zoo's own `@initial` one,
    if the agent is the zoo's, with the weights that the zoo has.
    seed: of the untrained network that stands in for it elsewhere.
    """
    for other in others:
        if run_of(other) == run_of(agent) and _is_start(other, agent):
            return TrainingStart(other.network, True)
    try:
        if _same_weights(load(agent.name), agent.network):
            found = load(f"{run_of(agent)}@{INITIAL}")
            if [p.shape for p in found.parameters()] == _shapes(agent):
                return TrainingStart(found, True)
    except (UnknownModel, ValueError):
        pass  # it is not the zoo's, or its beginning is not
    return TrainingStart(untrained_or_none(agent.network, seed), False)


def _is_start(other: Subject, agent: Subject) -> bool:
    return other.card.tag == INITIAL and _shapes(other) == _shapes(agent)


def _shapes(agent: Subject) -> list[torch.Size]:
    return [parameter.shape for parameter in agent.network.parameters()]


def _same_weights(a: Network, b: Network) -> bool:
    pairs = list(zip(a.parameters(), b.parameters(), strict=False))
    same = len(pairs) == len(list(a.parameters())) == len(list(b.parameters()))
    return same and all(p.shape == q.shape and torch.equal(p, q.to(p.device)) for p, q in pairs)


def another_start(agent: Subject, seed: int = 0) -> Network | None:
    """An untrained network of another seed than the agent's own; None where there can be none."""
    return untrained_or_none(agent.network, seed + APART)
