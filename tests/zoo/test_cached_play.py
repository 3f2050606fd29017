"""Cached play is read as NumPy reads it, piece by piece, and written as NumPy writes it."""

from __future__ import annotations

import io
import re
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from fuzzing import mutated
from served import Served

import atari_zoo as zoo
from atari_zoo.converters import ConversionError
from atari_zoo.converters.archives.npy import NpzArray
from atari_zoo.converters.cards import Preprocessing
from atari_zoo.recordings.header import Header
from atari_zoo.recordings.original_files import card_of
from atari_zoo.recordings.original_play import CachedPlay, open_cached_play
from atari_zoo.recordings.original_saved import save_cached_play
from atari_zoo.recordings.recordings import Recording

KEYS = ["observations", "frames", "ram", "representation", "score", "ep_rewards"]


def rollout(lengths: list[int], limit: int, steps: int, still: bool = False) -> dict[str, Any]:
    """What the original's loop records in a game whose episodes take `lengths` steps.

    limit: from this step on, every step ends an episode. still: every reset shows one screen.
    `starts`, `rewards` are the truth, which its files lack.
    """
    random, kept = np.random.default_rng(0), {key: [] for key in [*KEYS, "starts", "rewards"]}

    def screen(first: bool) -> np.ndarray:
        blank = np.zeros((84, 84), np.float32)
        spots = [(7, 7)] if first and still else random.integers(84, size=(30, 2))
        for row, column in spots:
            blank[row, column] = 0.5 if first and still else random.random()
        return blank

    left = list(lengths)
    stack, age, score = [screen(True)] * 4, 0, 0.0
    for step in range(steps):
        kept["observations"].append(np.stack(stack, axis=-1))
        kept["frames"].append(np.full((210, 160, 3), step % 256, np.uint8))
        kept["ram"].append(random.integers(256, size=128, dtype=np.uint8))
        kept["representation"].append(random.random(512, np.float32))
        kept["score"].append(score)
        kept["starts"].append(age == 0)
        reward = float(random.integers(-1, 3))
        kept["rewards"].append(reward)
        score, age, stack = score + reward, age + 1, [*stack[1:], screen(False)]
        if age == left[0] or step + 1 >= limit:
            kept["ep_rewards"].append(score)
            stack, age, score = [screen(True)] * 4, 0, 0.0
            left = left[1:] or [10**9]
    return {key: np.array(values) for key, values in kept.items()}


def save(path: Path, play: dict[str, Any], **changes: Any) -> Path:
    arrays = {key: play[key] for key in KEYS} | changes
    np.savez_compressed(path, **{key: a for key, a in arrays.items() if a is not None})
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("ATARI_ZOO_CACHE", str(folder))
    return folder


@pytest.fixture(scope="module")
def original() -> dict[str, Any]:
    """Five episodes, the last of them one step beyond the limit, as in the original's files."""
    return rollout([40, 1, 70], limit=149, steps=150)


