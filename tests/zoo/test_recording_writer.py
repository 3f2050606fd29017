"""Recordings are written step by step; little is lost when a process dies or a disk is full."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import zarr
from raw_play import RawPlay, raw_play
from recorded import (
    CARD,
    CHUNK,
    ENVS,
    KEEP,
    STEPS,
    append,
    check,
    contents,
    played,
    recorded,
    writer,
)

import atari_zoo as zoo
from atari_zoo.converters.cards import Preprocessing
from atari_zoo.converters.errors import ConversionError
from atari_zoo.recordings.arrays import ALWAYS, ARRAYS
from atari_zoo.recordings.chunks import LONG
from atari_zoo.recordings.header import Header
from atari_zoo.recordings.writer import RecordingWriter


@pytest.fixture(scope="module")
def play() -> RawPlay:
    return played()


@pytest.fixture(scope="module")
def file(play, tmp_path_factory) -> Path:
    return recorded(play, tmp_path_factory.mktemp("recordings") / "play.zarr")


def test_single_steps_and_blocks_give_the_same_files(file, play, tmp_path):
    layers = ("fc", "conv3")
    with writer(tmp_path / "steps") as to:
        for index in range(STEPS):
            step = play.step(index)
            activations = {layer: step.pop(f"activations/{layer}") for layer in layers}
            to.append(activations=activations, palette=play.palette, **step)
            assert to.steps == index + 1 and to.safe == (index + 1) // CHUNK * CHUNK
    with writer(tmp_path / "odd") as to:
        for start in range(0, STEPS, 7):
            append(to, play, start, min(start + 7, STEPS))
    for other in ("steps", "odd"):
        assert contents(tmp_path / other) == contents(file)


def test_chunks_are_what_zarr_itself_would_write(file, tmp_path):
    by_zarr = tmp_path / "zarr"
    shutil.copytree(file, by_zarr, ignore=shutil.ignore_patterns("c.*"))
    group, written = zarr.open_group(by_zarr, mode="r+"), zarr.open_group(file, mode="r")
    for name in (*ALWAYS, *KEEP):
        group[name].with_config({"write_empty_chunks": True})[...] = written[name][...]
    assert contents(by_zarr) == contents(file)


@pytest.mark.parametrize("stopped", [LONG - 1, LONG, LONG + 6])
def test_small_arrays_go_on_in_a_second_file(play, tmp_path, stopped):
    """Theirs are `LONG` chunks long, 64 steps here; they are written whole each time."""
    paths = [tmp_path / name for name in ("stopped", "whole")]
    for path, stops in zip(paths, [(0, stopped, STEPS), (0, STEPS)], strict=True):
        with writer(path, chunk=1) as to:
            append(to, play, 0, stops[1])
            # as another process finds it meanwhile, or this one's heirs: the arrays are longer
            check(zoo.open_recording(path), play, stops[1])
            assert zarr.open_group(path, mode="r")["rewards"].shape[0] % LONG == 0
        if stops[1:-1]:
            with RecordingWriter.resume(path) as to:
                append(to, play, *stops[1:])
        check(zoo.open_recording(path), play, STEPS)
        assert {array.shape[0] for _, array in zarr.open_group(path, mode="r").arrays()} == {STEPS}
        assert len(list((path / "rewards").glob("c.*"))) == 2
    assert contents(paths[0]) == contents(paths[1])


def test_only_the_first_episodes_count_if_so_said(play, tmp_path):
    with writer(tmp_path / "counted", counted=[1, 2]) as to:
        append(to, play, 0, STEPS)
    whole = raw_play("breakout", STEPS, ENVS, longest=35).arrays
    ends = [np.flatnonzero((whole["truncated"] | whole["terminated"])[:, e]) for e in range(ENVS)]
    recording = zoo.open_recording(tmp_path / "counted")
    expected = [int(ends[0][0]) + 1, int(ends[1][0]) + 1, int(ends[1][1] - ends[1][0])]
    assert recording.lengths.tolist() == expected


PLAYER = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from recorded import CHUNK, STEPS, append, writer
from raw_play import raw_play
play = raw_play("breakout", STEPS, 2, longest=35)
with writer(Path(sys.argv[1]), ["frames", "ram"]) as to:
    for index in range(STEPS):
        append(to, play, index, index + 1)
        print(to.steps, flush=True)
"""


