"""Options of a measurement, and what is refused before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from math import inf

from atari_zoo.machines import Machine, crowded
from atari_zoo.play.options import check_values
from atari_zoo.play.plans import BACKENDS, Plan

# what brings a backend: its module, and what pip installs
BROUGHT_BY = {"onnxruntime": ("onnxruntime", "onnxruntime"), "torch": ("torch", "torch")}


@dataclass(frozen=True)
class BenchOptions:
    """What is measured, and for how long.

    minutes: of all measurements together. envs, threads: that are tried; of the emulator. What
        suits the machine if none are given. backend, dtype: of play, as a plan has them.
    peers: whether others' ways of playing are measured too.

    Raises ValueError if one is out of its range or choices, or the backend is not installed.
    """

    minutes: float = 2.0
    envs: Sequence[int] = ()
    threads: Sequence[int] = ()
    backend: str = "auto"
    dtype: str = "float32"
    peers: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.minutes < inf:
            raise ValueError(f"minutes is {self.minutes}; expected more than 0, such as 2")
        for name in ("envs", "threads"):
            if wrong := [count for count in getattr(self, name) if count < 1]:
                raise ValueError(f"{name} is {wrong[0]}; it must be at least 1")
        check_values(Plan, backend=self.backend, dtype=self.dtype)
        check_backend(self.backend)

    def tried_envs(self, machine: Machine) -> list[int]:
        """The numbers of environments, ascending."""
        usual = [8, 32, 128] if machine.cores < 8 else [32, 128, 256]
        return sorted(set(self.envs)) or usual

    def tried_threads(self, machine: Machine) -> list[int]:
        """The numbers of the emulator's threads, ascending: powers of two, and one a core."""
        powers = [2**power for power in range(12) if 2**power < machine.cores]
        return sorted(set(self.threads)) or [*powers, machine.cores]

    def remarks(self, machine: Machine) -> list[str]:
        """What is to be said before, a line each."""
        lines = (crowded(count, machine.cores) for count in self.tried_threads(machine))
        return [line for line in lines if line][:1]


def check_backend(name: str) -> None:
    """Raises ValueError, with what to install, if what computes is not there."""
    assert name in BACKENDS
    module, package = BROUGHT_BY.get(name, ("torch", "torch"))
    if find_spec(module) is None:
        raise ValueError(f"backend '{name}' is not installed: pip install '{package}'")
