"""Logs of a monitor around each copy of the game, a row an episode: `monitor.csv`.

Stable-Baselines3's (stable_baselines3/common/monitor.py), and those of baselines before it
(https://github.com/openai/baselines, baselines/bench/monitor.py), once in JSON.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas
from jaxtyping import Float

from atari_zoo.converters.environment_ids import game_of
from atari_zoo.logs.formats import LogError, log_reader
from atari_zoo.logs.tables import common_table, running_mean

FRAME_SKIP = 4  # of AtariWrapper, and of the environments that repeat actions themselves
COLUMNS = ["r", "l", "t"]  # return, length in steps, seconds since the monitor began


def _is_monitor(start: bytes) -> bool:
    """A first line of JSON: behind "#", and in some versions a space; bare in the old JSON."""
    return re.match(rb"(#\s*)?\{", start) is not None and b'"t_start"' in start.split(b"\n")[0]


@log_reader(
    "monitor",
    "Stable-Baselines3's or baselines' monitor.csv",
    sniff=_is_monitor,
    inside=["*monitor.csv", "*monitor.json"],
)
def read_monitor(files: Sequence[Path]) -> pandas.DataFrame:
    """All copies of the game together; a file alone counts its own copy's frames."""
    return monitor_table({file.name: file.read_bytes() for file in files})


def monitor_table(contents: Mapping[str, bytes]) -> pandas.DataFrame:
    """The common table of monitor files, by their names: a row at each episode's end.

    score is the mean of the last 100 returns, `return` and `length` (in steps) are the episode's
    own. The monitor stands next to the emulator, inside the wrapper that repeats actions: in
    `BreakoutNoFrameskip-v4` its steps are single frames.
    """
    # a file without anything is a copy's that had not begun
    copies = [_episodes(name, content) for name, content in contents.items() if content]
    if not copies:
        raise LogError("no rows of training in it")
    # as Stable-Baselines3's `load_results` has it: times count from the first copy's start
    begun = min(header["t_start"] for header, _ in copies)
    for header, episodes in copies:
        sessions, times = _sessions(episodes["t"].to_numpy())
        # when later sessions began is not in the file: those of all copies are taken to be one's
        episodes["t"] = times + np.where(sessions == 0, header["t_start"] - begun, 0)
        episodes["session"] = sessions
    together = pandas.concat([episodes for _, episodes in copies], ignore_index=True)
    together = together.sort_values(["session", "t"], kind="stable", ignore_index=True)
    lengths = together.groupby("session")["t"].max().cumsum().shift(fill_value=0)
    environment = str(copies[0][0].get("env_id", ""))
    skip = 1 if "NoFrameskip" in environment else FRAME_SKIP
    score, episodes = running_mean(together["r"].to_numpy())
    return common_table(
        {
            "game": [game_of(environment)] * len(together),
            "frames": together["l"].cumsum().to_numpy() * skip,
            "seconds": (together["t"] + together["session"].map(lengths)).to_numpy(),
            "score": score,
            "episodes": episodes,
            "return": together["r"].to_numpy(),
            "length": together["l"].to_numpy(),
        }
    )


def _sessions(times: Float[np.ndarray, "rows"]) -> tuple[np.ndarray, np.ndarray]:
    """Which session each row is of, and its time in it, which never falls.

    A monitor that appends to a file (`override_existing=False`) counts from 0 again, without a
    word. A smaller step back is a clock that was set.
    """
    again = np.zeros(len(times), bool)
    again[1:] = times[1:] < times[:-1] / 2
    sessions = again.cumsum()
    rising = pandas.Series(times).groupby(sessions).cummax()
    return sessions, rising.to_numpy()


def _episodes(name: str, content: bytes) -> tuple[dict[str, Any], pandas.DataFrame]:
    """The header, and the columns r (return), l (steps) and t (seconds) as float64."""
    head, _, body = content.partition(b"\n")
    try:
        header = json.loads(head.removeprefix(b"#"))
        header["t_start"] = float(header["t_start"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LogError(f"{name}: the first line is damaged") from error
    body = body[: body.rfind(b"\n") + 1]  # a line that was not ended is passed over
    try:
        rows = _of_csv(body) if head.startswith(b"#") else _of_json(body)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LogError(f"{name}: the rows of r, l, t are damaged") from error
    if not np.isfinite(rows.to_numpy()).all():
        raise LogError(f"{name}: rows of r, l, t have numbers missing")
    return header, rows


def _of_csv(body: bytes) -> pandas.DataFrame:
    return pandas.read_csv(io.BytesIO(body), usecols=COLUMNS, dtype="float64")


def _of_json(body: bytes) -> pandas.DataFrame:
    rows = [json.loads(line) for line in body.splitlines()]
    return pandas.DataFrame(
        [[row[name] for name in COLUMNS] for row in rows], columns=COLUMNS
    ).astype(float)
