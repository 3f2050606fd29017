"""Rollouts: a network plays many copies of its game, and what happened is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from atari_zoo.catalog.names import file_name
from atari_zoo.converters.network.foreign import Network
from atari_zoo.models import as_network
from atari_zoo.play.plans import Plan
from atari_zoo.play.runner import Runner
from atari_zoo.play.signatures import planned, takes_options
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
        list of recordings is returned.
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
    with ExitStack() as stack:
        runners = [
            stack.enter_context(Runner(network, plan))
            for network, plan in zip(networks, plans, strict=True)
        ]
        if all(runner.backend == "onnxruntime" for runner in runners):
            stack.enter_context(torch_threads(1))
        unfinished = [runner for runner in runners if not runner.tally.finished]
        while unfinished:
            # in turn: while one's network thinks, the emulators of the others work
            unfinished = [runner for runner in unfinished if _advanced(runner, runners)]
        return [runner.recording() for runner in runners]


def _advanced(runner: Runner, runners: Sequence[Runner]) -> bool:
    more = runner.advance()
    done, total = zip(*(each.tally.progress for each in runners), strict=True)
    runner.plan.progress(sum(done), sum(total))
    return more


def _paths(networks: Sequence[Network], folder: str | Path | None) -> list[Path | None]:
    """A folder for each network's recording, by its name; numbered where two have the same."""
    if folder is None:
        return [None] * len(networks)
    names = [file_name(network.card.name) for network in networks]
    same = [names[:number].count(name) for number, name in enumerate(names)]
    numbers = [f"~{count + 1}" if count else "" for count in same]
    return [Path(folder) / f"{name}{n}.zarr" for name, n in zip(names, numbers, strict=True)]
