"""Runners of a sweep's tasks: this process, processes on this machine, or a Dask cluster."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import Any
from uuid import uuid4

from atari_zoo.sweeps.jobs import in_lanes_too
from atari_zoo.sweeps.tasks import Outcome, Task, do

PATIENCE = 10.0  # seconds that a cluster may be without workers
PAUSE = 0.05  # seconds between two looks


def here(tasks: Sequence[Task]) -> Iterator[Outcome]:
    """In this process: one after another, or, of jobs that may be, one on each core at once."""
    if not all(in_lanes_too(task.job, task.settings) for task in tasks):
        yield from map(do, tasks)
        return
    from atari_zoo.emulator.lanes import in_lanes  # which asks for torch

    yield from (outcome for _, outcome in in_lanes([partial(do, task) for task in tasks]))


def processes(tasks: Sequence[Task], workers: int) -> Iterator[Outcome]:
    """In processes of their own, several at a time; one that dies is begun anew."""
    with _local(min(workers, len(tasks))) as scheduler:
        yield from cluster(tasks, scheduler)


def cluster(tasks: Sequence[Task], scheduler: str) -> Iterator[Outcome]:
    """On a Dask cluster, which gives the tasks of workers that die to others.

    The workers need the zoo installed, and see the sweep's place under the same name.
    Raises OSError if there is no scheduler at that address, if it goes away, or if it is without
    workers for `PATIENCE` seconds.
    """
    from distributed import Client, KilledWorker, as_completed

    with closing(Client(scheduler, timeout="20s", set_as_default=False)) as client:
        sweep = uuid4().hex  # another sweep's tasks may have the same names
        keys = [f"{task.job}-{task.name}-{sweep}" for task in tasks]
        futures = client.map(do, tasks, key=keys)
        tasks_by_key = dict(zip((future.key for future in futures), tasks, strict=True))
        finished = as_completed(futures, loop=client.loop)
        try:
            while finished.count():
                _wait(client, finished, scheduler)
                future = next(finished)
                if future.cancelled():
                    raise _gone(scheduler)
                lost = future.exception()  # of the task itself, `do` tells
                if lost is None:
                    yield future.result()
                else:
                    words = "its process died" if isinstance(lost, KilledWorker) else str(lost)
                    yield Outcome(tasks_by_key[future.key], None, words, 1)
        finally:
            client.cancel(futures)


def _wait(client: Any, finished: Any, scheduler: str) -> None:
    """Returns when a task is finished; raises OSError where none can be."""
    seen = looked = time.monotonic()
    while not finished.has_ready():
        now = time.monotonic()
        if client.status != "running":
            raise _gone(scheduler)
        if now - looked > 1:
            looked = now
            seen = now if client.scheduler_info()["workers"] else seen
        if now - seen > PATIENCE:
            raise OSError(
                f"the Dask scheduler at {scheduler} has no workers; start some, such as "
                f"`dask worker {scheduler}`, and sweep again: what is done is kept"
            )
        time.sleep(PAUSE)


def _gone(scheduler: str) -> OSError:
    return OSError(
        f"the Dask scheduler at {scheduler} went away; sweep again: what is done is kept"
    )


@contextmanager
def _local(workers: int) -> Iterator[str]:
    """The address of a scheduler in this process, which has so many workers on this machine."""
    from dask import config
    from distributed import LocalCluster

    # none waits at a worker for its turn: when that dies, it would be blamed too
    one_each = {"distributed.scheduler.worker-saturation": 1.0}
    quiet = {"DASK_LOGGING__DISTRIBUTED": "critical"}
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // workers))}
    with (
        config.set(one_each),
        LocalCluster(
            n_workers=0,
            processes=False,
            protocol="tcp://",
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # any free port: none is asked for, but one is taken
            silence_logs=logging.CRITICAL,
        ) as local,
    ):
        address = local.scheduler_address
        # not its own workers: for those, a user's script would have to guard its main module
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", "worker", address, f"--nworkers={workers}"]
            + ["--nthreads=1", "--memory-limit=0", "--no-dashboard"],
            env=os.environ | quiet | threads,
            stdin=subprocess.DEVNULL,
            stdout=2,  # whatever a job prints must not mix with what the sweep tells
        )
        try:
            yield address
        finally:
            process.terminate()
            process.wait()
