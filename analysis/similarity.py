"""Similarity of layers between agents, algorithms and checkpoints, over one set of states."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas

from atari_zoo.analysis.measures.comparisons import COMPARISONS
from atari_zoo.analysis.measures.drawn_episodes import centred_interval
from atari_zoo.analysis.measures.kernel_alignment import FEWEST
from atari_zoo.analysis.registry import analysis
from atari_zoo.analysis.results import Result
from atari_zoo.analysis.shared_states import carried_words, shared_states
from atari_zoo.analysis.shown_layers import (
    FLATTENED,
    RESAMPLES,
    SAMPLED,
    AgentLayer,
    ShownAgents,
    compared_names,
)
from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.arguments import checked
from atari_zoo.intervals import CONFIDENCE

SHIFT = 0.4  # of the states, by which one agent's are put beside another's past
STATES = 1000
AGREEMENT = "action_agreement"
NUMBERS = ("value", "low", "high", "untrained", "one_untrained", "shuffled")
MISSING = float("nan")
LIMITS = -1.0, 1.0  # debiased CKA may be a little below 0


@checked
@analysis("similarity", source="https://arxiv.org/abs/1905.00414", verb="compare")
def compare_layers(
    agents: Sequence[Subject],
    *,
    layer: Sequence[str] | None = None,
    states: int = STATES,
    player: str = "",
    places: str = FLATTENED,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Result:
    """How alike the layers of agents are, over states that all of them are shown.

    layer: some layers; if not given those with a ReLU that all agents have, and the output.
    states: how many, an equal share of each agent's play. player: the agent whose play alone is
        shown instead.
    places: of convolutions. "flattened": each place of a map is a unit; "sampled": maps are units,
        at a place drawn for each state. seed: of the draws and of the untrained networks.
    Of one or two agents each layer is compared with each; of more, with its like. The table has a
    row for each pair and measure: agent_a, agent_b, layer_a, layer_b, measure, value, low, high;
    the controls untrained (both agents so), one_untrained (the mean of the two ways), shuffled
    (one agent's states beside others, both in their order of time); n (states), episodes.
    Measures: "cka", debiased and linear; "cka_standardized", each unit of the same spread;
    "cka_without_first", without the largest component; "svcca" and "procrustes" of the components
    that hold 99 % of the variance, at most a tenth as many as states; and "action_agreement", the
    share of states where both rate the same action highest, missing where the agents have other
    actions.
    Raises ValueError for agents of different games, or observations of different shapes, for fewer
        than 4 states, or where a layer is not there.
    """
    if states < FEWEST:
        raise ValueError(f"states is {states}; debiased CKA needs at least {FEWEST}")
    shared = shared_states(agents, states, seed, player)
    if len(shared.episodes) < FEWEST:
        raise ValueError(
            f"{len(shared.episodes)} different states; debiased CKA needs at least {FEWEST}: "
            "record longer play"
        )
    names = compared_names(agents, layer)
    pairs = list(_pairs(len(agents), names))
    if not pairs:
        raise ValueError(f"{agents[0].name} alone, of one layer: nothing to compare it with")
    shown = ShownAgents(agents, shared, places, seed)
    order = np.roll(np.arange(len(shared.episodes)), round(SHIFT * len(shared.episodes)))
    rows: list[dict[str, Any]] = []
    for done, (a, b) in enumerate(pairs):
        rows += [_names(agents, a, b) | row for row in _compared(shown, a, b, order)]
        progress(done + 1, len(pairs))
    for one, other in combinations(range(len(agents)), 2):
        a, b = AgentLayer(one, "output"), AgentLayer(other, "output")
        rows.append(_names(agents, a, b) | _agreement(shown, one, other, order))
    table = pandas.DataFrame(rows)
    table["n"], table["episodes"] = len(shared.episodes), len(np.unique(shared.episodes))
    arrays = {"players": shared.players, "episodes": shared.episodes}
    return Result(table, _uncertainty(shown, names), arrays)


def _pairs(count: int, names: Sequence[str]) -> Iterator[tuple[AgentLayer, AgentLayer]]:
    """Layer by layer, so that one layer of all agents is kept at a time."""
    if count == 1:
        yield from combinations([AgentLayer(0, name) for name in names], 2)
    elif count == 2:
        yield from product(*([AgentLayer(agent, name) for name in names] for agent in (0, 1)))
    else:
        for name in names:
            yield from combinations([AgentLayer(agent, name) for agent in range(count)], 2)


def _names(agents: Sequence[Subject], a: AgentLayer, b: AgentLayer) -> dict[str, Any]:
    return {
        "agent_a": agents[a.agent].name,
        "agent_b": agents[b.agent].name,
        "layer_a": a.layer,
        "layer_b": b.layer,
    }


def _compared(
    shown: ShownAgents, a: AgentLayer, b: AgentLayer, order: np.ndarray
) -> Iterator[dict[str, Any]]:
    """A row for each measure of two layers."""
    if not shown.have_places_in_common(a, b):
        yield from ({"measure": name, **dict.fromkeys(NUMBERS, MISSING)} for name in COMPARISONS)
        return
    left, right = shown.layer(a), shown.layer(b)
    blank_left, blank_right = shown.layer(a, trained=False), shown.layer(b, trained=False)
    assert left is not None and right is not None  # they are there, if trained
    mixed = right.shuffled(order)
    several = len(np.unique(shown.states.episodes)) > 1
    for name, (value, resampled) in COMPARISONS.items():
        found = value(left, right)
        drawn = resampled(left, right) if several else np.empty(0)
        both = one = MISSING
        if blank_left is not None and blank_right is not None:
            both = value(blank_left, blank_right)
            one = (value(left, blank_right) + value(blank_left, right)) / 2
        numbers = (found, *centred_interval(found, drawn, LIMITS), both, one, value(left, mixed))
        yield {"measure": name, **dict(zip(NUMBERS, numbers, strict=True))}


def _agreement(shown: ShownAgents, a: int, b: int, order: np.ndarray) -> dict[str, Any]:
    """The row of the actions that two agents rate highest."""
    row: dict[str, Any] = {"measure": AGREEMENT, **dict.fromkeys(NUMBERS, MISSING)}
    meanings = [shown.agents[agent].card.action_meanings for agent in (a, b)]
    left, right = shown.choices(a), shown.choices(b)
    blank_left, blank_right = shown.choices(a, trained=False), shown.choices(b, trained=False)
    if meanings[0] != meanings[1] or left is None or right is None:
        return row
    same = left == right
    row["value"], row["shuffled"] = float(same.mean()), float((left == right[order]).mean())
    members, copies = shown.resamples
    if members.shape[1] > 1:
        drawn = copies @ (members.T @ same) / (copies @ members.sum(0))
        row["low"], row["high"] = centred_interval(row["value"], drawn, (0, 1))
    if blank_left is not None and blank_right is not None:
        row["untrained"] = float((blank_left == blank_right).mean())
        row["one_untrained"] = float(((left == blank_right) + (blank_left == right)).mean() / 2)
    return row


def _uncertainty(shown: ShownAgents, names: Sequence[str]) -> str:
    """How sure the numbers are, of which states, and what is missing."""
    places = {
        FLATTENED: "each place of a convolution's map is a unit",
        SAMPLED: "convolutions at one place that was drawn for each state; layers whose maps "
        "differ in size are missing",
    }
    words = [
        f"low, high: {CONFIDENCE:.0%} bootstrap, whole episodes resampled, {RESAMPLES} times, "
        "about the value, too narrow of fewer than 4 episodes, missing of one",
        f"{shown.states.words(shown.agents)}; {places[shown.places]}",
        f"layers: {', '.join(names)}",
    ]
    if any(shown.network(i, trained=False) is None for i in range(len(shown.agents))):
        words.append("untrained: missing where torch does not know how a layer is initialised")
    words += carried_words(shown.agents)
    if len({agent.card.action_meanings for agent in shown.agents}) > 1:
        words.append(f"{AGREEMENT}: missing where two agents have other actions")
    return "; ".join(words)
