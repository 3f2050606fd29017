"""Size and speed of recordings on disk, beside the original zoo's `np.savez_compressed` of the same
play: random play in the original's preprocessing, and what the package's own agent makes of it.

    python benchmarks/recordings.py --quick
    python benchmarks/recordings.py --codecs     Zarr's own codecs beside the package's
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import recording_codecs
from rows import Row, arguments, by_turns, row, show

import atari_zoo as zoo
from atari_zoo.converters.cards import PREPROCESSINGS, ModelCard
from atari_zoo.converters.network.foreign import Network
from atari_zoo.emulator.environments import Environments
from atari_zoo.games import Game, game
from atari_zoo.recordings.header import Header
from atari_zoo.recordings.writer import RecordingWriter

GAMES = ("Seaquest", "Breakout", "Pong")
PEER = "np.savez_compressed"
SEEN = PREPROCESSINGS["tf"]  # what the original played its A2C agents with
FC = "activations/fc"


def play(of: Game, network: Network, steps: int) -> dict[str, np.ndarray]:
    """A recording's arrays, (steps, 1, ...), the palette, and the observations, (steps, ...)."""
    random, kept = np.random.default_rng(0), []
    with closing(Environments(of.rom, 1, SEEN, raw=True)) as games:
        observations, starts, lives = games.reset(0), np.ones(1, bool), np.zeros(1, np.int32)
        for _ in range(steps):
            screens, ram = games.raw()
            fc = zoo.activations(network, observations, ["fc"])["fc"].numpy()
            before = {"frames": screens.copy(), "ram": ram.copy(), FC: fc.reshape(1, -1)}
            before |= {"observations": observations[0].numpy(), "starts": starts, "lives": lives}
            step = games.step(random.integers(len(of.actions), size=1))
            after = {"actions": step.actions, "rewards": step.rewards}
            after |= {"terminated": step.terminated, "truncated": step.truncated}
            kept.append({name: array.copy() for name, array in (before | after).items()})
            observations, lives = step.observations, step.lives
            starts = step.terminated | step.truncated
        palette = games.palette.copy()
    return {name: np.stack([one[name] for one in kept]) for name in kept[0]} | {"palette": palette}


def write_ours(path: Path, played: dict[str, np.ndarray], keep: list[str]) -> float:
    """Writes step by step, as rollouts do; returns the seconds it took."""
    shutil.rmtree(path, ignore_errors=True)
    palette, started = played["palette"], time.monotonic()
    arrays = {n: a for n, a in played.items() if n not in ("palette", "observations")}
    arrays = {name: array for name, array in arrays.items() if name != FC or FC in keep}
    header = Header(ModelCard(game="Pong"), "Pong", SEEN)
    with RecordingWriter(path, header, keep) as writer:
        writer.header.palette = palette
        for step in range(len(arrays["starts"])):
            writer.append_block({name: array[step : step + 1] for name, array in arrays.items()})
    return time.monotonic() - started


def write_theirs(path: Path, played: dict[str, np.ndarray], recording: zoo.Recording) -> float:
    """The original's arrays, as atari_zoo/rollout.py of uber-research/atari-model-zoo has them."""
    arrays: dict[str, Any] = {
        "observations": played["observations"].transpose(0, 2, 3, 1),
        "frames": np.asarray(recording.frames)[:, 0],
        "ram": played["ram"][:, 0],
        "representation": played[FC][:, 0].astype(np.float32),
        "score": recording.scores[:, 0],
        "ep_rewards": recording.returns,
    }
    started = time.monotonic()
    np.savez_compressed(path, **arrays)
    return time.monotonic() - started


def size(path: Path) -> list[float]:
    """MiB of a file, or of a folder's files."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return [sum(file.stat().st_size for file in files) / 2**20]


def seconds(read: Callable[[int], object], steps: list[int]) -> float:
    """What reading one step takes; the median of several."""
    took = []
    for step in steps:
        started = time.perf_counter()
        read(step)
        took.append(time.perf_counter() - started)
    return float(np.median(took))


def compare(of: Game, network: Network, steps: int, folder: Path) -> Iterator[Row]:
    """The rows of one game."""
    played, what = play(of, network, steps), f"{of.name}, {steps:,} steps"
    bare, full, theirs = folder / "bare", folder / "full", folder / "theirs.npz"
    write_ours(bare, played, ["frames", "ram"])
    wrote = write_ours(full, played, ["frames", "ram", FC])
    recording = zoo.open_recording(full)
    wrote_theirs = write_theirs(theirs, played, recording)
    yield row("recordings", f"{what}, with fc", PEER, size(full), size(theirs), "MiB")
    yield row("recordings", f"{what}, fc recomputed", PEER, size(bare), size(theirs), "MiB")
    yield row("recordings", f"{what}, to write", PEER, [wrote], [wrote_theirs], "s")
    random = np.random.default_rng(1).integers(steps, size=40).tolist()
    one = by_turns(
        lambda: seconds(lambda step: zoo.open_recording(full).frames[step, 0], random),
        lambda: seconds(lambda step: np.load(theirs)["frames"][step], random[:1]),
        3,
    )
    yield row("recordings", f"{of.name}, open and read one frame", PEER, *one, "s")
    again = [seconds(lambda step: recording.frames[step, 0], random) for _ in range(3)]
    yield row("recordings", f"{of.name}, read one frame", PEER, again, one[1], "s")


def codecs(of: Game, network: Network, steps: int, folder: Path) -> Iterator[Row]:
    """The same of Zarr's own codecs, beside ours."""
    started = time.process_time()
    played = play(of, network, steps)
    playing, bare = time.process_time() - started, folder / "bare"

    def ours() -> Path:
        write_ours(bare, played, ["frames", "ram"])
        return bare

    write_theirs(folder / "theirs.npz", played, zoo.open_recording(ours()))
    (theirs,) = size(folder / "theirs.npz")
    yield from recording_codecs.compare(of.name, played, playing, folder, theirs, ours)


def main() -> None:
    """Measures and prints."""
    parser = arguments(__doc__)
    parser.add_argument("--codecs", action="store_true", help="Zarr's own codecs beside ours")
    options = parser.parse_args()
    network, steps = zoo.load("a2c/Pong/1"), 500 if options.quick else 2500

    def rows() -> Iterator[Row]:
        for name in GAMES:
            with TemporaryDirectory() as folder:
                measured = codecs if options.codecs else compare
                yield from measured(game(name), network, steps, Path(folder))

    show(rows(), options.json)


if __name__ == "__main__":
    main()
