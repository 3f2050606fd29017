"""Logs in TensorBoard's event files, as CleanRL, Stable-Baselines3 and RL Zoo write them.

A file is a row of records: length (uint64), its checksum, an `Event`, its checksum
(https://github.com/tensorflow/tensorflow, core/lib/io/record_writer.h). Read here and not through
TensorBoard's accumulator, which imports TensorFlow where that is installed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas

from atari_zoo.logs.formats import LogError, log_reader
from atari_zoo.logs.tables import common_table, running_mean

FRAME_SKIP = 4  # steps are the agent's
LARGEST = 512 << 20  # bytes; videos may be among the scalars
POINTS = 5_000_000  # of one curve


@dataclass(frozen=True)
class Tag:
    """A curve of mean returns: whether its points are single episodes, or means already."""

    name: str
    single_episodes: bool


# the first that a file has is its score
TAGS = (
    Tag("charts/episodic_return", True),  # CleanRL, one game at a time
    Tag("charts/avg_episodic_return", False),  # CleanRL with EnvPool
    Tag("rollout/ep_rew_mean", False),  # Stable-Baselines3
    Tag("eval/mean_reward", False),
)


@log_reader(
    "tensorboard",
    "TensorBoard's event file",
    sniff=lambda start: b"brain.Event:" in start[:64],
    inside=["events.out.tfevents.*"],
    largest=LARGEST,
    rank=2,  # other logs of the same run tell every episode
)
def read_events(files: Sequence[Path]) -> pandas.DataFrame:
    """A row for each point of the first of `TAGS` that there is, of all the files in the order of
    steps; of CleanRL's single episodes the mean of the last 100, with `return` the episode's own.
    """
    curves: dict[str, list[tuple[int, float, float]]] = {tag.name: [] for tag in TAGS}
    for file in files:
        for name, step, time, value in _scalars(file):
            if name in curves and len(curves[name]) < POINTS:
                curves[name].append((step, time, value))
    found = next((tag for tag in TAGS if curves[tag.name]), None)
    if found is None:
        raise LogError(f"no curve of returns: none of {', '.join(tag.name for tag in TAGS)}")
    steps, times, values = np.array(sorted(curves[found.name], key=lambda point: point[0])).T
    columns: dict[str, Any] = {
        "frames": steps * FRAME_SKIP,
        "seconds": times - times.min(),
        "score": values,
    }
    if found.single_episodes:
        columns["score"], columns["episodes"] = running_mean(values)
        columns["return"] = values
    return common_table(columns)


def _scalars(file: Path) -> Iterator[tuple[str, int, float, float]]:
    """Tag, step, time (s since 1970) and value of the scalars; a last record cut short is left."""
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.event_pb2 import Event

    for record in _records(file.read_bytes()):
        try:
            event = Event.FromString(record)
        except DecodeError as error:
            raise LogError(f"{file.name}: a damaged record") from error
        for value in event.summary.value:
            number = _number(value)
            if number is not None:
                yield value.tag, event.step, event.wall_time, number


def _records(content: bytes) -> Iterator[bytes]:
    place = 0
    while place + 12 <= len(content):
        (length,) = struct.unpack_from("<Q", content, place)
        end = place + 12 + length + 4
        if end > len(content):
            return
        yield content[place + 12 : end - 4]
        place = end


def _number(value: Any) -> float | None:
    """The number of a `Summary.Value`: plain, or as TensorFlow 2 writes it, a tensor."""
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return float(value.simple_value)
    if kind != "tensor" or value.tensor.tensor_shape.dim or value.tensor.dtype != 1:
        return None
    if len(value.tensor.tensor_content) == 4:
        return float(struct.unpack("<f", value.tensor.tensor_content)[0])
    return float(value.tensor.float_val[0]) if value.tensor.float_val else None
