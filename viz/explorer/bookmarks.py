"""Bookmarks of an explorer's play: where a choice mattered most, and what came out otherwise.

Otherwise, that is better or worse than the state's value had said.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from atari_zoo.analysis.measures.advantages import generalized_advantages
from atari_zoo.analysis.measures.critical_moments import (
    distance_quantile,
    importance,
    moments_apart,
)
from atari_zoo.analysis.moments import counted_ends
from atari_zoo.viz.explorer.settings import ShownAgent

CRITICAL, GAIN, LOSS = "critical", "gain", "loss"
MOST = {CRITICAL: 12, GAIN: 5, LOSS: 5}
APART = 25  # steps between two of one episode
ALIKE = 0.1  # of pairs of states are nearer: two critical moments are to be further apart
ADVANTAGE = "advantage, the sum of the errors of the state's value, rewards counted as -1, 0 or 1"


def bookmarks(
    agent: ShownAgent,
    rated: Float[np.ndarray, "steps actions"],
    words: str,
    value: Float[np.ndarray, "steps"] | None,
    features: Float[np.ndarray, "steps features"],
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Each kind's moments in time's order, as [step, how much], and what that number is.

    rated: actions by what `words` says. features: what tells states apart, such as the dense
    layer's values. value: of each state; without one, or for an ablated agent, which had no play of
    its own, there are critical moments alone. seed: of the pairs of states that are compared.
    """
    lead = importance(rated) if rated.shape[1] > 1 else np.zeros(len(rated))
    nearest = distance_quantile(features, ALIKE, seed)
    chosen = _chosen(agent, CRITICAL, lead, features, nearest)
    found = [_kind(CRITICAL, chosen, lead, f"lead of the best action over the second, {words}")]
    rewards = agent.recording.rewards
    if value is None or agent.ablated or not len(rewards):
        return found
    advantage = generalized_advantages(
        np.sign(np.asarray(rewards[:, [agent.env]], float)),
        value[:, None].astype(float),
        counted_ends(agent.recording)[:, [agent.env]],
    )[:, 0]
    for name, rating in ((GAIN, advantage), (LOSS, -advantage)):
        found.append(_kind(name, _chosen(agent, name, rating), advantage, ADVANTAGE))
    return found


def _chosen(
    agent: ShownAgent,
    kind: str,
    rating: Float[np.ndarray, "steps"],
    features: Float[np.ndarray, "steps features"] | None = None,
    nearest: float = 0.0,
) -> list[int]:
    positive = np.where(rating > 0, rating, np.nan)
    where = np.arange(agent.steps), agent.episodes, MOST[kind], APART
    return moments_apart(positive, *where, features, nearest)


def _kind(
    name: str, chosen: list[int], numbers: Float[np.ndarray, "steps"], words: str
) -> dict[str, Any]:
    moments = [[step, float(numbers[step])] for step in sorted(chosen)]
    return {"name": name, "words": words, "moments": moments}
