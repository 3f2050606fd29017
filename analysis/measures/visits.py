"""Parts that one agent alone visits: the share of its moments in cells that no other reaches."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import pandas
from jaxtyping import Float, Int, Real, Shaped

from atari_zoo.analysis.measures.pooling import pooled_interval

BINS = 30  # of each axis of a map
DEALT = 20  # deals of the control


def plane_cells(
    places: Real[np.ndarray, "points axes"], bins: int = BINS
) -> Int[np.ndarray, "points"]:
    """The number of the cell that each point is in, of a grid of `bins` along each axis."""
    low, high = places.min(axis=0), places.max(axis=0)
    width = np.where(high > low, high - low, 1)
    along = np.minimum(((places - low) / width * bins).astype(int), bins - 1)
    return along @ bins ** np.arange(places.shape[1])


def exclusive_shares(
    cells: Shaped[np.ndarray, "points"],
    agents: Sequence[Hashable],
    episodes: Int[np.ndarray, "points"],
    seed: int = 0,
) -> pandas.DataFrame:
    """A row for each agent: how much of its play is where no other agent's is.

    cells: what part of the game, or of a map, each moment is in: any number for each part, such
        as of `plane_cells`, or of RAM variables that were made one number.
    agents: whose each moment is. episodes: of its agent.
    Columns: agent; share, of its moments, in cells that no other agent is in; low, high, where
    whole episodes are resampled; dealt, the same if whole episodes were dealt out to the agents
    anew, which is what chance gives so many: even two plays of one agent go separate ways, and
    neighbours in time stay together; missing where no agent has two; moments, episodes.
    Agents that were watched for longer reach more by that alone: compare equal numbers.
    Raises ValueError where there is only one agent.
    """
    names, numbers = list(dict.fromkeys(agents)), _numbered(agents)
    if len(names) < 2:
        raise ValueError(f"moments of one agent ({names[0]}); of which others should they be free?")
    _, places = np.unique(cells, return_inverse=True)
    alone = _alone(places, numbers)
    dealt = _dealt(places, numbers, episodes, seed)
    rows = []
    for number, name in enumerate(names):
        own = numbers == number
        share, low, high = pooled_interval(alone[own], episodes[own], seed)
        facts = {"agent": name, "share": share, "low": low, "high": high}
        many = {"moments": int(own.sum()), "episodes": len(np.unique(episodes[own]))}
        rows.append(facts | {"dealt": dealt[number]} | many)
    return pandas.DataFrame(rows)


def _dealt(
    places: Int[np.ndarray, "points"],
    numbers: Int[np.ndarray, "points"],
    episodes: Int[np.ndarray, "points"],
    seed: int,
) -> Float[np.ndarray, "agents"]:
    """The mean share of each agent where it has as many episodes as it has, but any."""
    _, units = np.unique(np.stack([numbers, episodes]), axis=1, return_inverse=True)
    owner = np.zeros(units.max() + 1, int)
    owner[units] = numbers
    if len(owner) == numbers.max() + 1:  # one each: the deal is the play itself, renamed
        return np.full(len(owner), np.nan)
    random, found = np.random.default_rng(seed), np.zeros(numbers.max() + 1)
    for _ in range(DEALT):
        anew = random.permutation(owner)[units]
        found += np.bincount(anew, _alone(places, anew)) / np.bincount(anew) / DEALT
    return found


def _numbered(agents: Sequence[Hashable]) -> Int[np.ndarray, "points"]:
    order = {name: number for number, name in enumerate(dict.fromkeys(agents))}
    return np.array([order[name] for name in agents])


def _alone(
    places: Int[np.ndarray, "points"], numbers: Int[np.ndarray, "points"]
) -> Shaped[np.ndarray, "points"]:
    """1 for each point in whose cell there are points of its agent alone, else 0."""
    table = np.zeros((places.max() + 1, numbers.max() + 1), bool)
    table[places, numbers] = True
    return (table.sum(axis=1) == 1)[places].astype(float)
