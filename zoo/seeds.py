"""Seeds: any whole number, for generators that take fewer of them."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from jaxtyping import Int64

EMULATORS = 2**31  # ale-py's are from 0; it takes -1 for the clock
GENERATORS = 2**63  # NumPy's take no negative ones, torch's none much larger
FAR = 1_000_003  # more games than anybody plays at once


def generator_seed(seed: Any) -> int:
    """What seeds a generator of NumPy or torch: the number itself, if it is from 0 to 2^63 - 1.

    Raises ValueError if it is no whole number.

    >>> generator_seed(7), generator_seed(-1)
    (7, 9223372036854775807)
    """
    return whole(seed) % GENERATORS


def consecutive_seeds(seed: Any, count: int, below: int) -> Int64[np.ndarray, "count"]:
    """seed, seed + 1 ..., for so many games, each wrapped into what is below a limit.

    Raises ValueError if the seed is no whole number.
    """
    first = whole(seed)
    return np.array([(first + i) % below for i in range(count)], np.int64)


def draw_seed(seed: Any, number: int, envs: int) -> int:
    """Of a draw among several, from 0: no two play the same games, in so many environments.

    >>> [draw_seed(3, number, envs=8) for number in range(3)]
    [3, 11, 19]
    """
    return whole(seed) + number * envs


def seed_apart(seed: Any, first: Any, games: int, count: int) -> int:
    """A seed for other games: `count` from it on share none with `games` from the seed `first` on.

    Game i of a play is seeded with seed + i, so that the next seed's games are mostly the same.
    Raises ValueError if a seed is no whole number.

    >>> seed_apart(0, 0, games=8, count=8)
    1000003
    """
    found, begun = whole(seed) + FAR, whole(first)
    while (found - begun) % EMULATORS < games or (begun - found) % EMULATORS < count:
        found += FAR
    return found


def whole(seed: Any) -> int:
    """The seed as an int; raises ValueError if it is no whole number."""
    try:
        return operator.index(seed)
    except TypeError:
        raise ValueError(f"seed is {seed!r}; expected a whole number, such as 0") from None
