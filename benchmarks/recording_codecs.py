"""Codecs of recordings: Zarr's own, and the package's first one, `Changes`, written through Zarr.

`recordings.py --codecs` shows them beside the package's writer. Times are the processor's, all
threads together: other work on the machine does not count."""

from __future__ import annotations

import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from rows import Row, in_turns, row
from zarr.codecs import (
    BloscCodec,
    BytesCodec,
    Crc32cCodec,
    ShardingCodec,
    TransposeCodec,
    ZstdCodec,
)
from zarr.codecs.numcodecs import Delta
from zarr.storage import LocalStore

import atari_zoo as zoo
from atari_zoo.arrays.changes import Changes

Played = dict[str, np.ndarray]
LONG = 4096  # steps of a small array's chunk
TIME_LAST = TransposeCodec(order=(3, 4, 0, 1, 2))
RAM_LAST = {"filters": [TransposeCodec(order=(1, 2, 0))]}
OURS = "the package's"
BYTES = {"serializer": BytesCodec()}


@dataclass(frozen=True)
class Codecs:
    """What one contender stores screens and RAM with. chunk: steps that are written together."""

    screens: dict[str, Any]
    chunk: int = 64
    ram: dict[str, Any] = field(default_factory=lambda: RAM_LAST | zstd(9))


def zstd(level: int) -> dict[str, Any]:
    return BYTES | {"compressors": [ZstdCodec(level=level), Crc32cCodec()]}


def blosc(shuffle: str) -> dict[str, Any]:
    codec = BloscCodec(cname="zstd", clevel=5, shuffle=shuffle, typesize=1, blocksize=4 << 20)
    return BYTES | {"compressors": [codec, Crc32cCodec()]}


def sharded(level: int) -> dict[str, Any]:
    codecs = [BytesCodec(), ZstdCodec(level=level)]
    inner = ShardingCodec(chunk_shape=(16, 1, 2, 210, 160), codecs=codecs)
    return {"serializer": inner, "compressors": [Crc32cCodec()]}


def first(**settings: Any) -> dict[str, Any]:
    return {"serializer": Changes(**settings), "compressors": [Crc32cCodec()]}


def contenders() -> dict[str, Codecs]:
    """By what they are called in the table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Delta is in no specification
        delta = {"filters": [TIME_LAST, Delta(dtype="u1")]}
    last = {"filters": [TIME_LAST]}
    return {
        "Changes": Codecs(first(time_axes=3), ram=first(transpose=True)),
        "Zstd 9": Codecs(zstd(9)),
        "Blosc, Zstd 5, shuffle": Codecs(blosc("shuffle")),
        "Blosc, Zstd 5, bitshuffle": Codecs(blosc("bitshuffle")),
        "16 steps a chunk in shards, Zstd 9": Codecs(sharded(9)),
        "time last, Zstd 8": Codecs(last | zstd(8)),
        "time last, Zstd 9": Codecs(last | zstd(9)),
        "time last, Zstd 10": Codecs(last | zstd(10)),
        "time last, Zstd 12": Codecs(last | zstd(12)),
        "time last, Delta, Zstd 9": Codecs(delta | zstd(9)),
    }


def write(path: Path, played: Played, codecs: Codecs) -> None:
    """Writes all that is small, the RAM and the screens, chunk by chunk, as while playing."""
    shutil.rmtree(path, ignore_errors=True)
    group = zarr.create_group(LocalStore(path), zarr_format=3)
    names = [name for name in played if name not in ("palette", "observations", "activations/fc")]
    steps = len(played["starts"])
    arrays = {name: _new(group, name, played[name], codecs) for name in names}
    for start in range(0, steps, codecs.chunk):
        for name, array in arrays.items():
            rows = array.chunks[0]
            begun = start // rows * rows
            block = np.zeros((rows, *array.shape[1:]), array.dtype)  # whole: Zarr reads nothing
            some = played[name][begun : start + codecs.chunk]
            block[: len(some)] = some
            array[begun : begun + rows] = block


def _new(group: zarr.Group, name: str, rows: np.ndarray, codecs: Codecs) -> zarr.Array[Any]:
    small = name != "frames"
    chunk, how = (LONG, zstd(9)) if small else (codecs.chunk, codecs.screens)
    if name == "ram":
        chunk, how = codecs.chunk * 8, codecs.ram
    steps = -(-len(rows) // chunk) * chunk
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return group.create_array(
            name,
            shape=(steps, *rows.shape[1:]),
            chunks=(chunk, *rows.shape[1:]),
            dtype=rows.dtype,
            fill_value=0,
            **{"filters": ()} | how,
        )


def spent(work: Callable[[], object]) -> float:
    """The processor's seconds."""
    started = time.process_time()
    work()
    return time.process_time() - started


def compare(
    name: str, played: Played, playing: float, folder: Path, theirs: float, ours: Callable[[], Path]
) -> Iterator[Row]:
    """The rows of one game.

    playing: seconds that playing took without recording. theirs: MiB of the original's file.
    ours: writes a recording without fc as the package does, and says where.
    """
    steps, mine = len(played["starts"]), ours()
    work: dict[str, Callable[[], float]] = {OURS: lambda: spent(ours)}
    for title, codecs in contenders().items():
        work[title] = lambda title=title, codecs=codecs: spent(
            lambda: write(folder / title, played, codecs)
        )
    took = in_turns(work, 3)
    some = np.random.default_rng(1).integers(steps, size=10).tolist()
    reads = {OURS: lambda: spent(lambda: _read(zoo.open_recording(mine).frames, some, 0))}
    for title in contenders():
        reads[title] = lambda title=title: spent(lambda: _read(_frames(folder / title), some))
    read = in_turns(reads, 3)
    for title in work:
        case = f"{name}, {steps:,} steps: {title}"
        mib = _size(mine if title == OURS else folder / title)
        recorded = [playing + seconds for seconds in took[title]]
        yield row("codecs", f"{case}, fc recomputed", "np.savez_compressed", [mib], [theirs], "MiB")
        yield row("codecs", f"{case}, play and record", "playing", recorded, [playing], "s")
        before = [playing + seconds for seconds in took["Changes"]]
        yield row("codecs", f"{case}, play and record", "Changes", recorded, before, "s")
        one = [1000 * seconds / len(some) for seconds in read[title]]
        before = [1000 * seconds / len(some) for seconds in read["Changes"]]
        yield row("codecs", f"{case}, read one frame", "Changes", one, before, "ms")


def _frames(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return zarr.open_group(LocalStore(path), mode="r")["frames"]


def _read(frames: Any, steps: list[int], *env: int) -> None:
    for step in steps:
        _ = frames[(step, *env)]


def _size(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20
