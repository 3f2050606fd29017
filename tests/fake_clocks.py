"""A clock that only what is measured moves, and contenders of known speed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from atari_zoo.bench.cases import BenchCase
from atari_zoo.bench.stopwatch import Contender


class FakeClock:
    """Seconds; `opened` and `stepped` tell what was done, in order."""

    def __init__(self) -> None:
        self.now = 0.0
        self.opened: list[BenchCase] = []
        self.stepped: list[BenchCase] = []

    def __call__(self) -> float:
        return self.now

    def opener(
        self, rate: Callable[[BenchCase], float], opening: float = 0.0
    ) -> Callable[[object, BenchCase], object]:
        """rate: agent steps a second of a case. opening: seconds for each environment."""

        @contextmanager
        def opened(agent: object, case: BenchCase) -> Iterator[Contender]:
            self.now += opening * case.envs
            self.opened.append(case)
            count = case.envs or case.batch

            def step() -> int:
                self.stepped.append(case)
                self.now += count / rate(case)
                return count

            yield Contender(step)

        return opened
