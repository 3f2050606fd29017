"""Measurement of a whole agent: groups of cases in turn, as long as there is time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path

from atari_zoo.bench.agents import bench_network
from atari_zoo.bench.budgets import TimeBudget
from atari_zoo.bench.cases import EMULATOR, NETWORK, BenchCase, CaseRate, bound, rate_of
from atari_zoo.bench.contenders import OPENERS, BenchAgent, Opener
from atari_zoo.bench.groups import REACH, BenchGroup, Usual, bench_groups
from atari_zoo.bench.options import BenchOptions
from atari_zoo.bench.peers import PEERS, missing_peers
from atari_zoo.bench.recommendations import recommended, same_outputs
from atari_zoo.bench.results import GroupRates, Throughput
from atari_zoo.bench.stopwatch import Contender, Stopwatch
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.network.foreign import Network
from atari_zoo.machines import INSTRUCTIONS, Machine, check_fits, this_machine
from atari_zoo.play.groups import groups_for
from atari_zoo.play.inference import Inference
from atari_zoo.play.int8_calibration import calibrated
from atari_zoo.play.plans import INT8
from atari_zoo.play.tuned import architecture_of, libraries

ALL_OPENERS: Mapping[str, Opener] = OPENERS | {name: peer.open for name, peer in PEERS.items()}
USUAL_OPTIONS = BenchOptions()


@dataclass(frozen=True)
class Watch:
    """What is told meanwhile, and the clocks.

    found: called with each group's rates. remark: with what was left out, and why.
    progress: with the seconds done, those there are, and what is measured.
    stopped: whether to stop; what was measured is kept.
    """

    found: Callable[[GroupRates], object] = lambda group: None
    remark: Callable[[str], object] = lambda line: None
    progress: Callable[..., object] = lambda done, total, text="": None
    stopped: Callable[[], bool] = lambda: False
    clock: Callable[[], float] = time.perf_counter
    openers: Mapping[str, Opener] = field(default_factory=lambda: ALL_OPENERS)


USUAL_WATCH = Watch()


@checked
def throughput(
    model: Network | str | Path,
    game: str | None = None,
    options: BenchOptions = USUAL_OPTIONS,
    *,
    device: str = "cpu",
    machine: Machine | None = None,
    watch: Watch = USUAL_WATCH,
) -> Throughput:
    """How fast an agent plays on this machine, what bounds it, and what plays fastest.

    model: a network, a name or path as `load` takes them, or an architecture of
        `bench.agents.ARCHITECTURES`, with random weights. game: if not the model's own.
    device: where a network is put that is not given itself.
    machine: for whom it is planned; this one if not given.

    Raises ValueError for an unknown model, architecture or game, for a backend that is not
    installed, and for more environments than fit into memory.

    >>> throughput("a2c", "Pong", BenchOptions(minutes=0.5)).table[["what", "envs", "rate"]]
    """
    network = bench_network(model, game, device) if isinstance(model, str | Path) else model
    agent = BenchAgent(network, game)
    machine = machine or this_machine(agent.device)
    if options.dtype == INT8:
        calibrated(network, force=True)
    usual = usual_of(agent, options)
    check_fits(max(options.tried_envs(machine)), machine.memory)
    result = Throughput(
        network.card.name, architecture_of(network), agent.game.name, machine.name, libraries()
    )
    remarks = _Remarks(watch.remark, [])
    for line in [*options.remarks(machine), *_left_out(options, machine)]:
        remarks.add(line)
    groups = []
    for group in measured_groups(
        agent, bench_groups(options, machine, usual), options, remarks.add, watch
    ):
        groups.append(group)
        watch.found(group)
    whole = replace(result, groups=tuple(groups), remarks=tuple(remarks.lines))
    return recommended(whole, agent, usual, same_outputs(agent, usual))


def usual_of(agent: BenchAgent, options: BenchOptions) -> Usual:
    """How the agent plays by these options."""
    with closing(Inference(agent.network, dtype=options.dtype, backend=options.backend)) as made:
        backend, groups = made.backend, groups_for(made)
    with closing(Inference(agent.network)) as automatic:
        return Usual(backend, options.dtype, groups, automatic.backend, agent.device.type)


def measured_groups(
    agent: BenchAgent,
    groups: list[BenchGroup],
    options: BenchOptions,
    remark: Callable[[str], object],
    watch: Watch = USUAL_WATCH,
) -> Iterator[GroupRates]:
    """The groups' rates, one after the other; those for which there is no time are told last."""
    budget = TimeBudget(60 * options.minutes, watch.clock)
    left_out: list[BenchGroup] = []
    for number, group in enumerate(groups):
        if watch.stopped():
            return
        if number and budget.needed(group) > budget.left:
            left_out.append(group)
        elif (rates := _group_rates(agent, group, budget, remark, watch)) is not None:
            yield rates
    if left_out:
        titles = "; ".join(group.title for group in left_out)
        minutes = ceil((budget.spent + sum(map(budget.needed, left_out))) / 60)
        remark(f"left out for want of time: {titles} (--minutes {minutes} has about all)")


def _group_rates(
    agent: BenchAgent,
    group: BenchGroup,
    budget: TimeBudget,
    remark: Callable[[str], object],
    watch: Watch,
) -> GroupRates | None:
    """None where nothing of it could be measured."""
    began, opened = watch.clock(), dict[BenchCase, Contender]()
    with ExitStack() as stack:
        for case in group.cases:
            watch.progress(min(budget.spent, budget.seconds), budget.seconds, group.title)
            try:
                opened[case] = stack.enter_context(watch.openers[case.what](agent, case))
            except Exception as error:  # of other libraries anything; the others are measured
                if not isinstance(error, ValueError) and case.what not in PEERS:
                    raise
                remark(f"not measured: {case.what}: {' '.join(str(error).split())}")
        budget.learn(group, watch.clock() - began)
        rates: tuple[CaseRate, ...] = ()
        for turn in Stopwatch(budget.slice, watch.clock).turns(opened, budget.repeats):
            rates = turn
            watch.progress(min(budget.spent, budget.seconds), budget.seconds, group.title)
            if watch.stopped() or budget.left < 0:
                break
    if not rates:
        return None
    emulator, network = (rate_of(rates, what) for what in (EMULATOR, NETWORK))
    if group.kind == REACH and emulator is not None and network is not None:
        rates = (*rates, bound(emulator, network, agent.device.type == "cpu"))
    return GroupRates(group.kind, group.title, rates)


@dataclass
class _Remarks:
    """Lines that are told at once, and kept."""

    tell: Callable[[str], object]
    lines: list[str]

    def add(self, line: str) -> None:
        self.lines.append(line)
        self.tell(line)


def _left_out(options: BenchOptions, machine: Machine) -> Iterator[str]:
    """What this machine has not."""
    if without := [name for name in INSTRUCTIONS if name not in machine.precisions]:
        what = machine.gpu or machine.processor
        yield f"not measured: {', '.join(without)}: {what} has no instructions for it"
    if options.peers and (missing := missing_peers()):
        yield f"not installed: {', '.join(missing)}: pip install {' '.join(missing.values())}"