def test_two_processes_do_not_write_one_recording(play, tmp_path):
    path, here = tmp_path / "play.zarr", str(Path(__file__).parents[1])
    waiting = PLAYER.replace("    for index", "    print(sys.stdin.readline())\n    for index")
    command = [sys.executable, "-c", waiting, str(path), here]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        while not (path / "zarr.json").exists():
            assert process.poll() is None
            time.sleep(0.05)
        with pytest.raises(ValueError, match="another process is writing this") as caught:
            RecordingWriter.resume(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
        process.communicate("go on\n")
    np.testing.assert_array_equal(zoo.open_recording(path).ram, play.arrays["ram"])
    with pytest.raises(FileExistsError, match=r"go on with RecordingWriter.resume"):
        writer(path)
    (path / "zarr.json").write_text("{")
    with pytest.raises(ConversionError):
        RecordingWriter.resume(path)
    assert not list(path.glob(".*"))  # nothing is left of the lock


@pytest.mark.parametrize("killed_at", [5, 64])
def test_a_killed_process_loses_at_most_a_chunk(play, tmp_path, killed_at):
    path, here = tmp_path / "play.zarr", str(Path(__file__).parents[1])
    command = [sys.executable, "-c", PLAYER, str(path), here]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if int(line) >= killed_at:
                process.send_signal(signal.SIGKILL)
                break
        written = [int(line) for line in process.stdout]  # what it did before the signal came
    assert process.wait() == -signal.SIGKILL
    done = max([killed_at, *written])
    keep = ("frames", "ram")
    resumed = RecordingWriter.resume(path)
    assert done - CHUNK < resumed.safe == resumed.steps <= done + CHUNK
    safe = zoo.open_recording(path)
    np.testing.assert_array_equal(safe.ram, play.arrays["ram"][: resumed.safe])
    with resumed:
        rest = play.block(resumed.steps, STEPS)
        kept = {n: a for n, a in rest.items() if n in keep or (n in ARRAYS and n != "outputs")}
        resumed.append(palette=play.palette, **kept)
    with writer(tmp_path / "whole.zarr", list(keep)) as to:
        kept = {
            n: a for n, a in play.arrays.items() if n in keep or (n in ARRAYS and n != "outputs")
        }
        to.append(palette=play.palette, **kept)
    assert contents(path) == contents(tmp_path / "whole.zarr")


@pytest.mark.parametrize("stopped", [0, 10, 35, 64])
def test_resuming_continues_as_if_never_stopped(file, play, tmp_path, stopped):
    path = tmp_path / "play.zarr"
    with writer(path) as to:
        if stopped:
            append(to, play, 0, stopped)
    # what a chunk half written leaves: arrays longer than the count of steps that are safe
    if stopped:
        ram = zarr.open_group(path, mode="r+")["ram"]
        ram.resize((stopped + CHUNK, *ram.shape[1:]))
        ram[stopped:] = 99
    with RecordingWriter.resume(path) as to:
        assert to.steps == to.safe == stopped
        assert not stopped or zarr.open_group(path)["ram"].shape[0] == stopped
        append(to, play, stopped, STEPS)
    check(zoo.open_recording(path), play, STEPS)
    assert zoo.open_recording(path).scores.tolist() == zoo.open_recording(file).scores.tolist()
    assert contents(path) == contents(file)


def test_a_failing_step_does_not_lose_those_before(play, tmp_path):
    def failing() -> None:
        with writer(tmp_path / "a") as to:
            append(to, play, 0, 21)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    check(zoo.open_recording(tmp_path / "a"), play, 21)


FULL = """
import resource, signal, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
import numpy as np
from recorded import CHUNK, STEPS, append, writer
from raw_play import raw_play
play = raw_play("breakout", STEPS, 2, longest=35)
play.arrays["outputs"] = np.random.default_rng(0).random((STEPS, 2, 1000))  # which stay large
to = writer(Path(sys.argv[1]), ["frames", "ram", "outputs"])
append(to, play, 0, 2 * CHUNK)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # no file may be longer
try:
    with to:
        append(to, play, 2 * CHUNK, STEPS)
except OSError as error:
    print(error)
try:
    append(to, play, 0, 1)
except ValueError as error:
    print(error)
"""


def test_where_the_disk_is_full_the_steps_before_are_safe(play, tmp_path):
    path, here = tmp_path / "play.zarr", str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path), here], capture_output=True, text=True, check=True
    )
    told, after = done.stdout.splitlines()
    assert f"{2 * CHUNK} steps are safe" in told and "RecordingWriter.resume" in told
    assert str(path) in told and "writing failed" in after
    recording = zoo.open_recording(path)
    np.testing.assert_array_equal(recording.frames, play.colours[: 2 * CHUNK])
    assert not list(path.rglob("*.partial"))


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"ram": None}, "the step lacks 'ram'; the recording keeps actions, "),
        ({"screens": np.zeros((1, 2, 84, 84), np.uint8)}, "was not made to keep 'screens'"),
        ({"ram": np.zeros((1, 3, 128), np.uint8)}, r"'ram' is \(1, 3, 128\); expected \(1, 2\)"),
        ({"ram": np.zeros((1, 2, 127), np.uint8)}, r"'ram' is \(1, 2, 127\)"),
        ({"ram": np.full((1, 2, 128), 256)}, "'ram' is int64, of which not all fits into uint8"),
        ({"actions": np.array([[0.5, 1]])}, "'actions' is float64, of which not all fits into"),
        ({"activations/fc": np.full((1, 2, 32), 1e6)}, "of which not all fits into float16"),
        ({"frames": np.zeros((1, 2, 210, 160), np.uint8)}, r"'frames' is \(1, 2, 210, 160\)"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(play, tmp_path, changes, words):
    step = play.block(0, 1) | changes
    with writer(tmp_path / "a") as to:
        to.header.palette = play.palette
        with pytest.raises(ValueError, match=words):
            to.append_block({name: rows for name, rows in step.items() if rows is not None})
        append(to, play, 0, 3)  # nothing of it was kept
    check(zoo.open_recording(tmp_path / "a"), play, 3)


def test_what_cannot_be_written_is_refused(play, file, tmp_path):
    with pytest.raises(ValueError, match="cannot keep 'sound'; there are actions, "):
        writer(tmp_path / "a", ["sound"])
    with pytest.raises(FileExistsError, match=r"go on with RecordingWriter\.resume"):
        writer(file)
    with pytest.raises(ValueError, match="give their palette too"):
        writer(tmp_path / "b").append_block(play.block(0, 1))
    with pytest.raises(ValueError, match="both must be at least 1"):
        RecordingWriter(tmp_path / "c", Header(CARD, "Pong", Preprocessing(), envs=0))
