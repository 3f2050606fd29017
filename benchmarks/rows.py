"""The form that all benchmarks share: two contenders, run by turns, a row of medians for each
case, printed as a table or as JSON."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf
from statistics import median
from typing import Any

QUICK = 90.0  # seconds, after which nothing is repeated: the whole ends within two minutes
WIDTHS = (15, 58, 34)  # of the columns of a row that is printed: words, then numbers
MORE_IS_BETTER = {
    "steps/s": True,
    "frames/s": True,
    "episodes/s": True,
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
    benchmark: str,
    case: str,
    peer: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    unit: str,
) -> Row:
    """The medians of repeated measurements, compared.

    >>> row("load", "memory", "stable_baselines3", [200.0], [500.0], "MiB").ratio
    2.5
    """
    us, them = median(ours), median(theirs)
    ratio = us / them if MORE_IS_BETTER[unit] else them / us
    return Row(benchmark, case, peer, us, them, unit, ratio)


def until(quick: bool) -> float:
    """When, by `time.monotonic`, repeating ends that begins now."""
    return time.monotonic() + QUICK if quick else inf


def by_turns(
    ours: Callable[[], Any], theirs: Callable[[], Any], repeats: int, end: float = inf
) -> tuple[list[Any], list[Any]]:
    """Runs both `repeats` times, one after the other, so that a busy machine slows both alike.

    end: when they are not run another time, as `until` gives it.
    """
    found = in_turns({"ours": ours, "theirs": theirs}, repeats, end)
    return found["ours"], found["theirs"]


def in_turns(
    contenders: Mapping[str, Callable[[], Any]], repeats: int, end: float = inf
) -> dict[str, list[Any]]:
    """The same of any number of contenders, by name."""
    found: dict[str, list[Any]] = {name: [] for name in contenders}
    for number in range(repeats):
        if number and time.monotonic() > end:
            break
        for name, contender in contenders.items():
            found[name].append(contender())
    return found


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="within two minutes on two cores")
    parser.add_argument("--json", action="store_true", help="one JSON object for each row")
    return parser


def show(rows: Iterable[Row], as_json: bool) -> None:
    """Prints each row as soon as it is there, rounded to what a reader can use; JSON has every
    digit."""
    if not as_json:
        print(_line("benchmark case peer ours theirs unit ratio".split()), flush=True)
    for one in rows:
        print(json.dumps(asdict(one)) if as_json else _line(cells(one)), flush=True)


def cells(one: Row) -> list[str]:
    """A row's words and rounded numbers, in order."""
    numbers = f"{one.ours:,.4g}", f"{one.theirs:,.4g}"
    return [one.benchmark, one.case, one.peer, *numbers, one.unit, f"{one.ratio:.2f}"]


def _line(words: Sequence[str]) -> str:
    texts = [f"{word:<{width}}" for word, width in zip(words[:3], WIDTHS, strict=True)]
    ours, theirs, unit, ratio = words[3:]
    return f"{' '.join(texts)} {ours:>9} {theirs:>9} {unit:<9} {ratio:>7}"
