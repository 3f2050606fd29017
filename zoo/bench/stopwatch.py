"""Stopwatch: how fast things step, in turns, so that a busy machine slows all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from statistics import median
from typing import NamedTuple

from atari_zoo.bench.cases import BenchCase, CaseRate
from atari_zoo.threads import torch_threads

WARM = 2  # steps before each slice: between two slices what was begun comes to an end


class Contender(NamedTuple):
    """Something that steps; `step` returns how many agent steps it took.

    threads: of torch meanwhile, where not as they are. inside: whether this process does the work.
    """

    step: Callable[[], int]
    threads: int | None = None
    inside: bool = True


class Stopwatch:
    """Measures for `seconds` at a time, by these clocks."""

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = time.perf_counter,
        processor: Callable[[], float] = time.process_time,
    ) -> None:
        self.seconds, self.clock, self.processor = seconds, clock, processor

    def slice(self, contender: Contender) -> tuple[float, float]:
        """Agent steps a second, and the processor's milliseconds of a step."""
        threads = contender.threads
        with nullcontext() if threads is None else torch_threads(threads):
            for _ in range(WARM):
                contender.step()
            began, spent, steps = self.clock(), self.processor(), 0
            while (taken := self.clock() - began) < self.seconds or not steps:
                steps += contender.step()
            return steps / taken, 1000 * (self.processor() - spent) / steps

    def turns(
        self, contenders: Mapping[BenchCase, Contender], repeats: int
    ) -> Iterator[tuple[CaseRate, ...]]:
        """The rates after each round, in which every contender has its slice."""
        rates: dict[BenchCase, list[float]] = {case: [] for case in contenders}
        spent: dict[BenchCase, list[float]] = {case: [] for case in contenders}
        for _ in range(repeats):
            for case, contender in contenders.items():
                rate, processor = self.slice(contender)
                rates[case].append(rate)
                spent[case].append(processor)
            yield tuple(
                CaseRate(case, tuple(rates[case]), median(spent[case]) if c.inside else None)
                for case, c in contenders.items()
            )
