"""Sinks of a rollout's steps: memory, or a disk while it is played."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from atari_zoo.converters.files import missing_folders, remove_empty
from atari_zoo.emulator.environments import Environments
from atari_zoo.play.tally import Tally
from atari_zoo.recordings.arrays import ALWAYS
from atari_zoo.recordings.files import open_recording
from atari_zoo.recordings.header import Header
from atari_zoo.recordings.recordings import Recording
from atari_zoo.recordings.writer import RecordingWriter


class Sink(ABC):
    """Takes steps, and gives the recording in the end.

    before: the actions of the steps that were played before a rollout was resumed.
    state: that of a recurrent agent before the last of them; None if there is none.
    """

    before: Int[np.ndarray, "steps envs"]
    state: Float[np.ndarray, "envs numbers"] | None = None

    @abstractmethod
    def append(self, step: Mapping[str, np.ndarray], environments: Sequence[Environments]) -> None:
        """Adds a step of all environments; environments: which they are."""

    @abstractmethod
    def recording(self, seconds: float) -> Recording:
        """What was played, which took so long."""


class MemorySink(Sink):
    """Keeps everything in memory."""

    def __init__(self, header: Header, tally: Tally) -> None:
        self.header, self.tally = header, tally
        self.before = np.zeros((0, 0), np.int32)
        self._steps: list[Mapping[str, np.ndarray]] = []

    def append(self, step: Mapping[str, np.ndarray], environments: Sequence[Environments]) -> None:
        self._steps.append(step)
        if "frames" in step:
            self.header.palette, self.header.greys = palette_and_greys(environments)

    def recording(self, seconds: float) -> Recording:
        names = self._steps[0]
        arrays = {name: np.stack([step[name] for step in self._steps]) for name in names}
        header = replace(
            self.header,
            returns=self.tally.returns.tolist(),
            lengths=self.tally.lengths.tolist(),
            seconds=seconds,
        )
        return Recording(header, arrays)


class Disk(Sink):
    """Writes chunk by chunk; a process that dies loses one at most."""

    def __init__(
        self, writer: RecordingWriter, before: np.ndarray, state: np.ndarray | None = None
    ) -> None:
        self.writer, self.before, self.state = writer, before, state
        self._spent = writer.header.seconds

    def append(self, step: Mapping[str, np.ndarray], environments: Sequence[Environments]) -> None:
        if "frames" in step:
            self.writer.header.palette, self.writer.header.greys = palette_and_greys(environments)
        self.writer.append_block({name: rows[None] for name, rows in step.items()})

    def recording(self, seconds: float) -> Recording:
        self.writer.header.seconds = self._spent + seconds
        self.writer.close()
        return open_recording(self.writer.path)


def palette_and_greys(environments: Sequence[Environments]) -> tuple[np.ndarray, np.ndarray]:
    """Palette and greys of the colours that any of the games has shown; 0 for the others."""
    return (
        np.maximum.reduce([some.palette for some in environments]),
        np.maximum.reduce([some.greys for some in environments]),
    )


def check_place(path: str | Path | None, resume: bool) -> None:
    """Raises FileExistsError if there is something at `path` that is not to be resumed."""
    if path is not None and not resume and Path(path).exists():
        raise FileExistsError(
            f"{path} is there already; choose another path, or go on with it: resume=True"
        )


@contextmanager
def sink(
    path: str | Path | None, resume: bool, header: Header, arrays: Sequence[str], tally: Tally
) -> Iterator[Sink]:
    """Memory if there is no path; else a new recording on a disk, or the one that is there.

    arrays: what is kept beside what always is.
    Raises FileExistsError if one is there and is not to be resumed; ValueError if it is to be,
    but is of another agent or of other play.
    """
    if path is None:
        yield MemorySink(header, tally)
        return
    before, made = np.zeros((0, header.envs), np.int32), list[Path]()
    state: np.ndarray | None = None
    if resume and Path(path).exists():
        writer = RecordingWriter.resume(path)
        _agree(path, writer.header, header, {*ALWAYS, *arrays})
        if writer.safe:
            there = open_recording(path)
            before = there.actions[: writer.safe]
            if there.state is not None:
                state = np.asarray(there.state[writer.safe - 1])
    else:
        made = missing_folders(Path(path))
        writer = RecordingWriter(path, header, arrays)
    try:
        with writer:
            yield Disk(writer, before, state)
    except BaseException:
        if made and not writer.steps:  # what could not begin is not in the next one's way
            shutil.rmtree(path)
            remove_empty(made)
        raise


SAME = {  # in the header of a recording that is gone on with, and what errors call it
    "card": "model",
    "game": "game",
    "preprocessing": "preprocessing",
    "seed": "seed",
    "envs": "number of environments",
    "options": "way of playing",
}


def _agree(path: str | Path, there: Header, new: Header, arrays: set[str]) -> None:
    there, new = (replace(h, preprocessing=replace(h.preprocessing, name="")) for h in (there, new))
    other = [word for name, word in SAME.items() if getattr(there, name) != getattr(new, name)]
    if set(there.arrays) != arrays:
        other.append("kept arrays")
    if other:
        raise ValueError(
            f"{path} holds a recording with another {', '.join(other)}; choose another path"
        )
