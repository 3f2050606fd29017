"""The form that all benchmarks share: two contenders, run by turns, a row of medians for each
case, printed as a table or as JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

MORE_IS_BETTER = {
    "steps/s": True,
    "frames/s": True,
    "%": True,
    "share": True,
    "nats": False,
    "points": True,
    "s": False,
    "ms": False,
    "MiB": False,
}


@dataclass(frozen=True)
class Row:
    """One comparison.

    ours, theirs: medians, in `unit`.
    ratio: how many times better ours is; below 1 where it is worse.
    """

    benchmark: str
    case: str
    peer: str
    ours: float
    theirs: float
    unit: str
    ratio: float


def row(
    benchmark: str, case: str, peer: str, ours: list[float], theirs: list[float], unit: str
) -> Row:
    """The medians of repeated measurements, compared.

    >>> row("load", "memory", "stable_baselines3", [200.0], [500.0], "MiB").ratio
    2.5
    """
    us, them = median(ours), median(theirs)
    ratio = us / them if MORE_IS_BETTER[unit] else them / us
    return Row(benchmark, case, peer, us, them, unit, ratio)


def by_turns(
    ours: Callable[[], Any], theirs: Callable[[], Any], repeats: int
) -> tuple[list[Any], list[Any]]:
    """Runs both `repeats` times, one after the other, so that a busy machine slows both alike."""
    found = in_turns({"ours": ours, "theirs": theirs}, repeats)
    return found["ours"], found["theirs"]


def in_turns(contenders: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, list[Any]]:
    """The same of any number of contenders, by name."""
    found: dict[str, list[Any]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, contender in contenders.items():
            found[name].append(contender())
    return found


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="about a minute on two cores")
    parser.add_argument("--json", action="store_true", help="one JSON object for each row")
    return parser


def show(rows: Iterable[Row], as_json: bool) -> None:
    """Prints the rows, rounded to what a reader can use; JSON has every digit."""
    if as_json:
        for one in rows:
            print(json.dumps(asdict(one)), flush=True)
        return
    table = Table("benchmark", "case", "peer")
    for heading in ("ours", "theirs", "unit", "ratio"):
        table.add_column(heading, justify="left" if heading == "unit" else "right")
    for one in rows:
        numbers = f"{one.ours:,.4g}", f"{one.theirs:,.4g}"
        table.add_row(one.benchmark, one.case, one.peer, *numbers, one.unit, f"{one.ratio:.2f}")
    Console().print(table)
