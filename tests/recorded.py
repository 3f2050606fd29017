"""Recordings that the tests write, and what is in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from raw_play import RawPlay, raw_play

from atari_zoo.converters.cards import ModelCard, Preprocessing
from atari_zoo.recordings.header import Header
from atari_zoo.recordings.recordings import Recording
from atari_zoo.recordings.writer import RecordingWriter

STEPS, ENVS, CHUNK = 90, 2, 16
CARD = ModelCard("a2c", "Breakout", "2", scores={"mean": 1.5})
KEEP = ["frames", "ram", "outputs", "activations/fc", "activations/conv3"]


def played() -> RawPlay:
    """Some episodes, ended by the limit of steps, and random numbers for a network's."""
    play, random = raw_play("breakout", STEPS, ENVS, longest=35), np.random.default_rng(3)
    play.arrays["outputs"] = random.normal(size=(STEPS, ENVS, 4)).astype(np.float32)
    fc = random.normal(size=(STEPS, ENVS, 32)).astype(np.float16)
    play.arrays["activations/fc"] = np.maximum(fc, 0)
    play.arrays["activations/conv3"] = random.normal(size=(STEPS, ENVS, 3, 2, 2)).astype(np.float16)
    return play


def writer(path: Path, keep: list[str] = KEEP, chunk: int = CHUNK, **more) -> RecordingWriter:
    header = Header(CARD, "Breakout", Preprocessing(), 7, ENVS, chunk, **more)
    return RecordingWriter(path, header, keep)


def append(to: RecordingWriter, play: RawPlay, start: int, stop: int) -> None:
    to.header.palette = play.palette
    to.append_block(play.block(start, stop))


def check(recording: Recording, play: RawPlay, steps: int) -> None:
    """Every array is as it was played, up to `steps`."""
    named = {n: a for n, a in play.arrays.items() if n != "frames" and "/" not in n}
    for name, array in named.items():
        np.testing.assert_array_equal(getattr(recording, name), array[:steps], err_msg=name)
    np.testing.assert_array_equal(recording.raw_frames, play.arrays["frames"][:steps])
    np.testing.assert_array_equal(recording.frames, play.colours[:steps])
    for layer in ("fc", "conv3"):
        array = play.arrays[f"activations/{layer}"]
        np.testing.assert_array_equal(recording.activations[layer], array[:steps])


def recorded(play: RawPlay, path: Path) -> Path:
    """A recording of all of it."""
    with writer(path) as to:
        append(to, play, 0, STEPS)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
