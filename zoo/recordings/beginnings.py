"""The beginning of a recording, as a recording of its own."""

from __future__ import annotations

from dataclasses import replace

from atari_zoo.arrays.lazy import FirstRows, LazyArray, Rows
from atari_zoo.recordings.recordings import Recording


def beginning(recording: Recording, steps: int) -> Recording:
    """The first `steps` of every environment, or all there are; nothing is read for it.

    Raises ValueError if that is no step.
    """
    if steps < 1:
        raise ValueError(f"{steps} steps; expected at least 1")
    if steps >= len(recording.starts):
        return recording
    header = replace(recording.header, steps=steps, counted=None, returns=None, lengths=None)
    return Recording(header, {name: _first(rows, steps) for name, rows in recording.arrays.items()})


def _first(rows: Rows, steps: int) -> Rows:
    return FirstRows(rows, steps) if isinstance(rows, LazyArray) else rows[:steps]
