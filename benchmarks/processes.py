"""Measures a piece of work in a fresh process: what a user waits for, and what it takes of memory.

A benchmark script calls `measured`, which runs the script again with `--child`; there `main` calls
`child`, which prints what it saw.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from rows import Row, arguments, show, until


@dataclass(frozen=True)
class Cost:
    """Of one run.

    total: seconds from the start of the process to the end of the work, imports included.
    work: seconds of the work alone.
    peak: MiB of resident memory at most, in the whole process.
    growth: MiB by which the peak during the work exceeds what was resident before it.
    """

    total: float
    work: float
    peak: float
    growth: float


def measured(script: str, *words: str | Path) -> Cost:
    """Runs `script --child words` in a process of its own."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, script, "--child", *map(str, words)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    return Cost(told.pop("ended") - started, **told)


def child(prepare: Callable[[], Callable[[], object]]) -> None:
    """Runs what `prepare` returns, and prints its cost; `prepare` does the imports."""
    work = prepare()
    before = _resident("VmRSS:")
    imports = _resident("VmHWM:")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    started = time.monotonic()
    kept = work()
    ended = time.monotonic()
    peak = _resident("VmHWM:")
    cost = Cost(0.0, ended - started, max(peak, imports), peak - before)
    del kept
    print(json.dumps({k: v for k, v in asdict(cost).items() if k != "total"} | {"ended": ended}))


def main(
    description: str | None,
    make: Callable[[Path], None],
    contenders: dict[str, Callable[[Path], Callable[[], object]]],
    compare: Callable[[int, float], Iterable[Row]],
) -> None:
    """A script's whole command line; `--make FOLDER` and `--child WHO FILE` are for its processes.

    make: writes the files. contenders: prepare the work on one. compare: measures so many times,
        until then.
    """
    if sys.argv[1:2] == ["--make"]:
        make(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["--child"]:
        child(lambda: contenders[sys.argv[2]](Path(sys.argv[3])))
    else:
        options = arguments(description).parse_args()
        show(compare(3 if options.quick else 11, until(options.quick)), options.json)


def _resident(field: str) -> float:
    # not ru_maxrss: Linux lets a child begin with its parent's
    status = Path("/proc/self/status").read_text().split()
    return int(status[status.index(field) + 1]) / 1024
