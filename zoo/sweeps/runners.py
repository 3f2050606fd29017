"""Who does a sweep's tasks: this process, processes on this machine, or a Dask cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from queue import Empty, Queue, SimpleQueue
from threading import Event, Thread
from typing import Any
from uuid import uuid4

from atari_zoo.sweeps.tasks import Outcome, Task, do

TOLERATED = 3  # deaths of workers that a task may be blamed for, as Dask has it


def here(tasks: Sequence[Task]) -> Iterator[Outcome]:
    """One after another, in this process."""
    return map(do, tasks)


def processes(tasks: Sequence[Task], workers: int) -> Iterator[Outcome]:
    """In processes of their own, several at a time; one that dies is begun anew."""
    todo: SimpleQueue[Task] = SimpleQueue()
    done: Queue[Outcome | Exception] = Queue()
    stop = Event()
    for task in tasks:
        todo.put(task)
    count = min(workers, len(tasks))
    helpers = [_Helper(max(1, (os.cpu_count() or 1) // max(count, 1))) for _ in range(count)]
    for helper in helpers:
        Thread(target=helper.work, args=(todo, done, stop), daemon=True).start()
    try:
        for _ in tasks:
            outcome = done.get()
            if isinstance(outcome, Exception):
                raise outcome
            yield outcome
    finally:
        stop.set()
        for helper in helpers:
            helper.close()


def dask(tasks: Sequence[Task], scheduler: str) -> Iterator[Outcome]:
    """On a Dask cluster, which gives the tasks of workers that die to others.

    The workers need the zoo installed, and see the sweep's place under the same name.
    Raises OSError if there is no scheduler at that address.
    """
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise ImportError(
            "a Dask cluster needs more packages: pip install 'atari-zoo[cluster]'"
        ) from error
    with closing(Client(scheduler, timeout="20s", set_as_default=False)) as client:
        of_this = uuid4().hex  # another sweep's tasks may have the same names
        keys = [f"{task.job}-{task.name}-{of_this}" for task in tasks]
        futures = client.map(do, tasks, key=keys)
        of = dict(zip((future.key for future in futures), tasks, strict=True))
        try:
            for future in as_completed(futures, loop=client.loop):
                lost = future.exception()  # of the task itself, `do` tells
                said = None if lost is None else Outcome(of[future.key], None, str(lost), 1)
                yield said or future.result()
        finally:
            client.cancel(futures)


class _Helper:
    """A process that does tasks; its numbers are crunched by `threads` threads."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._process: subprocess.Popen[str] | None = None

    def work(self, todo: SimpleQueue[Task], done: Queue[Outcome | Exception], stop: Event) -> None:
        """Does what there is to do, until nothing is left."""
        try:
            while not stop.is_set():
                done.put(self._outcome(todo.get_nowait(), stop))
        except Empty:
            self.close()
        except Exception as error:  # such as no memory for another process: whoever waits is told
            done.put(error)

    def close(self) -> None:
        """Ends the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()  # closes its pipes too

    def _outcome(self, task: Task, stop: Event) -> Outcome:
        for _ in range(TOLERATED + 1):
            outcome = self._done(task)
            if outcome is not None or stop.is_set():
                break
        return outcome or Outcome(task, None, "its process died", TOLERATED + 1)

    def _done(self, task: Task) -> Outcome | None:
        """None if the process died over it."""
        process = self._begun()
        assert process.stdin is not None and process.stdout is not None  # they are pipes
        try:
            process.stdin.write(json.dumps(asdict(task)) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            told: dict[str, Any] = json.loads(answer) if answer else {}
        except (OSError, ValueError):
            told = {}
        if not told:
            self.close()
            return None
        return Outcome(**told | {"task": task})

    def _begun(self) -> subprocess.Popen[str]:
        if self._process is None:
            threads = {"OMP_NUM_THREADS": str(self._threads)}
            # not multiprocessing, which would have a user's script guard its main module
            self._process = subprocess.Popen(
                [sys.executable, "-m", "atari_zoo.sweeps.tasks"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | threads,
                text=True,
            )
        return self._process
