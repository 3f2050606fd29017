"""Recordings on disk give back every byte, lazily, from anywhere, and tell what is damaged."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from numcodecs.zstd import Zstd
from raw_play import RawPlay, raw_play
from recorded import (
    CARD,
    CHUNK,
    ENVS,
    STEPS,
    check,
    contents,
    played,
    recorded,
)
from served import Served

import atari_zoo as zoo
from atari_zoo.converters import ConversionError
from atari_zoo.converters.cards import PREPROCESSINGS, Preprocessing
from atari_zoo.recordings.header import Header
from atari_zoo.recordings.stores import checksum, unpacked_size
from atari_zoo.recordings.writer import RecordingWriter


@pytest.fixture(scope="module")
def play() -> RawPlay:
    return played()


@pytest.fixture(scope="module")
def file(play, tmp_path_factory) -> Path:
    return recorded(play, tmp_path_factory.mktemp("recordings") / "play.zarr")


def test_what_was_written_is_read(file, play):
    recording = zoo.open_recording(file)
    check(recording, play, STEPS)
    assert recording.card == CARD and recording.game == "Breakout" and recording.seed == 7
    assert recording.preprocessing == Preprocessing()
    assert recording.steps == STEPS * ENVS and recording.screens is None


def test_the_emulators_colours_are_shown(tmp_path):
    """A game of 250 lines, with colours of the other television standard."""
    play = raw_play("air_raid", 20)
    header = Header(CARD, "AirRaid", Preprocessing())
    with RecordingWriter(tmp_path / "a", header, ["frames"]) as to:
        keep = {name: rows for name, rows in play.arrays.items() if name != "ram"}
        to.append(palette=play.palette, **keep)
    recording = zoo.open_recording(tmp_path / "a")
    assert recording.frames.shape == (20, 1, 250, 160, 3)
    np.testing.assert_array_equal(recording.frames, play.colours)


def test_scores_and_episodes_follow_from_rewards(file, play):
    """Against a plain loop."""
    recording, returns, lengths = zoo.open_recording(file), [], []
    rewards, over = (play.arrays[n] for n in ("rewards", "truncated"))
    over = over | play.arrays["terminated"]
    for env in range(ENVS):
        score = length = 0
        for step in range(STEPS):
            assert recording.scores[step, env] == score
            score, length = score + rewards[step, env], length + 1
            if over[step, env]:
                returns.append(score)
                lengths.append(length)
                score = length = 0
    assert sum(returns) > 0 and len(returns) >= 4
    assert recording.returns.tolist() == returns and recording.lengths.tolist() == lengths


def test_plain_zarr_reads_it(file, play):
    group = zarr.open_group(file, mode="r")
    for name, array in play.arrays.items():
        np.testing.assert_array_equal(group[name][:], array)
    assert group.attrs["format"] == "atari-zoo recording" and group.attrs["version"] == 1
    assert group["ram"].metadata.dimension_names[:2] == ("step", "env")


WITHOUT = """
import sys
sys.modules["atari_zoo"] = None  # whoever imports it fails
import numpy as np, zarr
group = zarr.open_group(sys.argv[1], mode="r")
print(int(np.asarray(group["frames"][:], int).sum()), int(np.asarray(group["ram"][:], int).sum()))
print(float(np.asarray(group["activations/fc"][:], float).sum()))
"""


def test_a_zarr_without_the_zoo_reads_it(file, play):
    command = [sys.executable, "-W", "error", "-c", WITHOUT, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    frames, ram, fc = done.stdout.split()
    assert int(frames) == play.arrays["frames"].astype(int).sum()
    assert int(ram) == play.arrays["ram"].astype(int).sum()
    assert float(fc) == pytest.approx(play.arrays["activations/fc"].astype(float).sum())


INDICES = [
    np.s_[3],
    np.s_[-1],
    np.s_[np.int64(4)],
    np.s_[3:40],
    np.s_[80:200],
    np.s_[50:10],
    np.s_[50:10:-9],
    np.s_[::13],
    np.s_[[5, 1, 60]],
    np.s_[np.array([True, False] * (STEPS // 2))],
    np.s_[7, 1],
    np.s_[7, -1],
    np.s_[:, 0],
    np.s_[2:20, 1:],
    np.s_[2:20, [1, 0]],
    np.s_[...],
    np.s_[..., 1],
    np.s_[5, ..., 3:9],
    np.s_[5:9, 0, 2:4],
    np.s_[30:33, :, ..., -1],
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_lazy_arrays_are_indexed_as_numpys(file, play, index):
    recording = zoo.open_recording(file)
    bits = np.unpackbits(play.arrays["ram"], axis=-1)
    for lazy, array in [
        (recording.ram, play.arrays["ram"]),
        (recording.frames, play.colours),
        (recording.raw_frames, play.arrays["frames"]),
        (recording.ram_bits, bits),
    ]:
        assert lazy.shape == array.shape and lazy.dtype == array.dtype and lazy.ndim == array.ndim
        np.testing.assert_array_equal(lazy[index], array[index], strict=True)


def test_steps_one_by_one_are_those_of_the_whole(file, play):
    recording, order = zoo.open_recording(file), np.random.default_rng(0).permutation(STEPS * ENVS)
    read = {name: getattr(recording, name) for name in ("raw_frames", "ram", "outputs")}
    read |= recording.activations
    for name, rows in read.items():
        expected = rows[:]
        for step, env in zip(*np.divmod(order, ENVS), strict=True):
            for _ in range(2):
                row = rows[int(step), int(env)]
                np.testing.assert_array_equal(row, expected[step, env], err_msg=name)
                row[...] = 77  # the reader's own: what is read again is not spoilt
    np.testing.assert_array_equal(recording.frames[-1, -1], play.colours[-1, -1])


def test_indices_beyond_the_end_are_refused(file):
    recording = zoo.open_recording(file)
    for index in [STEPS, -STEPS - 1, (0, ENVS), (0, 0, 0, 0), (..., ...)]:
        with pytest.raises(IndexError):
            recording.ram[index]


def test_only_the_chunks_that_are_needed_are_read(file, tmp_path, play):
    copy = shutil.copytree(file, tmp_path / "copy")
    for chunk in (copy / "frames").glob("c.*"):
        if not chunk.name.startswith("c.2.1."):
            chunk.unlink()
    recording = zoo.open_recording(copy)
    for step in (2 * CHUNK, 3 * CHUNK - 1):
        np.testing.assert_array_equal(recording.frames[step, 1], play.colours[step, 1])
    with pytest.raises(ConversionError, match=r"'frames/c.2.0.0.0.0' is missing") as caught:
        recording.frames[2 * CHUNK]
    assert "\n" not in str(caught.value) and str(copy) in str(caught.value)
    np.testing.assert_array_equal(recording.ram, play.arrays["ram"])


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty"])
@pytest.mark.parametrize("name", ["frames/c.1.0.0.0.0", "ram/c.0.0.0", "rewards/c.0.0"])
def test_a_damaged_chunk_is_named_and_the_rest_is_read(file, play, tmp_path, damage, name):
    copy = shutil.copytree(file, tmp_path / "copy")
    content = (copy / name).read_bytes()
    middle = len(content) // 2
    changed = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    spoilt = {"flipped": changed, "cut": content[:-3], "empty": b""}[damage]
    (copy / name).write_bytes(spoilt)
    recording, array = zoo.open_recording(copy), name.split("/")[0]
    read = {
        "frames": (lambda: recording.raw_frames[:, 0], lambda: recording.raw_frames[20, 0]),
        "ram": (lambda: recording.ram[20], lambda: recording.ram[20, 1]),
    }
    for reads in read.get(array, (lambda: recording.rewards,)):
        with pytest.raises(ConversionError, match=f"'{name}' is damaged or cut short") as caught:
            reads()
    assert "\n" not in str(caught.value) and str(copy) in str(caught.value)
    if array != "ram":  # one chunk holds all of it
        np.testing.assert_array_equal(recording.ram, play.arrays["ram"])
    np.testing.assert_array_equal(recording.frames[:CHUNK], play.colours[:CHUNK])
    np.testing.assert_array_equal(recording.lives, play.arrays["lives"])


@pytest.mark.parametrize(
    "content, words",
    [
        (b"\x28\xb5\x2f\xfd\xe0" + (1 << 40).to_bytes(8, "little"), "claims 1099511627776 bytes"),
        (b"\x28\xb5\x2f\xfd\x00\x58\x00\x00", "claims 10737"),  # it does not say how many
        (Zstd().encode(bytes(99)), "is damaged"),
        (b"no frame at all", "is damaged"),
    ],
    ids=["a bomb", "a frame without a size", "another size", "no frame"],
)
def test_hostile_chunks_are_refused(file, tmp_path, content, words):
    copy = shutil.copytree(file, tmp_path / "copy")
    (copy / "ram/c.0.0.0").write_bytes(content + checksum(content))
    recording = zoo.open_recording(copy)
    for read in (
        lambda: recording.ram[3, 1],
        lambda: recording.ram[3, 1],
        lambda: recording.ram[:],
    ):
        with pytest.raises(ConversionError, match=words) as caught:
            read()
        assert "\n" not in str(caught.value) and str(copy) in str(caught.value)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 65_791, 65_792, 1 << 20])
def test_the_size_in_a_frame_is_the_contents(size):
    assert unpacked_size(Zstd().encode(bytes(size))) == size


def change(folder: Path, **attributes) -> None:
    told = json.loads((folder / "zarr.json").read_text())
    told["attributes"] |= attributes
    (folder / "zarr.json").write_text(json.dumps(told))


def test_a_later_version_is_refused(file, tmp_path):
    copy = shutil.copytree(file, tmp_path / "copy")
    change(copy, version=3)
    words = r"a recording of version 3; this atari-zoo reads up to 1: update atari-zoo"
    for opens in (zoo.open_recording, RecordingWriter.resume):
        with pytest.raises(ConversionError, match=words):
            opens(copy)


@pytest.mark.parametrize(
    "attributes",
    [
        {"version": "1"},
        {"format": "other"},
        {"card": 5},
        {"steps": -1},
        {"envs": 0},
        {"steps": "many"},
        {"palette": "00"},
        {"palette": "zz"},
        {"arrays": {"../x": "uint8"}},
        {"arrays": None},
        {"preprocessing": None},
    ],
    ids=str,
)
def test_damaged_attributes_are_told_of(file, tmp_path, attributes):
    copy = shutil.copytree(file, tmp_path / "copy")
    change(copy, **attributes)
    with pytest.raises(ConversionError, match=str(copy)) as caught:
        zoo.open_recording(copy)
    assert "\n" not in str(caught.value)


def test_arrays_that_do_not_fit_are_told_of(file, tmp_path):
    copy = shutil.copytree(file, tmp_path / "copy")
    change(copy, steps=STEPS + 1)
    with pytest.raises(ConversionError, match=r"'ram' is \(90, 2, 128\): damaged"):
        zoo.open_recording(copy).ram[0]
    (copy / "ram" / "zarr.json").unlink()
    with pytest.raises(ConversionError, match="'ram' is missing"):
        zoo.open_recording(copy).ram[0]


def test_what_is_no_recording_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such recording"):
        zoo.open_recording(tmp_path / "none.zarr")
    with pytest.raises(FileNotFoundError, match="no recording to go on with"):
        RecordingWriter.resume(tmp_path / "none.zarr")
    zarr.create_group(tmp_path / "other.zarr", zarr_format=3)
    (tmp_path / "text.zarr.zip").write_text("no archive")
    (tmp_path / "empty").mkdir()
    for name in ("other.zarr", "text.zarr.zip", "empty"):
        with pytest.raises(ConversionError, match="no recording"):
            zoo.open_recording(tmp_path / name)


def test_it_is_read_over_http_chunk_by_chunk(file, play):
    files = {f"/runs/play.zarr/{name}": content for name, content in contents(file).items()}
    with Served(files) as server:
        recording = zoo.open_recording(f"{server.url}/runs/play.zarr")
        assert len(server.requests) == 1
        np.testing.assert_array_equal(recording.frames[40, 1], play.colours[40, 1])
        asked = [request.path.removeprefix("/runs/play.zarr/") for request in server.requests]
        assert asked[1:] == ["frames/zarr.json", "frames/c.2.1.0.0.0"]
        check(recording, play, STEPS)
        del server.files["/runs/play.zarr/ram/c.0.0.0"]
        with pytest.raises(ConversionError, match=r"'ram/c\.0\.0\.0' is missing"):
            recording.ram[0]
        with pytest.raises(ConversionError, match="no recording"):
            zoo.open_recording(f"{server.url}/runs/other.zarr")


def test_any_file_system_of_fsspec_serves(file, play):
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.put(str(file), "/bucket/play.zarr", recursive=True)
    check(zoo.open_recording("memory://bucket/play.zarr"), play, STEPS)
    with pytest.raises(ValueError, match="nowhere"):
        zoo.open_recording("nowhere://bucket/play.zarr")


def test_it_is_read_from_a_zip(file, play, tmp_path):
    zoo.open_recording(file).save(tmp_path / "play.zarr.zip")
    check(zoo.open_recording(tmp_path / "play.zarr.zip"), play, STEPS)
    with zipfile.ZipFile(tmp_path / "play.zarr.zip") as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path / "play.zarr.zip"), "/bucket/play.zarr.zip")
    check(zoo.open_recording("memory://bucket/play.zarr.zip"), play, STEPS)
    whole = (tmp_path / "play.zarr.zip").read_bytes()
    with Served({"/play.zarr.zip": whole}) as server:  # which does not know ranges with an end
        url = f"{server.url}/play.zarr.zip"
        with pytest.raises(ConversionError, match=f"{url}: .* range requests"):
            zoo.open_recording(url)


def test_a_recording_is_saved_and_opened_again(file, play, tmp_path):
    recording = zoo.open_recording(file)
    recording.save(tmp_path / "again.zarr")
    again = zoo.open_recording(tmp_path / "again.zarr")
    check(again, play, STEPS)
    for name in ("returns", "lengths", "scores", "terminated"):
        np.testing.assert_array_equal(getattr(again, name), getattr(recording, name))
    assert again.summary() == recording.summary()
    with pytest.raises(FileExistsError, match="choose another name"):
        recording.save(tmp_path / "again.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["again.zarr"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> tuple[RawPlay, Path]:
    """One environment, as the original zoo played, with a representation."""
    play, path = raw_play("seaquest", 100), tmp_path_factory.mktemp("alone") / "play.zarr"
    fc = np.maximum(np.random.default_rng(5).normal(size=(100, 1, 512)), 0).astype(np.float16)
    preprocessing = dataclasses.replace(PREPROCESSINGS["tf"])
    keep = ["frames", "ram", "activations/fc"]
    with RecordingWriter(path, Header(CARD, "Seaquest", preprocessing), keep) as to:
        to.append(palette=play.palette, activations={"fc": fc}, **play.arrays)
    play.arrays["activations/fc"] = fc
    return play, path


def test_the_originals_file_is_written(alone, tmp_path):
    """Names, shapes and types are those that atari_zoo/rollout.py of the original gives them."""
    (play, path), file = alone, tmp_path / "model1_final_rollout.npz"
    recording = zoo.open_recording(path)
    recording.save(file)
    with np.load(file) as stored:
        arrays = dict(stored)
    assert {name: (array.shape, array.dtype.name) for name, array in arrays.items()} == {
        "observations": ((100, 84, 84, 4), "float32"),
        "frames": ((100, 210, 160, 3), "uint8"),
        "ram": ((100, 128), "uint8"),
        "representation": ((100, 512), "float32"),
        "score": ((100,), "float64"),
        "ep_rewards": ((len(recording.returns),), "float64"),
    }
    seen = recording.observations().permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(arrays["observations"], seen)
    assert 0 <= seen.min() < seen.max() <= 1
    np.testing.assert_array_equal(arrays["frames"], play.colours[:, 0])
    np.testing.assert_array_equal(arrays["ram"], play.arrays["ram"][:, 0])
    np.testing.assert_array_equal(arrays["representation"], play.arrays["activations/fc"][:, 0])
    again = zoo.open_recording(file)
    torch.testing.assert_close(
        again.observations(),
        (recording.observations() * 255).round().to(torch.uint8),
        atol=0,
        rtol=0,
    )
    np.testing.assert_array_equal(again.frames, play.colours)
    np.testing.assert_array_equal(again.ram, play.arrays["ram"])
    np.testing.assert_array_equal(again.activations["fc"], play.arrays["activations/fc"])
    np.testing.assert_array_equal(again.scores, recording.scores)
    np.testing.assert_array_equal(again.frames[7, 0], play.colours[7, 0])
    again.save(tmp_path / "from_npz.zarr")  # its colour frames, RAM and all
    last = zoo.open_recording(tmp_path / "from_npz.zarr")
    np.testing.assert_array_equal(last.frames, play.colours)
    torch.testing.assert_close(last.observations(), again.observations(), atol=0, rtol=0)


def test_a_recording_is_small(tmp_path):
    """A twentieth of the original's file of the same play, and less still; the representation
    aside, whose digits nothing makes shorter: what that takes, benchmarks/recordings.py tells."""
    play = raw_play("breakout", 448)
    path = tmp_path / "play.zarr"
    header = Header(CARD, "Breakout", PREPROCESSINGS["tf"])
    with RecordingWriter(path, header, ["frames", "ram"]) as to:
        to.append(palette=play.palette, **play.arrays)
    zoo.open_recording(path).save(tmp_path / "original.npz")
    size = sum(map(len, contents(path).values()))
    assert size < (tmp_path / "original.npz").stat().st_size / 20
