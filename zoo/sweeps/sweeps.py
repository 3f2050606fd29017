"""A job done for many models and seeds, on one machine or many; taken up where it stopped."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from atari_zoo.catalog.catalog import find
from atari_zoo.catalog.names import file_name
from atari_zoo.catalog.patterns import is_pattern, names_like
from atari_zoo.converters.arguments import checked
from atari_zoo.remote.references import is_remote
from atari_zoo.seeds import whole
from atari_zoo.sweeps.jobs import check_settings
from atari_zoo.sweeps.places import SWEEP, Place
from atari_zoo.sweeps.runners import cluster, here, processes
from atari_zoo.sweeps.tasks import Outcome, Task

FEW = 6  # numbers of a result that the report shows


@dataclass(frozen=True)
class SweepResults:
    """What came of a sweep: the outcomes in the order of its tasks, and where the results lie."""

    job: str
    place: str
    outcomes: tuple[Outcome, ...]

    @property
    def failed(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.result is None)

    def report(self) -> str:
        """A table in Markdown: a row for each task, with the numbers of its result."""
        names = list(dict.fromkeys(name for o in self.outcomes for name in _numbers(o.result)))
        head = ("model", "seed", *names[:FEW], "seconds", "")
        rows = [head, ("---",) * len(head)]
        for outcome in self.outcomes:
            numbers = _numbers(outcome.result)
            cells = [f"{numbers[n]:.6g}" if n in numbers else "" for n in names[:FEW]]
            said = outcome.error.replace("|", "/") or ("" if outcome.attempts else "was there")
            seconds = f"{outcome.seconds:.1f}"
            rows.append((outcome.task.model, str(outcome.task.seed), *cells, seconds, said))
        return "".join(f"| {' | '.join(row)} |\n" for row in rows)


@checked
def sweep(
    job: str,
    models: Iterable[str | Path],
    place: str | Path,
    seeds: Sequence[int] = (0,),
    settings: Mapping[str, Any] | None = None,
    *,
    workers: int = 0,
    scheduler: str = "",
    retries: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> SweepResults:
    """Does a job for every model and seed; one that fails does not stop the others.

    job: a name from `jobs()`, or "module:function". settings: the job's own.
    models: names, patterns of names such as "*/Seaquest/*", or paths.
    place: a folder, or an address that fsspec knows; what is done there already is not done again.
    workers: processes on this machine; 0 for this one alone. scheduler: of a Dask cluster, such as
        tcp://host:8786, instead.
    retries: of a task whose error may pass.
    progress: called with the tasks done and those there are.

    Raises ValueError if there is no such job, setting or model, or another sweep is at `place`;
    OSError if the scheduler is not there, goes away or has no workers for a while.

    >>> sweep("score", ["*/Seaquest/*"], "scores", seeds=range(3), workers=2).failed
    ()
    """
    if scheduler and not re.search(r"://|:\d+$", scheduler):
        raise ValueError(f"scheduler is '{scheduler}'; expected its address, as tcp://host:8786")
    given = dict(settings or {})
    check_settings(job, given)
    seeds = [whole(seed) for seed in seeds]
    place = str(place) if "://" in str(place) else str(Path(place).resolve())
    tasks = [
        Task(job, model, seed, place, f"{name}/seed-{seed}", given, retries)
        for (name, model), seed in product(_named(models).items(), dict.fromkeys(seeds))
    ]
    if not tasks:
        raise ValueError("nothing to do: no models, or no seeds")
    results = Place(place)
    new = _begin(results, job, given)
    outcomes: dict[str, Outcome] = {}
    try:
        for outcome in _runner(tasks, workers, scheduler):
            outcomes[outcome.task.name] = outcome
            progress(len(outcomes), len(tasks))
    except BaseException:
        if new and not outcomes:  # a sweep that could not begin is not in the next one's way
            results.unwrite(SWEEP)
        raise
    done = SweepResults(job, place, tuple(outcomes[task.name] for task in tasks))
    results.tidy(task.name for task in tasks)
    results.write("report.md", done.report())
    results.write("report.json", json.dumps([asdict(o) for o in done.outcomes], indent=1))
    return done


def _runner(tasks: Sequence[Task], workers: int, scheduler: str) -> Iterator[Outcome]:
    if scheduler:
        return cluster(tasks, scheduler)
    return processes(tasks, workers) if workers else here(tasks)


def _named(models: Iterable[str | Path]) -> dict[str, str]:
    """Each model by the name of its folder; of patterns, all that match."""
    found: dict[str, str] = {}
    for model in map(str, models):
        for source in _matching(model):
            base = Path(source).stem if Path(source).exists() else file_name(source)
            name, number = base, 1
            while found.get(name, source) != source:  # two files of one name
                number += 1
                name = f"{base}~{number}"
            found[name] = source
    return found


def _matching(model: str) -> list[str]:
    if Path(model).exists():
        return [str(Path(model).resolve())]  # workers may stand elsewhere
    if is_remote(model):
        return [model]
    return names_like(model) if is_pattern(model) else [find(model).card.name]


def _begin(place: Place, job: str, settings: Mapping[str, Any]) -> bool:
    """Writes down what is to be done; returns whether it was not there yet."""
    # as JSON has them: tuples are lists there
    new = json.loads(json.dumps({"job": job, "settings": settings}))
    there = place.read(SWEEP)
    if there is None:
        place.write(SWEEP, json.dumps(new, indent=1) + "\n")
    elif there != new:
        raise ValueError(
            f"{place.where}: another sweep is there, {there['job']} with {there['settings']}; "
            "choose another place"
        )
    return there is None


def _numbers(result: dict[str, Any] | None) -> dict[str, float]:
    pairs = (result or {}).items()
    return {n: v for n, v in pairs if isinstance(v, int | float) and not isinstance(v, bool)}
