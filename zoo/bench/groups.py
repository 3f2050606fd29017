"""Groups of cases that are compared with each other, the most informative first."""

from __future__ import annotations

from dataclasses import dataclass, replace

from atari_zoo.bench.cases import (
    EMULATOR,
    EXACT,
    IDLE,
    NETWORK,
    PLAY,
    RECORDING,
    BenchCase,
)
from atari_zoo.bench.options import BenchOptions
from atari_zoo.bench.peers import PEERS, missing_peers
from atari_zoo.machines import Machine
from atari_zoo.play.plans import INT8

# backends and precisions, the first the usual one; a precision is tried where the machine has it
WAYS = (
    ("onnxruntime", "float32"),
    ("onnxruntime", INT8),
    ("torch", "float32"),
    ("torch", "bfloat16"),
    ("torch", "float16"),
)
GROUPS = (1, 2, 4)  # of environments, that are tried
# seconds to open a case for each environment, on an idle core; a game is loaded, and seeded anew
OPENING = {NETWORK: 0.0, EMULATOR: 0.09, PLAY: 0.18, IDLE: 0.18}
OPENING_OTHERS, OPENING_ALWAYS = 0.2, 0.5


@dataclass(frozen=True)
class BenchGroup:
    """Cases that take turns. kind: what is asked of them. title: in words."""

    kind: str
    title: str
    cases: tuple[BenchCase, ...]

    @property
    def opening(self) -> float:
        """Seconds that opening them takes, about."""
        seconds = (OPENING.get(case.what, OPENING_OTHERS) * case.envs for case in self.cases)
        return sum(seconds) + OPENING_ALWAYS


# kinds of groups
REACH, COMPUTE, SETTINGS, RECORDED, THREADS, REST, BESIDE = (
    "reach compute settings recording threads rest peers".split()
)


@dataclass(frozen=True)
class Usual:
    """As the agent plays by the options: what computes, and in how many groups.

    automatic: what would compute if no backend were named. device: of the network.
    """

    backend: str
    dtype: str
    groups: int
    automatic: str
    device: str = "cpu"


def bench_groups(options: BenchOptions, machine: Machine, usual: Usual) -> list[BenchGroup]:
    """All that can be asked, in the order of what it tells."""
    envs = options.tried_envs(machine)
    first, second, rest = envs[0], envs[1:2], envs[2:]
    batches = [max(1, count // usual.groups) for count in envs]
    beside = [peer_group(count, machine, usual) for count in envs[:2]] if options.peers else []
    return [
        reach_group(first, machine, usual),
        *(reach_group(count, machine, usual) for count in second),
        *beside[:1],
        compute_group(batches[len(second)], machine, usual),
        *settings_group(first, options, machine, usual),
        recording_group(first, usual),
        *(group for count in second for group in settings_group(count, options, machine, usual)),
        *beside[1:],
        *threads_group(first, options, machine),
        *(reach_group(count, machine, usual) for count in rest),
        *(compute_group(b, machine, usual) for b in batches if b != batches[len(second)]),
        rest_group(first, machine, usual),
    ]


def reach_group(envs: int, machine: Machine, usual: Usual) -> BenchGroup:
    """The emulator, the network, and what play makes of both."""
    batch = max(1, envs // usual.groups)
    network = BenchCase(NETWORK, 0, machine.cores, 0, batch, usual.backend, usual.dtype)
    cases = (BenchCase(EMULATOR, envs, machine.cores), network, play_case(envs, usual))
    return BenchGroup(REACH, f"{envs} environments", cases)


def play_case(envs: int, usual: Usual, what: str = PLAY) -> BenchCase:
    """A rollout as it is if nobody says otherwise."""
    return BenchCase(what, envs, groups=usual.groups, backend=usual.backend, dtype=usual.dtype)


def compute_group(batch: int, machine: Machine, usual: Usual) -> BenchGroup:
    """The network by backend and precision."""
    ways = [
        (backend, dtype)
        for backend, dtype in WAYS
        if dtype in ("float32", INT8, *machine.precisions)
        and not (backend == "onnxruntime" and usual.backend == "torch")
    ]
    cases = tuple(BenchCase(NETWORK, 0, machine.cores, 0, batch, *way) for way in ways)
    return BenchGroup(COMPUTE, f"the network, {batch} observations at once", cases)


def settings_group(
    envs: int, options: BenchOptions, machine: Machine, usual: Usual, what: str = PLAY
) -> list[BenchGroup]:
    """Play with other groups and threads, the usual first; no group where there are no others."""
    first = play_case(envs, usual, what)
    others = [replace(first, groups=count) for count in GROUPS if count != usual.groups]
    others += [
        replace(first, threads=count)
        for count in options.tried_threads(machine)
        if count != machine.cores
    ][-2:]
    some = tuple(case for case in others if case.groups <= envs)
    title = f"{envs} environments, other groups and threads"
    return [BenchGroup(SETTINGS, title, (first, *some))] if some else []


def recording_group(envs: int, usual: Usual) -> BenchGroup:
    """What recording everything costs, and in which groups it costs least."""
    exact = play_case(envs, usual, EXACT)
    cases = (exact, *(replace(exact, groups=3 - exact.groups),) * (envs > 1 and exact.groups < 3))
    title = f"{envs} environments, recorded"
    return BenchGroup(RECORDED, title, (*cases, play_case(envs, usual, RECORDING)))


def threads_group(envs: int, options: BenchOptions, machine: Machine) -> list[BenchGroup]:
    """The emulator by threads; none where there is but one number to try."""
    cases = tuple(BenchCase(EMULATOR, envs, count) for count in options.tried_threads(machine))
    return [BenchGroup(THREADS, f"{envs} environments, emulator", cases)] * (len(cases) > 1)


def rest_group(envs: int, machine: Machine, usual: Usual) -> BenchGroup:
    """What is left of a rollout's time if its network does nothing."""
    idle = BenchCase(IDLE, envs, groups=usual.groups)
    cases = (BenchCase(EMULATOR, envs, machine.cores), idle, play_case(envs, usual))
    return BenchGroup(REST, f"{envs} environments, where the time goes", cases)


def peer_group(envs: int, machine: Machine, usual: Usual) -> BenchGroup:
    """Play beside what else one would play with, where it is installed."""
    there = [name for name in PEERS if name not in missing_peers()]
    cases = (play_case(envs, usual), *(BenchCase(name, envs, machine.cores) for name in there))
    return BenchGroup(BESIDE, f"{envs} environments, other libraries", cases)
