"""Where the steps of a rollout go: into memory, or onto a disk while it is played."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from atari_zoo.converters.cards import ModelCard, Preprocessing
from atari_zoo.emulator.environments import Environments
from atari_zoo.play.tally import Tally
from atari_zoo.recordings.files import open_recording
from atari_zoo.recordings.header import Head
from atari_zoo.recordings.layout import ALWAYS, LAYERS
from atari_zoo.recordings.recordings import Recording
from atari_zoo.recordings.writer import RecordingWriter


class Sink(ABC):
    """Takes steps, and gives the recording in the end.

    before: the actions of the steps that were played before a rollout was resumed.
    """

    before: Int[np.ndarray, "steps envs"]

    @abstractmethod
    def append(self, step: Mapping[str, np.ndarray], games: Sequence[Environments]) -> None:
        """Adds a step of all environments; games: which they are."""

    @abstractmethod
    def recording(self, seconds: float) -> Recording:
        """What was played, which took so long."""


class Memory(Sink):
    """Keeps everything in memory."""

    def __init__(
        self,
        card: ModelCard,
        game: str,
        preprocessing: Preprocessing,
        seed: int,
        played: Mapping[str, Any],
        tally: Tally,
    ) -> None:
        self.of, self.played, self.tally = (card, game, preprocessing, seed), played, tally
        self.before = np.zeros((0, 0), np.int32)
        self._steps: list[Mapping[str, np.ndarray]] = []
        self._colours: tuple[np.ndarray | None, np.ndarray | None] = (None, None)

    def append(self, step: Mapping[str, np.ndarray], games: Sequence[Environments]) -> None:
        self._steps.append(step)
        if "frames" in step:
            self._colours = colours(games)

    def recording(self, seconds: float) -> Recording:
        arrays: dict[str, Any]
        arrays = {n: np.stack([step[n] for step in self._steps]) for n in self._steps[0]}
        layers = {n: rows for n, rows in arrays.items() if n.startswith(LAYERS)}
        palette, greys = self._colours
        return Recording(
            *self.of,
            raw_frames=arrays.pop("frames", None),
            palette=palette,
            greys=greys,
            activations={n.removeprefix(LAYERS): rows for n, rows in layers.items()},
            returns=self.tally.returns,
            lengths=self.tally.lengths,
            seconds=seconds,
            played=self.played,
            **{n: rows for n, rows in arrays.items() if n not in layers},
        )


class Disk(Sink):
    """Writes chunk by chunk; a process that dies loses one at most."""

    def __init__(self, writer: RecordingWriter, before: np.ndarray) -> None:
        self.writer, self.before = writer, before
        self._spent = writer.head.seconds

    def append(self, step: Mapping[str, np.ndarray], games: Sequence[Environments]) -> None:
        if "frames" in step:
            self.writer.head.palette, self.writer.head.greys = colours(games)
        self.writer.append_block({name: rows[None] for name, rows in step.items()})

    def recording(self, seconds: float) -> Recording:
        self.writer.head.seconds = self._spent + seconds
        self.writer.close()
        return open_recording(self.writer.path)


def colours(games: Sequence[Environments]) -> tuple[np.ndarray, np.ndarray]:
    """Palette and greys of the colours that any of the games has shown; 0 for the others."""
    return (
        np.maximum.reduce([of.palette for of in games]),
        np.maximum.reduce([of.greys for of in games]),
    )


@contextmanager
def sink(
    path: str | Path | None,
    resume: bool,
    card: ModelCard,
    game: str,
    preprocessing: Preprocessing,
    seed: int,
    played: Mapping[str, Any],
    arrays: Sequence[str],
    tally: Tally,
) -> Iterator[Sink]:
    """Memory if there is no path; else a new recording on a disk, or the one that is there.

    Raises FileExistsError if one is there and is not to be resumed; ValueError if it is to be,
    but is of another agent or of other play.
    """
    if path is None:
        yield Memory(card, game, preprocessing, seed, played, tally)
        return
    envs = len(tally.quota)
    counted = tally.quota.tolist() if tally.episodes else None
    before = np.zeros((0, envs), np.int32)
    if resume and Path(path).exists():
        writer = RecordingWriter.resume(path)
        new = (card, game, preprocessing, seed, envs, dict(played), sorted({*ALWAYS, *arrays}))
        _agree(path, writer, new)
        if writer.safe:
            before = open_recording(path).actions[: writer.safe]
    else:
        of = Head(card, game, preprocessing, seed, envs, counted=counted, played=dict(played))
        writer = RecordingWriter.of(path, of, [*ALWAYS, *arrays])
    with writer:
        yield Disk(writer, before)


def _agree(path: str | Path, writer: RecordingWriter, new: tuple[object, ...]) -> None:
    head = writer.head
    there = (head.card, head.game, head.preprocessing, head.seed, head.envs, head.played)
    names = ("model", "game", "preprocessing", "seed", "number of environments", "way of playing")
    both = zip((*names, "kept arrays"), (*there, sorted(head.arrays)), new, strict=True)
    other = [name for name, a, b in both if a != b]
    if other:
        raise ValueError(
            f"{path} holds a recording with another {', '.join(other)}; choose another path"
        )
