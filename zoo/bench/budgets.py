"""Time budgets: what of a plan of measurements fits into the time that there is."""

from __future__ import annotations

import time
from collections.abc import Callable

from atari_zoo.bench.groups import BenchGroup

SLICES = 200  # in the whole time: each then takes so small a part of it
SHORTEST, LONGEST = 0.05, 1.0  # seconds of a slice
REPEATS, MANY = 3, 5  # rounds of each group; the latter where there is time for it
AMPLE = 300.0  # seconds
EXCESS = 1.5  # what steps that are not timed, and those that are slow, add


class TimeBudget:
    """Seconds to be spent, by a clock; what opening takes on this machine it learns."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds, self.clock = seconds, clock
        self.slice = min(LONGEST, max(SHORTEST, seconds / SLICES))
        self.repeats = MANY if seconds >= AMPLE else REPEATS
        self._began = clock()
        self._guessed = self._taken = 0.0

    @property
    def spent(self) -> float:
        return self.clock() - self._began

    @property
    def left(self) -> float:
        """Seconds; negative where more was spent."""
        return self.seconds - self.spent

    def needed(self, group: BenchGroup) -> float:
        """Seconds that it will take."""
        measuring = len(group.cases) * self.repeats * self.slice * EXCESS
        return group.opening * self._slowness + measuring

    def learn(self, group: BenchGroup, seconds: float) -> None:
        """Takes what opening it took."""
        self._guessed += group.opening
        self._taken += seconds

    @property
    def _slowness(self) -> float:
        return self._taken / self._guessed if self._guessed else 1.0
