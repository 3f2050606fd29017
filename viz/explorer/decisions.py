"""Decisions of an explorer's agent at every step: its outputs, the state's value, what mattered."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import softmax

from atari_zoo.analysis.measures.critical_moments import importance
from atari_zoo.analysis.responses import outputs_are_values, samples_its_policy
from atari_zoo.viz.attribution.scores import OUTPUT
from atari_zoo.viz.explorer.bookmarks import bookmarks
from atari_zoo.viz.explorer.scripts import script_array
from atari_zoo.viz.explorer.settings import ShownAgent
from atari_zoo.viz.movies.shown_layers import shown_layers

VALUE = "value"


class ActionRatings(NamedTuple):
    """How an agent rates its actions: numbers, what each is, and of what the value curve is.

    drawn: "probability" from 0 to 1, else how far each lies from the mean of all.
    rates_states: whether the curve is the state's value, and not a stand-in for it.
    """

    values: Float[np.ndarray, "steps actions"]
    words: str
    drawn: str
    value: Float[np.ndarray, "steps"]
    value_words: str
    rates_states: bool


def action_ratings(agent: ShownAgent) -> ActionRatings:
    """Q-values, probabilities of a policy that is drawn from, or scores of which the largest alone
    decides."""
    outputs = agent.values(OUTPUT).reshape(agent.steps, -1)
    network = agent.network
    if outputs_are_values(network):
        return ActionRatings(
            outputs, "Q-value", "difference", outputs.max(axis=1), "largest Q-value", True
        )
    value, words, rates = None, "", VALUE in network.layers
    if rates:
        found = agent.values(VALUE).reshape(agent.steps, -1)
        value, words = found.mean(axis=1), "value of the state, by the critic"
    if samples_its_policy(network):
        shares = softmax(outputs, axis=1)
        if value is None:
            value, words = shares.max(axis=1), "largest probability: this agent has no value"
        return ActionRatings(shares, "probability", "probability", value, words, rates)
    if value is None:
        value = importance(outputs) if outputs.shape[1] > 1 else np.zeros(agent.steps)
        words = "lead of the best action: this agent has no value"
    return ActionRatings(outputs, "score", "difference", value, words, rates)


def decisions(agent: ShownAgent, seed: int = 0) -> dict[str, Any]:
    """What the page draws as bars, as the value's curve and as bookmarks.

    seed: of the states that are compared.
    """
    rated, recording, env = action_ratings(agent), agent.recording, agent.env
    value = rated.value if rated.rates_states else None
    recorded = len(recording.actions) > 0 and not agent.ablated
    taken = recording.actions[:, env] if recorded else rated.values.argmax(axis=1)
    facts = {
        "actions": list(recording.action_names)[: rated.values.shape[1]],
        "rating": rated.words,
        "drawn": rated.drawn,
        "rated": script_array(rated.values.astype(np.float32)),
        "taken": script_array(np.asarray(taken, np.uint8)),
        "rate": 60 / recording.preprocessing.frame_skip,
        "recorded": recorded,
        "value": script_array(np.asarray(rated.value, np.float32)),
        "valueWords": rated.value_words,
        "bookmarks": bookmarks(agent, rated.values, rated.words, value, _features(agent), seed),
        "episodes": script_array(agent.episodes.astype(np.uint16)),
    }
    for name, kept in (("rewards", recording.rewards), ("scores", recording.scores)):
        there = len(kept) > 0
        facts[name] = script_array(np.asarray(kept[:, env], np.float32)) if there else None
    return facts


def _features(agent: ShownAgent) -> Float[np.ndarray, "steps features"]:
    """What states are told apart by: the dense layer's values, or what is nearest to that."""
    shown = shown_layers(agent.network)
    layer = shown.memory or shown.dense or (shown.maps or [OUTPUT])[-1]
    return agent.values(layer).reshape(agent.steps, -1)
