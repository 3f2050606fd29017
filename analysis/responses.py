"""Responses of a network to states: its outputs and the value that it gives each, and how those of
another differ."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from atari_zoo.agent_states import recorded_states
from atari_zoo.analysis.controls import untrained
from atari_zoo.analysis.measures.policy_changes import (
    agrees,
    episode_interval,
    jensen_shannon,
    kullback_leibler,
    lead_of,
)
from atari_zoo.analysis.measures.thinning import thinned
from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.algorithms import ALGORITHMS
from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.hooks import recorded
from atari_zoo.converters.network.stateful import state_size

CARRIES = "it is recurrent, and what the trained one carried means nothing to another"
LOGITS = ("policy", "actor-critic")  # kinds of heads whose outputs are of a policy
# what is measured of two networks on the same states
MEASURES = {
    "agreement": "share of states with the same best action",
    "js": "Jensen-Shannon divergence of the policies that actions are sampled from, in bits",
    "kl": "Kullback-Leibler divergence from the intact one of these, in bits",
    "lead": "change of the intact best action's lead over the next, in units of the output",
    "value": "change of the state's value",
}


class NetworkResponses(NamedTuple):
    """outputs: of the actions. values: of the states; NaN where the agent has no value."""

    outputs: Float[np.ndarray, "states actions"]
    values: Float[np.ndarray, "states"]


class States(NamedTuple):
    """Some moments of a subject's play.

    carried: what a recurrent agent carried into them. episodes: which each is of. moments: their
    numbers.
    """

    observations: Shaped[Tensor, "states channels height width"]
    carried: Tensor | None
    episodes: Int[np.ndarray, "states"]
    moments: Int[np.ndarray, "states"]


def states_of(subject: Subject, most: int) -> States:
    """At most so many moments, those of every so manieth step.

    Raises ValueError for fewer than 1.
    """
    if most < 1:
        raise ValueError(f"states is {most}; expected at least 1")
    steps, envs = subject.recording.starts.shape
    moments = thinned(np.repeat(np.arange(steps), envs), most)
    carried = None
    if state_size(subject.network):
        each = [recorded_states(subject.network, subject.recording, env) for env in range(envs)]
        rows = torch.stack([rows for rows in each if rows is not None], dim=1).flatten(0, 1)
        carried = rows[moments]
    return States(subject.observations()[moments], carried, subject.episodes[moments], moments)


@torch.inference_mode()
def network_responses(network: Network, states: States, batch: int = 256) -> NetworkResponses:
    """What a network computes of the states; its value is the layer's, of Q-networks the largest
    output."""
    device = next(network.parameters()).device
    judged = [] if outputs_are_values(network) or "value" not in network.layers else ["value"]
    outputs, values = [], []
    with recorded(network, judged) as kept:
        for begin in range(0, len(states.observations), batch):
            span = slice(begin, begin + batch)
            seen = states.observations[span].to(device)
            carried = () if states.carried is None else (states.carried[span].to(device),)
            outputs.append(network(seen, *carried).float().cpu().numpy())
            if judged:
                values.append(kept["value"].float().flatten(1).mean(dim=1).cpu().numpy())
    rated = np.concatenate(outputs)
    if judged:
        return NetworkResponses(rated, np.concatenate(values))
    known = outputs_are_values(network)
    return NetworkResponses(
        rated, rated.max(axis=1) if known else np.full(len(rated), np.nan, np.float32)
    )


def outputs_are_values(network: Network) -> bool:
    """Whether its outputs are values of actions, not of a policy."""
    algorithm = ALGORITHMS.get(network.card.algorithm)
    if algorithm is not None:
        return algorithm.output == "q"
    if isinstance(network, AgentNetwork):
        return network.head.kind not in LOGITS
    return network.card.action_rule != "sample"


def samples_its_policy(network: Network) -> bool:
    """Whether it acts by its outputs' softmax. Scores of which the largest alone decides, as those
    of evolution, have no scale: divergences of their softmax would be of a policy nobody has."""
    return network.card.action_rule == "sample" and not outputs_are_values(network)


def untrained_control(network: Network, seed: int) -> tuple[Network | None, str]:
    """The same architecture before training, to be shown what the trained one saw; or none, and
    why there is none."""
    if state_size(network):
        return None, f"No untrained control of {network.card.name}: {CARRIES}"
    try:
        return untrained(network, seed), ""
    except ValueError as error:
        return None, f"No untrained control: {error}"


def differences(
    intact: NetworkResponses, changed: NetworkResponses, sampled: bool
) -> dict[str, Float[np.ndarray, "states"]]:
    """Each of `MEASURES`, state by state. sampled: whether actions are drawn from the outputs'
    softmax; NaN for its divergences if not."""
    best = intact.outputs.argmax(axis=1)
    nothing = np.full(len(best), np.nan)
    pair = intact.outputs, changed.outputs
    return {
        "agreement": agrees(*pair),
        "js": jensen_shannon(*pair) if sampled else nothing,
        "kl": kullback_leibler(*pair) if sampled else nothing,
        "lead": lead_of(changed.outputs, best) - lead_of(intact.outputs, best),
        "value": changed.values.astype(float) - intact.values,
    }


def measured_row(
    measure: str, value: float, ends: tuple[float, float], count: int
) -> dict[str, Any]:
    """What a tidy table has of one measure: its value, interval, and of how many it is."""
    return {
        "measure": measure,
        "value": float(value),
        "low": float(ends[0]),
        "high": float(ends[1]),
        "n": count,
    }


def difference_rows(
    intact: NetworkResponses, changed: NetworkResponses, states: States, sampled: bool, seed: int
) -> list[dict[str, Any]]:
    """A row for each of `MEASURES`, the mean over the states."""
    rows = []
    for name, values in differences(intact, changed, sampled).items():
        ends = episode_interval(values, states.episodes, seed)
        rows.append(measured_row(name, values.mean(), ends, len(values)))
    return rows
