"""Cases: what is measured, with its settings; and the rates that were found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

EMULATOR, NETWORK, PLAY = "emulator", "network", "play"
BOUND, IDLE, EXACT, RECORDING = "bound", "play without a network", "exact screens", "recording"
# what each of them is, for whom the word alone does not tell
MEANINGS = {
    EMULATOR: "ale-py's vectorised emulator with random actions: its ceiling",
    NETWORK: "the network alone, with nothing to play",
    BOUND: "emulator and network, if neither ever waited for the other",
    PLAY: "what a rollout reaches",
    IDLE: "a rollout whose network does nothing",
    EXACT: "a rollout from exact screens, which recording needs",
    RECORDING: "the same, everything recorded onto the disk",
}


@dataclass(frozen=True)
class BenchCase:
    """Something that takes agent steps, of all environments together.

    what: one of those above, or a peer's name.
    envs: environments; 0 for a network alone. batch: observations that a network takes at once.
    threads: of the emulator, or of a network alone; 0 as play has them, one a core.
    groups: of the environments; 0 where there are none.
    """

    what: str
    envs: int = 0
    threads: int = 0
    groups: int = 0
    batch: int = 0
    backend: str = ""
    dtype: str = ""

    @property
    def settings(self) -> str:
        """In words, but for the environments: "2 groups, 1 thread"."""
        counts = {"batch": self.batch}
        words = [f"{name} {count}" for name, count in counts.items() if count]
        for name, count in {"group": self.groups, "thread": self.threads}.items():
            words += [f"{count} {name}{'s' * (count > 1)}"] if count else []
        return ", ".join([*words, *filter(None, (self.backend, self.dtype))])


@dataclass(frozen=True)
class CaseRate:
    """Agent steps a second of a case, in slices of time that took turns with those of others.

    processor: milliseconds of a step on all cores together, in this process alone; None where
        others work too.
    """

    case: BenchCase
    slices: tuple[float, ...]
    processor: float | None = None

    @property
    def rate(self) -> float:
        """The median."""
        return median(self.slices)

    @property
    def low(self) -> float:
        """The slowest slice."""
        return min(self.slices)

    @property
    def high(self) -> float:
        """The fastest slice."""
        return max(self.slices)

    def gain(self, other: CaseRate) -> float:
        """How many times as fast as the other, turn by turn: the median.

        >>> CaseRate(BenchCase("play"), (2.0, 3.0)).gain(CaseRate(BenchCase("play"), (1.0, 1.0)))
        2.5
        """
        return median(a / b for a, b in zip(self.slices, other.slices, strict=True))

    def always_faster(self, other: CaseRate) -> bool:
        """Whether it was faster in each turn."""
        return all(a > b for a, b in zip(self.slices, other.slices, strict=True))


def bound(emulator: CaseRate, network: CaseRate, together: bool) -> CaseRate:
    """What thinking and emulating would give without a pause.

    together: whether the same cores do both, so that a step takes the time of one and the other;
        else, with the network on a GPU, the slower of them alone counts.
    """
    pairs = zip(emulator.slices, network.slices, strict=True)
    rates = (1 / (1 / a + 1 / b) if together else min(a, b) for a, b in pairs)
    return CaseRate(BenchCase(BOUND, emulator.case.envs), tuple(rates))


def rate_of(rates: Sequence[CaseRate], what: str) -> CaseRate | None:
    """The first rate of that kind, if there is one."""
    return next((rate for rate in rates if rate.case.what == what), None)
