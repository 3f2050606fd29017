"""Logs in TensorBoard's event files, as CleanRL, Stable-Baselines3 and RL Zoo write them.

A file is a row of records: length (uint64), its checksum, an `Event`, its checksum
(https://github.com/tensorflow/tensorflow, core/lib/io/record_writer.h). Read here and not through
TensorBoard's accumulator, which imports TensorFlow where that is installed.
"""

from __future__ import annotations

import re
import struct
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas

from atari_zoo.converters.tf.table import masked_crc32c
from atari_zoo.logs.formats import LogError, log_reader
from atari_zoo.logs.tables import common_table, running_mean

FRAME_SKIP = 4  # steps are the agent's
LARGEST = 512 << 20  # bytes; videos may be among the scalars
POINTS = 5_000_000  # of one curve
START = 1  # of SessionLog.SessionStatus
WITH_SESSIONS = 2  # the version of files from which on sessions are logged


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
    """A row for each point of the first of `TAGS` that there is, in the order of writing; of
    CleanRL's single episodes the mean of the last 100, with `return` the episode's own.

    As in TensorBoard, a session that begins at a step takes away what others had written from
    there on; without that, steps that were done twice are there twice.
    """
    curves: dict[str, list[tuple[int, float, float]]] = {tag.name: [] for tag in TAGS}
    latest, version = 0, 0.0
    for event in _events(files):
        version = _version(event.file_version) or version
        names = [value.tag for value in event.summary.value if value.tag in curves]
        if version >= WITH_SESSIONS:
            if event.session_log.status == START:
                _purge(curves, list(curves), event.step)
        elif event.HasField("summary") and event.step < latest:
            _purge(curves, names, event.step)
        else:
            latest = event.step
        for value in event.summary.value:
            number = _number(value) if value.tag in curves else None
            if number is not None and len(curves[value.tag]) < POINTS:
                curves[value.tag].append((event.step, event.wall_time, number))
    found = next((tag for tag in TAGS if curves[tag.name]), None)
    if found is None:
        raise LogError(f"no curve of returns: none of {', '.join(tag.name for tag in TAGS)}")
    steps, times, values = np.array(curves[found.name]).T
    columns: dict[str, Any] = {
        "frames": steps * FRAME_SKIP,
        "seconds": times - times.min(),
        "score": values,
    }
    if found.single_episodes:
        columns["score"], columns["episodes"] = running_mean(values)
        columns["return"] = values
    return common_table(columns)


def _purge(
    curves: dict[str, list[tuple[int, float, float]]], names: Iterable[str], step: int
) -> None:
    for name in names:
        curves[name] = [point for point in curves[name] if point[0] < step]


def _version(words: str) -> float:
    """Of "brain.Event:2", the 2; 0 where there is none."""
    number = re.fullmatch(r"brain\.Event:(\d+(?:\.\d+)?)", words)
    return float(number[1]) if number else 0.0


class DamagedRecord(ValueError):
    """A record whose checksum is another's, or that is no event."""


def _events(files: Sequence[Path]) -> Iterator[Any]:
    """The events of all files, of each up to a record that is damaged, as TensorBoard has them."""
    for file in files:
        content = file.read_bytes()
        read = 0
        try:
            for event, size in _records(content):
                yield event
                read += size
        except DamagedRecord:
            warnings.warn(
                f"{file}: a damaged record; it and the {len(content) - read:,} bytes from there "
                "on are passed over, as in TensorBoard",
                stacklevel=2,
            )


def _records(content: bytes) -> Iterator[tuple[Any, int]]:
    """Each event, and the bytes of its record; a last one that is cut short is left.

    Raises DamagedRecord at the first that is.
    """
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.event_pb2 import Event

    place = 0
    while place + 12 <= len(content):
        (length,) = struct.unpack_from("<Q", content, place)
        _check(content, place, 8)
        size = 12 + length + 4
        if place + size > len(content):
            return
        _check(content, place + 12, length)
        try:
            yield Event.FromString(content[place + 12 : place + 12 + length]), size
        except DecodeError as error:
            raise DamagedRecord from error
        place += size


def _check(content: bytes, start: int, length: int) -> None:
    """Raises DamagedRecord if the checksum that follows some bytes is not theirs."""
    end = start + length
    if struct.unpack_from("<I", content, end)[0] != masked_crc32c(content[start:end]):
        raise DamagedRecord


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
