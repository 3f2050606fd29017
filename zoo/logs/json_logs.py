"""Logs in JSON: the original zoo's, the zoo's own runs', and Dopamine's published baselines.

The original zoo's are lists of flat objects (https://github.com/uber-research/atari-model-zoo,
atari_zoo/log.py), the zoo's own an object a line (training/runs.py), and Dopamine's lists of
{"Agent", "Iteration", "Value"} (https://github.com/google/dopamine, baselines/atari/data), the
runs of an agent one after another, or side by side.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas
from jaxtyping import Float

from atari_zoo.converters.formats.dopamine_runs import AGENTS
from atari_zoo.logs.formats import LogError, log_reader
from atari_zoo.logs.tables import MOST_COLUMNS, common_table, numbers

RESTART = 3 * 3600  # seconds: a longer pause is a restart, as the original has it
ITERATION = 1_000_000  # emulator frames in an iteration of Dopamine: 250,000 steps of 4


def _starts_as_list(start: bytes, *keys: bytes) -> bool:
    return bool(re.match(rb"\s*\[\s*\{", start)) and all(b'"%b"' % key in start for key in keys)


@log_reader(
    "run",
    "a log.jsonl of the zoo's trainer",
    sniff=lambda start: start.startswith(b"{") and b'"frames"' in start.split(b"\n")[0],
    inside=["log.jsonl"],
)
def read_run(files: Sequence[Path]) -> pandas.DataFrame:
    """An object a line; a last line that the machine did not live to end is passed over."""
    lines = files[0].read_bytes().split(b"\n")[:-1]
    table = common_table(_columns([_parsed(line) for line in lines], "frames", "score"))
    return table.sort_values("frames", kind="stable", ignore_index=True)


@log_reader(
    "original",
    "the original zoo's log JSON",
    sniff=lambda start: _starts_as_list(start, b"frames", b"time", b"score"),
)
def read_original(files: Sequence[Path]) -> pandas.DataFrame:
    """The original zoo's log: rows before training left out, by time, restarts' pauses taken out.

    The original's code takes a pause out of the rows whose labels, not places, come after it,
    which are others once the rows are sorted; here it is taken out of all that come later, as
    its comment says.
    """
    columns = _columns(_parsed(files[0].read_bytes()), "frames", "score", "time")
    trained = np.ones(len(columns["frames"]), bool)
    if "initial" in columns:
        trained = numbers(columns["initial"], "initial") == 0
    times = numbers(columns.pop("time"), "time")
    if not np.isfinite(times).all():
        raise LogError("column 'time' has rows without a time")
    order = np.argsort(times, kind="stable")
    order = order[trained[order]]
    rows: dict[str, Any] = {key: [values[i] for i in order] for key, values in columns.items()}
    return common_table(rows | {"seconds": without_restarts(times[order])})


def without_restarts(seconds: Float[np.ndarray, "rows"]) -> Float[np.ndarray, "rows"]:
    """Sorted times, with every pause of more than three hours taken out of all that follow it."""
    pauses = np.diff(seconds, prepend=seconds[:1])
    return seconds - np.cumsum(np.where(pauses > RESTART, pauses, 0))


@log_reader(
    "baselines",
    "Dopamine's baselines JSON",
    sniff=lambda start: _starts_as_list(start, b"Iteration", b"Value", b"Agent"),
)
def read_baselines(files: Sequence[Path]) -> pandas.DataFrame:
    """Mean returns of training, at the end of each iteration; all agents' runs of one game."""
    columns = _columns(_parsed(files[0].read_bytes()), "Agent", "Iteration", "Value")
    met: Counter[tuple[str, Any]] = Counter()
    runs = []
    for place in zip(map(str, columns["Agent"]), map(str, columns["Iteration"]), strict=True):
        met[place] += 1
        runs.append(met[place])  # an agent's second row of an iteration is its second run's
    iterations = numbers(columns["Iteration"], "Iteration")
    table = common_table(
        {
            "algorithm": [_algorithm(str(agent)) for agent in columns["Agent"]],
            "run": runs,
            "frames": (iterations + 1) * ITERATION,
            "score": columns["Value"],
        }
    )
    return table.sort_values(["algorithm", "run", "frames"], kind="stable", ignore_index=True)


def _algorithm(agent: str) -> str:
    """The zoo's name of an agent, or Dopamine's own: "DQN (Adam + MSE in JAX)" is another."""
    return AGENTS.get(agent.lower().replace(" ", "_"), agent)


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # a UnicodeDecodeError is a ValueError
        raise LogError(f"damaged JSON, or cut short ({type(error).__name__})") from error


def _columns(rows: Any, *needed: str) -> dict[str, list[Any]]:
    """The rows by column, of all that any row has: losses come with the first update alone."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise LogError("a list of objects was expected")
    if not rows:
        raise LogError("no rows in it")
    columns = dict.fromkeys(key for row in rows for key in row)
    if len(columns) > MOST_COLUMNS:
        raise LogError(f"{len(columns)} columns; at most {MOST_COLUMNS} are read")
    for key in needed:
        if key not in columns:
            raise LogError(f"no column '{key}': its columns are {', '.join(list(columns)[:12])}")
    return {key: [row.get(key) for row in rows] for key in columns}
