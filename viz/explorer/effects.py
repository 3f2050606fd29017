"""Effects of an explorer's units: how often the agent would choose otherwise without each."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from atari_zoo.analysis.responses import States, network_responses, states_of
from atari_zoo.interventions import intervening
from atari_zoo.viz.explorer.settings import ShownAgent

STATES = 64  # moments of the play, at most, that each silenced unit is asked about
Shares = Float[np.ndarray, "units"]


def silencing_changes(agent: ShownAgent, layer: str, count: int, states: States) -> Shares:
    """The share of states in which the best action is another one, by the unit that is silenced.

    count: units of the layer. Raises ValueError for a layer that runs several times a moment.
    """
    intact = network_responses(agent.network, states).outputs.argmax(axis=1)
    changes = np.zeros(count)
    for unit in range(count):
        with intervening(agent.network, f"{layer}:{unit}"):
            best = network_responses(agent.network, states).outputs.argmax(axis=1)
        changes[unit] = (best != intact).mean()
    return changes


def effect_words(agent: ShownAgent, layer: str, count: int) -> list[str]:
    """A sentence about each unit of a layer, beside what is usual in it."""
    states = states_of(agent.subject, STATES)
    try:
        changes = silencing_changes(agent, layer, count, states)
    except ValueError as error:
        return [f"What silencing it changes was not measured: {error}"] * count
    asked = f"{len(states.moments)} moments of play"
    if not changes.any():
        return [f"Silenced alone, no unit of {layer} changes the best action at {asked}."] * count
    usual = f"of {layer}'s units the median changes {np.median(changes):.0%}, the most "
    usual += f"{changes.max():.0%}"
    return [
        f"Silenced, it changes the best action at {share:.0%} of {asked}; {usual}."
        for share in changes
    ]