@pytest.fixture(scope="module")
def file(original: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zoo") / "a2c" / "SeaquestNoFrameskip-v4"
    folder.mkdir(parents=True)
    return save(folder / "model2_final_rollout.npz", original)


@pytest.mark.parametrize("writer", [np.savez_compressed, np.savez])
def test_every_part_is_what_numpy_reads(original, tmp_path, writer):
    writer(tmp_path / "play.npz", **{key: original[key] for key in KEYS})
    play, random = open_cached_play(tmp_path / "play.npz"), Random(1)
    assert play.steps == 150 and play.frames.shape == (150, 210, 160, 3)
    parts = [slice(140, 150), slice(3, 5), slice(-2, None), slice(9, 9), slice(None, None, 37)]
    parts += [slice(149, None, -50), slice(0, 1000)]
    parts += [slice(a, a + random.randrange(20)) for a in random.sample(range(150), 12)]
    for part in parts:
        np.testing.assert_array_equal(play.frames[part], original["frames"][part])
        np.testing.assert_array_equal(play.ram[part], original["ram"][part])
        if part.step is None:
            seen = play.observations(part.start, part.stop)
            stored = original["observations"][part].transpose(0, 3, 1, 2)
            torch.testing.assert_close(seen, torch.from_numpy(stored), atol=0, rtol=0)
            newest = np.rint(stored[:, 3] * 255).astype(np.uint8)
            np.testing.assert_array_equal(play.screens[part, 0], newest)
    np.testing.assert_array_equal(play.frames[-1], original["frames"][-1])
    np.testing.assert_array_equal(np.asarray(play.ram), original["ram"])
    np.testing.assert_array_equal(play.representation, original["representation"])
    np.testing.assert_array_equal(play.score, original["score"])
    np.testing.assert_array_equal(play.returns, original["ep_rewards"])
    with pytest.raises(IndexError):
        play.ram[150]


def test_it_is_converted_once(file, original, cache, monkeypatch):
    open_cached_play(file)
    (kept,) = cache.rglob("*.zarr.zip")
    made = kept.stat().st_mtime_ns
    monkeypatch.setattr(NpzArray, "pieces", lambda *_: pytest.fail("the .npz is read again"))
    again = open_cached_play(file)
    np.testing.assert_array_equal(again.frames[::-7], original["frames"][::-7])
    assert kept.stat().st_mtime_ns == made
    monkeypatch.undo()
    monkeypatch.setenv("ATARI_ZOO_CACHE", str(cache))
    kept.write_bytes(kept.read_bytes()[:-30])  # damaged: it is made anew
    np.testing.assert_array_equal(open_cached_play(file).ram[:], original["ram"])


def test_a_file_that_changed_is_converted_again(original, tmp_path):
    path = save(tmp_path / "play.npz", original)
    open_cached_play(path)
    save(path, original, ram=original["ram"] ^ 1)
    np.testing.assert_array_equal(open_cached_play(path).ram[:], original["ram"] ^ 1)


def test_a_cache_that_cannot_be_written_does_no_harm(file, original, tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file where the folder should be")
    monkeypatch.setenv("ATARI_ZOO_CACHE", str(tmp_path / "cache"))
    play = open_cached_play(file)
    np.testing.assert_array_equal(play.frames[7:9], original["frames"][7:9])
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_a_conversion_that_is_interrupted_leaves_nothing(file, cache, monkeypatch):
    def stopped(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(NpzArray, "pieces", stopped)
    with pytest.raises(KeyboardInterrupt):
        open_cached_play(file)
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_threads_may_share_it(file, original):
    play = open_cached_play(file)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # so that they meet
    try:
        with ThreadPoolExecutor(6) as pool:
            parts = list(pool.map(play.observations, [0, 50, 0, 100, 50, 0]))
    finally:
        sys.setswitchinterval(before)
    stored = torch.from_numpy(original["observations"].transpose(0, 3, 1, 2))
    for part in parts:
        torch.testing.assert_close(part, stored[-len(part) :], atol=0, rtol=0)


CASES: dict[str, Callable[[], dict[str, Any]]] = {
    "the original's limit": lambda: rollout([40, 1, 70], limit=149, steps=150),
    "a tail of one-step episodes": lambda: rollout([20], limit=25, steps=40),
    "that all begin alike": lambda: rollout([20], limit=25, steps=40, still=True),
    "nothing but one-step episodes": lambda: rollout([1], limit=0, steps=9, still=True),
    "the last episode goes on": lambda: rollout([15, 15], limit=1000, steps=40),
    "the last episode ends": lambda: rollout([15, 25], limit=1000, steps=40),
    "none ends": lambda: rollout([90], limit=1000, steps=40),
    "one step": lambda: rollout([90], limit=1000, steps=1),
}


@pytest.mark.parametrize("case", CASES)
def test_episodes_are_found(tmp_path, case):
    truth = CASES[case]()
    play = open_cached_play(save(tmp_path / "play.npz", truth))
    np.testing.assert_array_equal(play.episode_starts, truth["starts"])
    ends = np.append(truth["starts"][1:], len(truth["ep_rewards"]) == truth["starts"].sum())
    np.testing.assert_array_equal(play.lengths, np.diff(np.flatnonzero(ends), prepend=-1))
    known = truth["rewards"].copy()
    if not ends[-1]:
        known[-1] = 0  # scores stand before steps: the last reward is in no score
    np.testing.assert_allclose(play.rewards, known)
    assert play.summary()["returns"] == truth["ep_rewards"].tolist()


def test_a_jump_in_the_middle_of_an_episode_is_no_start(original, tmp_path):
    jumping = original["observations"].copy()
    scored = np.flatnonzero(original["score"])
    jumping[scored[len(scored) // 2]] = 0.25
    play = open_cached_play(save(tmp_path / "play.npz", original, observations=jumping))
    # the step after it does not continue it either
    assert scored[len(scored) // 2] + 1 in scored
    np.testing.assert_array_equal(play.episode_starts, original["starts"])


def test_returns_of_episodes_that_were_not_are_said(original, tmp_path):
    assert original["score"][-2] != 0  # so that no tail of one-step episodes explains them
    more = np.append(original["ep_rewards"], 1.0)
    play = open_cached_play(save(tmp_path / "play.npz", original, ep_rewards=more))
    with pytest.raises(ConversionError, match="6 returns, but 5 beginnings"):
        _ = play.rewards


def test_noise_on_the_observations_is_said(original, tmp_path):
    noise = np.random.default_rng(3).normal(0, 0.1, original["observations"].shape)
    noisy = (original["observations"] + noise).astype(np.float32)
    still = np.zeros(150)  # no score either to tell steps from starts
    path = save(tmp_path / "play.npz", original, observations=noisy, score=still)
    play = open_cached_play(path)
    assert play.observations(0, 2).shape == (2, 4, 84, 84)
    with pytest.raises(ConversionError, match=r"play.npz: 5 returns, but 150 beginnings"):
        play.to_recording()


def test_the_middle_axis_of_evolved_agents_is_dropped(original, tmp_path):
    middle = original["representation"][:, None]
    play = open_cached_play(save(tmp_path / "play.npz", original, representation=middle))
    np.testing.assert_array_equal(play.representation, original["representation"])


@pytest.mark.parametrize("algorithm", ["a2c", "impala"])
def test_a_recording_of_it_shows_the_same(file, original, algorithm):
    play = open_cached_play(file, card_of(Path(f"{algorithm}/SeaquestNoFrameskip-v4/{file.name}")))
    recording = play.to_recording(["screens", "frames"])
    assert recording.card.name == f"uber:{algorithm}/Seaquest/2" and recording.game == "Seaquest"
    assert recording.preprocessing.stack_start == "copies"
    seen = original["observations"].transpose(0, 3, 1, 2)
    if algorithm == "impala":  # those that were rounded are bytes again
        seen = np.rint(seen * 255).astype(np.uint8)
    np.testing.assert_array_equal(recording.observations().numpy(), seen)
    some = recording.observations(steps=slice(60, 64)).numpy()
    np.testing.assert_array_equal(some, seen[60:64])
    np.testing.assert_array_equal(recording.screens[60:64, 0], seen[60:64, 3])
    np.testing.assert_array_equal(recording.frames[:, 0], original["frames"])
    np.testing.assert_array_equal(recording.scores[:, 0], original["score"])
    assert recording.returns.tolist() == original["ep_rewards"].tolist()
    assert recording.lengths.sum() == recording.steps == 150
    with pytest.raises(ValueError, match="cannot keep 'actions'"):
        open_cached_play(file).to_recording(["actions"])


@pytest.mark.parametrize(
    "path, name",
    [
        ("zoo/a2c/SeaquestNoFrameskip-v4/model3_400M_rollout.npz", "uber:a2c/Seaquest/3@400M"),
        ("zoo/es/MsPacmanNoFrameskip-v4/model1_final_rollout.npz", "uber:es/MsPacman/1"),
        ("Pong-v4/model1_rollout.npz", "unknown/Pong/1"),
        ("play.npz", "unknown/unknown/1"),
    ],
)
def test_the_name_tells_the_model(path, name):
    assert card_of(Path(path)).name == name


@pytest.mark.parametrize(
    "algorithm, style",
    [("ga", "tf"), ("impala", "np"), ("dqn", "dopamine-zoo"), ("rainbow", "dopamine-zoo")],
)
def test_the_algorithm_tells_how_it_saw(algorithm, style):
    path = Path(f"zoo/{algorithm}/PongNoFrameskip-v4/model1_final_rollout.npz")
    assert card_of(path).preprocessing.name == style


PUBLISHED = {
    "uber:a2c/Seaquest/2": ("tf", "uber/a2c/Seaquest/2@final/model2_final_rollout.npz"),
    "uber:impala/pong/1@400M": ("np", "uber/impala/Pong/1@400M/model1_400M_rollout.npz"),
    "dopamine-lucid:rainbow/Pong/5": (
        "dopamine-zoo",
        "dopamine-lucid/rainbow/Pong/5/model5_final_rollout.npz",
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_name_opens_what_was_published(name, file, original, tmp_path, monkeypatch):
    monkeypatch.setenv("ATARI_ZOO_CACHE", str(tmp_path))
    monkeypatch.delenv("ATARI_ZOO_OFFLINE", raising=False)
    style, place = PUBLISHED[name]
    with Served({f"/{place}": file.read_bytes()}) as server:
        monkeypatch.setenv("ATARI_ZOO_MIRROR", server.url)
        recording = zoo.open_recording(name)
        asked = len(server.requests)
        zoo.open_recording(name)
        assert len(server.requests) == asked > 0  # the cache has it
    assert recording.card.name.startswith(name.split(":")[0])
    assert recording.preprocessing.name == recording.card.preprocessing.name == style
    np.testing.assert_array_equal(recording.ram[:, 0], original["ram"])
    np.testing.assert_array_equal(recording.frames[[7, 3], 0], original["frames"][[7, 3]])
    assert recording.activations["fc"].shape == (150, 1, 512)
    assert recording.returns.tolist() == original["ep_rewards"].tolist()


@pytest.mark.parametrize(
    "name, error, message",
    [
        ("a2c/Seaquest/1", ValueError, r"but of 'uber:a2c/Seaquest/1@final'\); `atari-zoo rec"),
        ("dopamine:iqn/Pong/1", ValueError, "no play of 'dopamine:iqn/Pong/1' was published; `"),
        ("a2c/Pnog/1", FileNotFoundError, "a2c/Pnog/1: no recording is there.*did you mean"),
        ("play.zarr", FileNotFoundError, "play.zarr"),
    ],
)
def test_a_name_without_play_says_so(name, error, message):
    with pytest.raises(error, match=message):
        zoo.open_recording(name)


@pytest.mark.parametrize("start", ["zeros", "copies"])
def test_what_is_written_is_read_again(tmp_path, start):
    network = zoo.load("a2c/Pong/1")
    preprocessing = Preprocessing(stack_start=start, max_frames=320)
    keep = ["screens", "frames"]
    played = zoo.rollout(network, steps=200, envs=1, preprocessing=preprocessing, keep=keep)
    ram = np.arange(200 * 128).reshape(200, 128).astype(np.uint8)
    save_cached_play(played, tmp_path / "play.npz", network, ram)

    arrays = np.load(tmp_path / "play.npz", allow_pickle=False)  # as the original's notebooks do
    assert list(arrays) == KEYS
    seen = played.observations()
    expected = np.array(seen.permute(0, 2, 3, 1)).astype(np.float32) * (1.0 / 255.0)
    np.testing.assert_array_equal(arrays["observations"], expected)
    assert arrays["observations"].dtype == np.float32
    np.testing.assert_array_equal(arrays["frames"], played.frames[:, 0])
    fc = zoo.activations(network, seen, ["fc"])["fc"].numpy()
    np.testing.assert_allclose(arrays["representation"], fc, atol=1e-5)  # other batches
    np.testing.assert_array_equal(arrays["score"], played.scores[:, 0])
    assert arrays["score"].dtype == arrays["ep_rewards"].dtype == np.float64
    np.testing.assert_array_equal(arrays["ram"], ram)

    play = open_cached_play(tmp_path / "play.npz", network.card)
    again = play.to_recording(keep)
    assert again.card == network.card and again.preprocessing.stack_start == start
    for name in ("screens", "frames", "starts", "returns", "lengths"):
        np.testing.assert_array_equal(getattr(again, name), getattr(played, name), name)
    assert played.starts.sum() == 3 and len(again.lengths) == 2 and played.rewards.any()
    np.testing.assert_array_equal(again.rewards[:-1], played.rewards[:-1])
    assert play.summary()["mean"] == played.summary()["mean"]


def test_it_is_written_byte_for_byte_as_numpy_does(tmp_path, random_agent):
    network = random_agent("Pong")
    played = zoo.rollout(network, steps=70, envs=1, keep=["screens"])
    save_cached_play(played, tmp_path / "ours.npz", network)
    arrays = np.load(tmp_path / "ours.npz")
    assert list(arrays) == ["observations", "representation", "score", "ep_rewards"]
    np.savez_compressed(tmp_path / "numpys.npz", **arrays)
    with (
        zipfile.ZipFile(tmp_path / "ours.npz") as ours,
        zipfile.ZipFile(tmp_path / "numpys.npz") as numpys,
    ):
        for name in numpys.namelist():
            assert ours.read(name) == numpys.read(name)
    with pytest.raises(ValueError, match=r"no 'frames' in it; there are observations"):
        _ = open_cached_play(tmp_path / "ours.npz").frames


@pytest.mark.parametrize(
    "envs, keep, layer, message",
    [
        (2, ["screens"], "fc", "has 2 environments; play with envs=1"),
        (1, ["ram"], "fc", r"record with keep=\['screens', 'frames'\]"),
        (1, ["screens"], "fc9", "fc9"),
    ],
)
def test_what_cannot_be_written_is_said(tmp_path, random_agent, envs, keep, layer, message):
    network = random_agent("Pong")
    played = zoo.rollout(network, steps=3, envs=envs, keep=keep)
    with pytest.raises(ValueError, match=message):
        save_cached_play(played, tmp_path / "play.npz", network, layer=layer)
    assert not list(tmp_path.iterdir())  # no partial file


READER = """
import sys
from pathlib import Path
from atari_zoo.recordings.original_play import open_cached_play

def most():  # MiB that the process ever took
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024

before = most()
play = open_cached_play(sys.argv[1])
assert play.steps == 2501
assert play.observations(1200, 1300).shape == (100, 4, 84, 84)
assert play.frames[1200:1300].shape == (100, 210, 160, 3)
print(most() - before)
play.to_recording()
print(most() - before)
"""


def test_a_part_costs_no_more_than_a_part(tmp_path):
    """2501 steps are 282 MB of observations and 252 MB of frames."""
    card, random = zoo.list_models(game="Pong")[0], np.random.default_rng(4)
    screens = np.zeros((2501, 1, 84, 84), np.uint8)
    screens[np.arange(2501)[:, None], 0, random.integers(84, size=(2501, 40)), 1:41] = 255
    starts = np.arange(2501)[:, None] == 0
    frames = np.zeros((2501, 1, 210, 160, 3), np.uint8)
    arrays = {"screens": screens, "starts": starts, "colours": frames}
    played = Recording(Header(card, "Pong", Preprocessing()), arrays)
    played.rewards = np.zeros((2501, 1))
    save_cached_play(played, tmp_path / "play.npz")
    command = [sys.executable, "-c", READER, str(tmp_path / "play.npz")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    part, whole = map(float, done.stdout.split())
    assert part < 64 and whole < 120  # 17 MiB of screens, and what concatenating them takes


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def npz(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


class Explosive:
    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('unpickled')",)


SMALL = rollout([3], limit=1000, steps=5)
MEMBERS = {key: npy(SMALL[key]) for key in KEYS}
OBSERVATIONS = MEMBERS["observations"]


def with_member(name: str, content: bytes | np.ndarray) -> bytes:
    return npz(MEMBERS | {name: content if isinstance(content, bytes) else npy(content)})


def directory_says(data: bytes, offset: int, value: int) -> bytes:
    """A field of the first member's entry in the archive's directory (APPNOTE.TXT 4.3.12)."""
    entry = data.index(b"PK\1\2") + offset
    return data[:entry] + struct.pack("<I", value) + data[entry + 4 :]


def flipped(data: bytes) -> bytes:
    """One bit is another in the middle of the observations."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        packed = archive.getinfo("observations.npy").compress_size
    place = data.index(b"observations.npy") + len("observations.npy") + packed // 2
    return data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]


def bad() -> dict[str, tuple[bytes, str]]:
    whole, stored = npz(MEMBERS), npz(MEMBERS, zipfile.ZIP_STORED)
    header = OBSERVATIONS.replace(b"(5, 84", b"(6, 84")
    hidden = directory_says(
        directory_says(with_member("observations", OBSERVATIONS + b"more"), 24, len(OBSERVATIONS)),
        16,
        zlib.crc32(OBSERVATIONS),
    )
    return {
        "no zip": (b"not a zip archive", "not a whole zip archive"),
        "empty": (b"", "not a whole zip archive"),
        "cut in half": (whole[: len(whole) // 2], "cut short"),
        "cut at its end": (whole[:-5], "not a whole zip archive"),
        "a bit": (flipped(whole), "'observations.npy' in the archive"),
        "a bit where nothing is packed": (flipped(stored), "another checksum or size"),
        "twins": (whole + b"", "twins"),
        "encrypted": (directory_says(whole, 8, 1 | 8 << 16), "without a password"),
        "another method": (npz(MEMBERS, zipfile.ZIP_BZIP2), "neither of zip's two"),
        "a bomb": (directory_says(whole, 24, 2**32 - 2), "more than"),
        "longer than told": (directory_says(whole, 24, len(OBSERVATIONS) + 4), "bytes, but has"),
        "longer than told, its sum right": (hidden, "another checksum or size"),
        "header says more": (with_member("observations", header), "(6, 84, 84, 4) of float32"),
        "content has more": (with_member("score", MEMBERS["score"] + b"0" * 8), "bytes, but has"),
        "no npy": (with_member("score", b"text"), "'score.npy' is no .npy file"),
        "objects": (with_member("score", np.array([Explosive()] * 5, object)), "holds object"),
        "texts": (with_member("score", np.array(["one"] * 5)), "holds <U3"),
        "fortran": (with_member("ram", np.asfortranarray(SMALL["ram"])), "Fortran's order"),
        "a number": (with_member("score", np.array(5.0)), "has the shape ()"),
        "a lack": (npz({"score": MEMBERS["score"]}), "lacks 'observations'"),
        "no steps": (with_member("observations", SMALL["observations"][:0]), "0 steps"),
        "other sizes": (
            with_member("observations", np.zeros((5, 96, 96, 4), np.float32)),
            "'observations' is 96x96x4 a step; expected 84x84x4",
        ),
        "other types": (with_member("frames", SMALL["frames"].astype(np.int64)), "is int64; uint8"),
        "fewer": (with_member("score", np.zeros(4)), "5 observations, but 'score' has 4 rows"),
        "more ends": (with_member("ep_rewards", np.zeros(6)), "'ep_rewards' has 6 rows"),
    }


@pytest.mark.parametrize("case", list(bad()))
def test_a_damaged_file_gets_one_clear_line(tmp_path, case):
    content, message = bad()[case]
    path = tmp_path / "play.npz"
    path.write_bytes(content)
    if case == "twins":
        with (
            pytest.warns(UserWarning, match="Duplicate"),
            zipfile.ZipFile(path, "a") as archive,
        ):
            archive.writestr("score.npy", MEMBERS["score"])
    for _ in range(2):  # the second time as well
        with pytest.raises(ConversionError, match=re.escape(message)) as caught:
            read_all(open_cached_play(path))
        assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_a_checksum_that_failed_fails_again(tmp_path):
    (tmp_path / "play.npz").write_bytes(flipped(npz(MEMBERS, zipfile.ZIP_STORED)))
    for _ in range(2):
        with pytest.raises(ConversionError, match="checksum"):
            open_cached_play(tmp_path / "play.npz").observations(4, 5)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_cached_play(tmp_path / "none.npz")


def test_mutated_files_are_read_or_refused(tmp_path):
    random, path = Random(5), tmp_path / "play.npz"
    refusals = []
    archives = [npz(MEMBERS), npz(MEMBERS, zipfile.ZIP_STORED)]
    for case in range(400):
        path.write_bytes(mutated(archives[case % 2], random))
        try:
            read_all(open_cached_play(path))
        except ConversionError as error:
            refusals.append(str(error))
    assert len(refusals) > 200 and not any("\n" in refusal for refusal in refusals)


def read_all(play: CachedPlay) -> None:
    play.observations()
    for name in ("frames", "ram", "representation", "score", "returns"):
        if name in ("score", "returns", *play.names):
            np.asarray(getattr(play, name))
