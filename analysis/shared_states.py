"""States that several agents are shown: drawn from their own play in equal shares.

What two networks compute can be compared on the same states alone. Neighbours in time are nearly
the same state, and some are drawn: intervals resample whole episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.cards import Preprocessing
from atari_zoo.converters.network.stateful import state_size
from atari_zoo.seeds import generator_seed


class SharedStates(NamedTuple):
    """observations: of every state, as who played it saw it. episodes: the number of the episode
    that each is of, over all agents. players: the place of who played it, among the agents."""

    observations: Shaped[Tensor, "states channels height width"]
    episodes: Int[np.ndarray, "states"]
    players: Int[np.ndarray, "states"]

    def words(self, agents: Sequence[Subject]) -> str:
        """What they are, in a sentence."""
        names = [agents[place].name for place in np.unique(self.players)]
        return (
            f"{len(self.players)} states of {len(np.unique(self.episodes))} episodes of play of "
            f"{', '.join(names)}, the same for all"
        )


def shared_states(
    agents: Sequence[Subject],
    count: int,
    seed: int = 0,
    player: str = "",
    preprocessing: Preprocessing | None = None,
) -> SharedStates:
    """States of the agents' play, drawn without replacement, as many of each; equal ones once.

    count: of all together; fewer are found where play is short, or the same was seen twice.
    player: the name of the agent whose play alone is drawn from; all, if not given.
    preprocessing: what shows them; each player's own, if not given.
    Raises ValueError if the agents play different games, their observations differ in shape, or
        none of them is called `player`.
    """
    check_same_game(agents)
    chosen = [place for place, agent in enumerate(agents) if player in ("", agent.name)]
    if not chosen:
        names = ", ".join(agent.name for agent in agents)
        raise ValueError(f"no agent '{player}' among those that are compared: {names}")
    random = np.random.default_rng(generator_seed(seed))
    shares = [count // len(chosen) + (i < count % len(chosen)) for i in range(len(chosen))]
    seen, episodes, players, begun = [], [], [], 0
    for place, share in zip(chosen, shares, strict=True):
        agent = agents[place]
        moments = len(agent.episodes)
        drawn = np.sort(random.choice(moments, min(share, moments), replace=False))
        seen.append(agent.observations(preprocessing)[torch.from_numpy(drawn)])
        episodes.append(agent.episodes[drawn] + begun)
        players.append(np.full(len(drawn), place))
        begun += int(agent.episodes.max()) + 1
    _check_shapes([agents[place] for place in chosen], seen)
    if len({part.dtype for part in seen}) > 1:  # bytes of some, and numbers in 0..1 of others
        seen = [part / 255 if part.dtype == torch.uint8 else part for part in seen]
    observations = torch.cat(seen)
    kept = first_of_equals(observations)
    return SharedStates(
        observations[torch.from_numpy(kept)],
        np.concatenate(episodes)[kept],
        np.concatenate(players)[kept],
    )


def first_of_equals(
    observations: Shaped[Tensor, "states channels height width"],
) -> Int[np.ndarray, "kept"]:
    """The places of the states that differ from all before them, in order: every game begins with
    the same screen."""
    rows = observations.flatten(1).contiguous().numpy()
    firsts: dict[bytes, int] = {}
    for place, row in enumerate(rows):
        firsts.setdefault(row.tobytes(), place)
    return np.array(list(firsts.values()), int)


def carried_words(agents: Sequence[Subject]) -> list[str]:
    """What is to be said of agents with a memory, which are shown single states."""
    names = [agent.name for agent in agents if state_size(agent.network)]
    words = "carry a state, and are asked in that of an episode's first step, which play leaves"
    return [f"{', '.join(names)} {words}"] if names else []


def check_same_game(agents: Sequence[Subject]) -> None:
    """Raises ValueError if they play different games, whose states mean nothing to each other."""
    games: dict[str, list[str]] = {}
    for agent in agents:
        games.setdefault(agent.game, []).append(agent.name)
    if len(games) > 1:
        told = "; ".join(f"{game}: {', '.join(names)}" for game, names in games.items())
        raise ValueError(
            f"agents of different games have no states in common ({told}): give those of one game"
        )


def _check_shapes(agents: Sequence[Subject], seen: Sequence[Tensor]) -> None:
    shapes = {tuple(part.shape[1:]): agent.name for agent, part in zip(agents, seen, strict=True)}
    if len(shapes) > 1:
        told = "; ".join(f"{name}: {shape}" for shape, name in shapes.items())
        raise ValueError(
            f"these agents' observations differ in shape and cannot be shown to all ({told})"
        )
