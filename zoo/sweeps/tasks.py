"""Tasks of a sweep: each a job for one model and seed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from atari_zoo.sweeps.jobs import job_named
from atari_zoo.sweeps.places import RESULT, Place


@dataclass(frozen=True)
class Task:
    """What is to be done.

    name: of its folder below the sweep's place. retries: how often it is tried again after an
    error that may pass; one that the input is to blame for (ValueError) is not.
    """

    job: str
    model: str
    seed: int
    place: str
    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    retries: int = 1


@dataclass(frozen=True)
class Outcome:
    """What came of a task.

    result: what the job returned; None if it failed, and then `error` says why.
    attempts: 0 if the result was there before. seconds: that the last attempt took.
    """

    task: Task
    result: dict[str, Any] | None = None
    error: str = ""
    attempts: int = 0
    seconds: float = 0.0


def do(task: Task) -> Outcome:
    """Does a task, unless its result is there; keeps the result. Never raises Exception."""
    attempt, outcome = 0, Outcome(task)
    while outcome.result is None and attempt <= task.retries:
        attempt += 1
        started = time.monotonic()
        try:
            result, was_there = _done(task)
            spent = 0.0 if was_there else time.monotonic() - started
            return Outcome(task, result, attempts=0 if was_there else attempt, seconds=spent)
        except Exception as error:  # whatever a job may raise: the others go on
            words = str(error) or type(error).__name__
            known = isinstance(error, ValueError | OSError)
            words = words if known else f"{type(error).__name__}: {words}"
            outcome = Outcome(task, None, words, attempt, time.monotonic() - started)
            if isinstance(error, ValueError):
                break
    return outcome


def _done(task: Task) -> tuple[dict[str, Any], bool]:
    place = Place(task.place)
    if (result := place.read(f"{task.name}/{RESULT}")) is not None:
        return result, True
    with place.room(task.name) as folder:
        result = job_named(task.job)(task.model, folder, task.seed, **task.settings)
        place.keep(folder, task.name, result)
    return result, False
