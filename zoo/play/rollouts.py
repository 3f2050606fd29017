"""Rollouts: a network plays many copies of its game, and what happened is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from atari_zoo.catalog.names import file_name
from atari_zoo.converters.network.foreign import Network
from atari_zoo.emulator.lanes import in_lanes, this_lane
from atari_zoo.machines import check_fits
from atari_zoo.models import as_network
from atari_zoo.play.int8_calibration import calibrated
from atari_zoo.play.plans import INT8, Plan
from atari_zoo.play.rules import rules
from atari_zoo.play.runner import Runner
from atari_zoo.play.signatures import planned, takes_options
from atari_zoo.play.sinks import check_place
from atari_zoo.recordings.recordings import Recording
from atari_zoo.threads import torch_threads

Model = Network | str | Path


@takes_options(Plan)
def rollout(
    network: Model | Sequence[Model], plan: Plan | None = None, /, **options: Any
) -> Recording | list[Recording]:
    """Plays `steps` steps in each environment, or `episodes` whole episodes in all.

    network: on the device where it is to run, or a name or path as `load` takes them; or several,
        of any games, each of which plays in `envs` environments of its own, as it would alone: a
        list of recordings is returned. On a processor they share the cores, and many agents of one
        game its emulators; what is played is the same to the last bit.
    plan: options that are given together; those beside it come in their place.
    {options}

    Raises ValueError if the network and the game do not fit, or an argument is out of range;
    FileExistsError if there is something at `path` and it is not to be resumed.

    >>> rollout(net, episodes=10).returns.mean()
    20.1
    """
    plan = planned(plan, options)
    if isinstance(network, str) or not isinstance(network, Sequence):
        return _recordings([as_network(network)], [plan])[0]
    networks = [as_network(each) for each in network]
    plans = [replace(plan, path=path) for path in _paths(networks, plan.path)]
    return _recordings(networks, plans)


def _recordings(networks: Sequence[Network], plans: Sequence[Plan]) -> list[Recording]:
    """A recording of each network; where all are on the processor, played in lanes."""
    pairs = list(zip(networks, plans, strict=True))
    for network, plan in pairs:  # all that can be told before is told before anything is played
        rules(plan, network)
        check_place(plan.path, plan.resume)
        check_fits(plan.envs if plan.episodes is None else min(plan.envs, plan.episodes))
        if plan.dtype == INT8:
            calibrated(network, plan.force_int8)
    told = _Progress(len(pairs))
    if any(next(network.parameters()).device.type != "cpu" for network in networks):
        return _in_turn(pairs, told)
    # the hooks of a network that records layers are its own: one rollout of it at a time
    same = len({id(network) for network in networks}) < len(networks)
    calls = [partial(_recording, *pair, told, number) for number, pair in enumerate(pairs)]
    found = dict(in_lanes(calls, 1 if same and any(plan.layers for plan in plans) else 0))
    return [found[number] for number in range(len(pairs))]


def _in_turn(pairs: Sequence[tuple[Network, Plan]], told: _Progress) -> list[Recording]:
    """On a GPU: while one's network thinks, the emulators of the others work."""
    with ExitStack() as stack:
        runners = [stack.enter_context(Runner(network, plan)) for network, plan in pairs]
        unfinished = [number for number, one in enumerate(runners) if not one.tally.finished]
        while unfinished:
            unfinished = [number for number in unfinished if _more(runners[number], told, number)]
        return [runner.recording() for runner in runners]


def _recording(network: Network, plan: Plan, told: _Progress, number: int) -> Recording:
    lane = this_lane()
    with ExitStack() as stack:
        runner = stack.enter_context(Runner(network, plan))
        if runner.backend == "onnxruntime" and lane is None:
            stack.enter_context(torch_threads(1))
        more = not runner.tally.finished
        while more:
            if lane is not None:
                lane.check()
            more = _more(runner, told, number)
        return runner.recording()


def _more(runner: Runner, told: _Progress, number: int) -> bool:
    """Plays a step; whether there are more to come."""
    more = runner.advance()
    told.tell(number, runner)
    return more


class _Progress:
    """What several rollouts have done, told by one at a time."""

    def __init__(self, count: int) -> None:
        self._done, self._lock = [0] * count, Lock()

    def tell(self, number: int, runner: Runner) -> None:
        """Tells the runner's plan of all steps or episodes that were played."""
        with self._lock:
            self._done[number], total = runner.tally.progress
            runner.plan.progress(sum(self._done), total * len(self._done))


def _paths(networks: Sequence[Network], folder: str | Path | None) -> list[Path | None]:
    """A folder for each network's recording, by its name; numbered where two have the same."""
    if folder is None:
        return [None] * len(networks)
    names = [file_name(network.card.name) for network in networks]
    same = [names[:number].count(name) for number, name in enumerate(names)]
    numbers = [f"~{count + 1}" if count else "" for count in same]
    return [Path(folder) / f"{name}{n}.zarr" for name, n in zip(names, numbers, strict=True)]
