"""The `train_eval_metrics.zip` that RL Zoo publishes beside an agent: its logs in one archive.

From rl_zoo3/push_to_hub.py (https://github.com/DLR-RM/rl-baselines3-zoo): the run's monitor.csv
files and its evaluations.npz, without folders.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import pandas

from atari_zoo.converters.archives.zips import first_member
from atari_zoo.logs.formats import FILES, LARGEST, LogError, log_reader
from atari_zoo.logs.monitors import monitor_table
from atari_zoo.logs.sb3 import evaluations_table

MONITOR, EVALUATIONS = "monitor.csv", "evaluations.npz"


@log_reader(
    "metrics",
    "RL Zoo's train_eval_metrics.zip",
    sniff=lambda start: first_member(start).endswith((MONITOR, EVALUATIONS)),
    inside=["train_eval_metrics.zip"],
    rank=1,  # the monitors that it was made of tell more
)
def read_metrics(files: Sequence[Path]) -> pandas.DataFrame:
    """What its monitors tell; the evaluations where there are none."""
    contents = _contents(files[0])
    monitors = {name: content for name, content in contents.items() if name.endswith(MONITOR)}
    if monitors:
        return monitor_table(monitors)
    if EVALUATIONS not in contents:
        raise LogError(f"neither a {MONITOR} nor {EVALUATIONS} in it")
    return evaluations_table(contents[EVALUATIONS])


def _contents(file: Path) -> dict[str, bytes]:
    """The logs in the archive, by name, in order."""
    try:
        with zipfile.ZipFile(file) as archive:
            logs = sorted(
                (member for member in archive.infolist() if _is_log(member.filename)),
                key=lambda member: member.filename,
            )[:FILES]
            size = sum(member.file_size for member in logs)
            if size > LARGEST:
                raise LogError(f"{size / 1e6:.0f} MB when unpacked, more than {LARGEST / 1e6:.0f}")
            return {member.filename: archive.read(member) for member in logs}
    except LogError:
        raise
    except Exception as error:  # a damaged archive makes its reader fail in every way
        raise LogError(f"damaged, or cut short ({type(error).__name__})") from error


def _is_log(name: str) -> bool:
    return name.endswith(MONITOR) or name == EVALUATIONS
