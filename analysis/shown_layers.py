"""Layers of networks at states that all are shown, as rows of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from atari_zoo.analysis.controls import untrained_or_none
from atari_zoo.analysis.measures.comparisons import ComparedLayer, Resamples
from atari_zoo.analysis.measures.drawn_episodes import membership, resampled_copies
from atari_zoo.analysis.shared_states import SharedStates
from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.network.finite import check_finite
from atari_zoo.converters.network.foreign import Network
from atari_zoo.layers import activations
from atari_zoo.living_units import rectified

RESAMPLES = 200
FLATTENED, SAMPLED = "flattened", "sampled"  # convolutions' places


def compared_names(agents: Sequence[Subject], wanted: Sequence[str] | None) -> list[str]:
    """The layers of all of them that end in a ReLU, and their output, if none are wanted.

    Raises ValueError if one that is wanted is not there; the message lists those that are.
    """
    for agent in agents:
        for name in wanted or ():
            if name not in agent.network.layers:
                raise ValueError(
                    f"{agent.name}: no layer '{name}'; it has {', '.join(agent.network.layers)}"
                )
    if wanted is not None:
        return list(dict.fromkeys(wanted))
    first, *others = ([*rectified(agent.network), "output"] for agent in agents)
    return [name for name in dict.fromkeys(first) if all(name in other for other in others)]


def untrained_of(agents: Sequence[Subject], seed: int) -> list[Network | None]:
    """The untrained network of each, each of a seed of its own; None where there can be none."""
    return [untrained_or_none(agent.network, seed + place) for place, agent in enumerate(agents)]


def layer_rows(
    network: Network, observations: Tensor, layer: str, places: str = FLATTENED, seed: int = 0
) -> Float[np.ndarray, "states units"]:
    """What a layer computes at each state, a row for each.

    places: of a convolution's maps; "flattened": each place of each map is a unit; "sampled": the
        maps are the units, at one place that is drawn for each state, the same in every network
        whose maps are as large.
    Raises ValueError if the network diverged, or `places` is neither.
    """
    if places not in (FLATTENED, SAMPLED):
        raise ValueError(f"places is '{places}'; expected '{FLATTENED}' or '{SAMPLED}'")
    check_finite(network)
    values = activations(network, observations, layer)[layer].float().numpy()
    if values.ndim == 4 and places == SAMPLED:
        states, _, height, width = values.shape
        drawn = np.random.default_rng((seed, height, width)).integers(height * width, size=states)
        return values.reshape(states, -1, height * width)[np.arange(states), :, drawn]
    return values.reshape(len(values), -1)


def shown_map_size(network: Network, observation: Tensor, layer: str) -> tuple[int, ...]:
    """Height and width of a convolution's maps; nothing of another layer."""
    return tuple(activations(network, observation, layer)[layer].shape[2:])


class AgentLayer(NamedTuple):
    """A layer of an agent, by the agent's number among all."""

    agent: int
    layer: str


class ShownAgents:
    """Agents and their untrained networks at shared states; a layer is computed when it is first
    asked for, and kept until another one is, unless there are few agents."""

    FEW = 2

    def __init__(
        self, agents: Sequence[Subject], states: SharedStates, places: str, seed: int
    ) -> None:
        self.agents, self.states, self.places, self.seed = agents, states, places, seed
        members = membership(states.episodes)
        self.resamples = Resamples(members, resampled_copies(members.shape[1], RESAMPLES, seed))
        self._untrained = untrained_of(agents, seed)
        self._kept: dict[tuple[AgentLayer, bool], ComparedLayer] = {}
        self._chosen: dict[tuple[int, bool], np.ndarray] = {}

    def network(self, agent: int, trained: bool = True) -> Network | None:
        """None where there is no untrained network."""
        return self.agents[agent].network if trained else self._untrained[agent]

    def layer(self, place: AgentLayer, trained: bool = True) -> ComparedLayer | None:
        """The layer at the states; None where there is no untrained network."""
        network = self.network(place.agent, trained)
        if network is None:
            return None
        key = place, trained
        if key not in self._kept:
            if len(self.agents) > self.FEW:
                self._kept = {k: v for k, v in self._kept.items() if k[0].layer == place.layer}
            rows = layer_rows(
                network, self.states.observations, place.layer, self.places, self.seed
            )
            self._kept[key] = ComparedLayer(rows, self.resamples)
        return self._kept[key]

    def have_places_in_common(self, a: AgentLayer, b: AgentLayer) -> bool:
        """Not where maps of different sizes are looked at place by place."""
        if self.places == FLATTENED:
            return True
        one = self.states.observations[:1]
        sizes = [shown_map_size(self.agents[p.agent].network, one, p.layer) for p in (a, b)]
        return sizes[0] == sizes[1]

    def choices(self, agent: int, trained: bool = True) -> Int[np.ndarray, "states"] | None:
        """The number of the action that rates highest at each state, the first of equals; None
        where there is no untrained network."""
        network = self.network(agent, trained)
        if network is None:
            return None
        if (agent, trained) not in self._chosen:
            output = activations(network, self.states.observations, "output")["output"]
            self._chosen[agent, trained] = torch.argmax(output, 1).numpy()
        return self._chosen[agent, trained]
