"""Training logs of every program, against what that program or a plain loop makes of them."""

from __future__ import annotations

import io
import json
import math
import pickle
import random
import zipfile
from importlib import resources
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas
import pytest
from log_files import (
    HOUR,
    dopamine_statistics,
    original_rows,
    write_dopamine,
    write_evaluations,
    write_monitors,
    write_original,
    write_run,
)

from atari_zoo.catalog.names import UnknownModel
from atari_zoo.downloads.downloads import DownloadError
from atari_zoo.logs.logs import LogError, logged, training_log
from atari_zoo.logs.places import told_by

FIRST = ["algorithm", "game", "run", "frames", "seconds", "score", "episodes"]


def check_common(table: pandas.DataFrame) -> None:
    assert list(table.columns[:7]) == FIRST
    assert table["frames"].dtype == np.int64
    assert all(table[column].dtype == np.float64 for column in FIRST[4:])
    assert all(isinstance(value, str) for column in FIRST[:3] for value in table[column])
    assert list(table.index) == list(range(len(table)))


def named(table: pandas.DataFrame) -> set[tuple[str, str, str]]:
    return set(zip(table["algorithm"], table["game"], table["run"], strict=True))


def test_a_starter_agent_by_its_name() -> None:
    table = training_log("a2c/pong/1")
    check_common(table)
    file = resources.files("atari_zoo").joinpath("data/agents/a2c-Pong-1.log.jsonl")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for column in rows[0]:
        expected = [math.nan if row[column] is None else row[column] for row in rows]
        np.testing.assert_array_equal(table[column], expected)
    assert named(table) == {("a2c", "Pong", "1")}
    assert "a2c/Pong/1" in logged("Pong", "a2c") and not logged("Pong", "acktr")


def test_a_run_of_the_trainer_by_its_folder_or_file(tmp_path: Path) -> None:
    run = tmp_path / "a2c-Pong-9"
    rows = write_run(run)
    with (run / "log.jsonl").open("a") as file:
        file.write('{"frames": 13000, "sec')  # the machine stopped
    for source in (run, run / "log.jsonl", str(run)):
        table = training_log(source)
        check_common(table)
        assert list(table["frames"]) == [row["frames"] for row in rows]
        np.testing.assert_array_equal(table["entropy"], [row["entropy"] for row in rows])
        assert math.isnan(table["score"][0]) and table["score"][1] == -19
        assert named(table) == {("a2c", "Pong", "3")}  # the configuration's seed
        assert table.attrs["source"] == str(source)


def without_pauses(times: list[float]) -> list[float]:
    """The original's loop (atari_zoo/log.py), with positions where it mixes labels and them."""
    times = sorted(times)
    while True:
        gaps = [later - earlier for earlier, later in pairwise(times)]
        if not gaps or max(gaps) <= 3 * HOUR:
            return times
        place = gaps.index(max(gaps))
        for row in range(place + 1, len(times)):
            times[row] -= gaps[place]


@pytest.mark.parametrize("gaps", [(), (1,), (20, 41), (5, 6, 7), (59,)])
def test_the_original_zoo(tmp_path: Path, gaps: tuple[int, ...]) -> None:
    rows = original_rows(seed=len(gaps), gaps=gaps)
    path = tmp_path / "zoo" / "apex" / "checkpoints" / "SeaquestNoFrameskip-v4_3_log.json"
    table = training_log(write_original(path, rows))
    check_common(table)
    kept = sorted((row for row in rows if row["initial"] == 0), key=lambda row: row["time"])
    assert list(table["frames"]) == [row["frames"] for row in kept]
    assert list(table["fname"]) == [row["fname"] for row in kept]
    scores = [math.nan if row["score"] is None else row["score"] for row in kept]
    np.testing.assert_array_equal(table["score"], scores)
    # sums of some 60 float64 numbers below 1e6, in another order
    expected = without_pauses([row["time"] for row in kept])
    np.testing.assert_allclose(table["seconds"], expected, atol=1e-6)
    assert np.diff(table["seconds"]).max() <= 3 * HOUR
    assert named(table) == {("apex", "Seaquest", "3")} and "time" not in table


def test_dopamine(tmp_path: Path) -> None:
    run = tmp_path / "rainbow" / "Pong" / "2"
    data = write_dopamine(run, list(range(12)))
    (run / "logs" / "log_9").write_bytes(b"older")  # by number, not by name, 11 is the latest
    for source in (run, run / "logs", run / "logs" / "log_11"):
        table = training_log(source)
        check_common(table)
        frames, seconds = 0, 0.0
        for row, (name, of) in zip(table.itertuples(), data.items(), strict=True):
            steps = sum(of["train_episode_lengths"])
            frames += 4 * steps
            seconds += steps / of["train_average_steps_per_second"][0]
            assert row.frames == frames and row.seconds == pytest.approx(seconds)
            assert row.score == pytest.approx(of["train_average_return"][0])
            assert row.episodes == len(of["train_episode_returns"])
            assert row.evaluation == of["eval_average_return"][0]
            assert name == f"iteration_{row.iteration}"
        assert named(table) == {("rainbow", "Pong", "2")}


def test_an_iteration_that_dopamine_lost_counts_as_long_as_the_others(tmp_path: Path) -> None:
    write_dopamine(tmp_path / "run", [0, 1, 3])
    table = training_log(tmp_path / "run")
    steps = [sum(of["train_episode_lengths"]) for of in dopamine_statistics([0, 1, 3]).values()]
    assert table["frames"].iloc[-1] == int(4 * (sum(steps) + sum(steps) / 3))
    assert list(table["iteration"]) == [0, 1, 3]


@pytest.mark.parametrize("layout", ["run after run", "side by side"])
def test_dopamines_published_baselines(tmp_path: Path, layout: str) -> None:
    rows = [
        {"Iteration": iteration, "Value": 100.0 * run + iteration, "Agent": agent}
        for agent in ("DQN", "Rainbow", "DQN (Adam + MSE in JAX)")
        for run in (1, 2, 3)
        for iteration in range(4)
    ]
    if layout == "side by side":
        rows.sort(key=lambda row: row["Iteration"])
    (tmp_path / "airraid.json").write_text(json.dumps(rows, indent=1))
    table = training_log(tmp_path / "airraid.json")
    check_common(table)
    agents = {"dqn", "rainbow", "DQN (Adam + MSE in JAX)"}
    assert named(table) == {(agent, "AirRaid", run) for agent in agents for run in "123"}
    for (_, run), of in table.groupby(["algorithm", "run"]):
        assert list(of["score"]) == [100.0 * int(run) + iteration for iteration in range(4)]
        # an iteration is 250,000 steps of 4 frames, and its row stands at its end
        assert list(of["frames"]) == [1_000_000, 2_000_000, 3_000_000, 4_000_000]


@pytest.fixture(scope="module")
def monitors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs") / "ppo" / "PongNoFrameskip-v4_1"
    folder.mkdir(parents=True)
    write_monitors(folder)
    return folder


def test_stable_baselines3_monitors(monitors: Path) -> None:
    from stable_baselines3.common.monitor import load_results

    table = training_log(monitors)
    check_common(table)
    theirs = load_results(str(monitors))
    np.testing.assert_array_equal(table["return"], theirs["r"])
    np.testing.assert_array_equal(table["frames"], np.cumsum(theirs["l"]))  # NoFrameskip
    # theirs count from the first copy's start too; both subtract times of 2e9 s
    np.testing.assert_allclose(table["seconds"], theirs["t"], atol=1e-5)
    means = [np.mean(theirs["r"][max(0, n - 99) : n + 1]) for n in range(len(theirs))]
    np.testing.assert_allclose(table["score"], means, atol=1e-12)
    assert named(table) == {("ppo", "Pong", "1")}
    alone = training_log(monitors / "0.monitor.csv")
    assert len(alone) == 7 and alone["frames"].iloc[-1] == table["length"].sum() / 2


def test_the_score_of_single_episodes_is_of_the_last_hundred(tmp_path: Path) -> None:
    returns = np.random.default_rng(0).normal(size=250)
    lines = [f"{value},10,{n}.5" for n, value in enumerate(returns)]
    header = '#{"t_start": 5.0, "env_id": "ALE/Breakout-v5"}\nr,l,t\n'
    (tmp_path / "monitor.csv").write_text(header + "\n".join([*lines, "1,2"]))  # cut short
    table = training_log(tmp_path / "monitor.csv")
    expected = [returns[max(0, n - 99) : n + 1].mean() for n in range(250)]
    np.testing.assert_allclose(table["score"], expected, atol=1e-10)
    assert list(table["episodes"][[0, 98, 99, 249]]) == [1, 99, 100, 100]
    # ALE/...-v5 repeats each action four times itself
    assert list(table["frames"]) == [40 * (n + 1) for n in range(250)]
    assert named(table) == {("unknown", "Breakout", "1")}


def test_stable_baselines3_evaluations_and_rl_zoos_archive(tmp_path: Path, monitors: Path) -> None:
    callback = write_evaluations(tmp_path)
    table = training_log(tmp_path / "evaluations.npz")
    check_common(table)
    assert len(table) == len(callback.evaluations_results) > 1
    np.testing.assert_array_equal(table["frames"], 4 * np.array(callback.evaluations_timesteps))
    expected = [sum(of) / 3 for of in callback.evaluations_results]
    np.testing.assert_allclose(table["score"], expected, atol=1e-12)
    assert set(table["episodes"]) == {3} and table["seconds"].isna().all()
    archive = tmp_path / "train_eval_metrics.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(tmp_path / "evaluations.npz", "evaluations.npz")
    pandas.testing.assert_frame_equal(training_log(archive), table)
    with zipfile.ZipFile(archive, "a") as file:
        for monitor in monitors.iterdir():
            file.write(monitor, monitor.name)
    assert list(training_log(archive)["return"]) == list(training_log(monitors)["return"])


def test_tensorboard_as_cleanrl_writes_it(tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    folder = tmp_path / "BreakoutNoFrameskip-v4__dqn_atari__1__1676"
    with SummaryWriter(str(folder)) as writer:
        writer.add_text("hyperparameters", "|a|b|")
        for n in range(150):
            writer.add_scalar("losses/td_loss", 0.5, 10 * n)
            writer.add_scalar("charts/episodic_return", n % 7, 10 * n, walltime=1000 + 3 * n)
    table = training_log(folder)
    check_common(table)
    returns = [n % 7 for n in range(150)]
    assert list(table["return"]) == returns and list(table["frames"]) == list(range(0, 6000, 40))
    assert list(table["seconds"]) == list(range(0, 450, 3))
    assert table["score"].iloc[-1] == pytest.approx(np.mean(returns[-100:]))
    assert named(table) == {("dqn", "Breakout", "1")}


def floats_in_tensors() -> bytes:
    """An event file whose tensors hold their numbers one by one, as TensorBoard makes them."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.util.tensor_util import make_tensor_proto

    events = [Event(file_version="brain.Event:2")]
    for step in (100, 200):
        tensor = make_tensor_proto(np.float32(step / 10))
        value = Summary.Value(tag="rollout/ep_rew_mean", tensor=tensor)
        events.append(Event(step=step, wall_time=step, summary=Summary(value=[value])))
    return recorded(*(event.SerializeToString() for event in events))


def recorded(*contents: bytes) -> bytes:
    """An event file, by TensorBoard's own writer."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    file = io.BytesIO()
    for content in contents:
        RecordWriter(file).write(content)
    return file.getvalue()


def test_tensorboard_as_stable_baselines3_and_tensorflow_write_it(tmp_path: Path) -> None:
    import tensorflow as tf
    from stable_baselines3.common.logger import TensorBoardOutputFormat

    theirs = TensorBoardOutputFormat(str(tmp_path / "PPO_1"))
    for step in (100, 200):
        theirs.write({"rollout/ep_rew_mean": step / 10}, {"rollout/ep_rew_mean": ()}, step)
    theirs.close()
    writer = tf.summary.create_file_writer(str(tmp_path / "tensors"))
    with writer.as_default():
        for step in (100, 200):
            tf.summary.scalar("rollout/ep_rew_mean", step / 10, step=step)
    writer.close()
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "events.out.tfevents.1").write_bytes(floats_in_tensors())
    for folder in ("PPO_1", "tensors", "plain"):
        table = training_log(tmp_path / folder)
        assert list(table["score"]) == [10, 20] and list(table["frames"]) == [400, 800]
    assert set(training_log(tmp_path / "PPO_1")["algorithm"]) == {"ppo"}


PLACES = {
    "zoo/apex/checkpoints/SeaquestNoFrameskip-v4_3_log.json": ("apex", "Seaquest", "3"),
    "lucid/rainbow/MsPacman/5/logs/log_199": ("rainbow", "MsPacman", "5"),
    "jax/implicit_quantile/Pong/2/logs/log_9": ("iqn", "Pong", "2"),
    "logs/ppo/BreakoutNoFrameskip-v4_12/0.monitor.csv": ("ppo", "Breakout", "12"),
    "runs/BreakoutNoFrameskip-v4__c51_atari__4__1676392/events.out.tfevents.1": (
        "c51", "Breakout", "4",
    ),
    "runs/a2c-Pong-1/log.jsonl": ("a2c", "Pong", "1"),
    "agents/a2c-SpaceInvaders-2.log.jsonl": ("a2c", "SpaceInvaders", "2"),
    "baselines/atari/data/spaceinvaders.json": ("", "SpaceInvaders", ""),
    "ms_pacman/dqn/monitor.csv": ("dqn", "MsPacman", ""),
    "tmp/monitor.csv": ("", "", ""),
}  # fmt: skip


@pytest.mark.parametrize("path", PLACES)
def test_what_the_place_of_a_log_tells(path: str) -> None:
    told = told_by(PurePosixPath("/") / path)
    parts = tuple(told.get(part, "") for part in ("algorithm", "game", "run"))
    assert parts == PLACES[path]


def test_a_log_of_a_collection_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATARI_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ATARI_ZOO_MIRROR", str(tmp_path / "mirror"))
    place = tmp_path / "mirror" / "uber" / "a2c" / "Pong" / "2" / "PongNoFrameskip-v4_2_log.json"
    write_original(place, original_rows())
    table = training_log("uber:a2c/Pong/2@400M")
    assert named(table) == {("a2c", "Pong", "2")} and len(table) == 60
    assert table.attrs == {"source": "uber:a2c/Pong/2@400M", "collection": "uber"}
    monkeypatch.setenv("ATARI_ZOO_OFFLINE", "1")
    assert len(training_log("uber:a2c/Pong/2")) == 60  # it is in the cache now
    with pytest.raises(DownloadError, match="ATARI_ZOO_OFFLINE"):
        training_log("uber:a2c/Pong/3")


class Evil:
    def __reduce__(self) -> Any:
        import os

        return os.system, ("false",)


def npz(**arrays: Any) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def zipped(name: str, content: bytes, size: int = 0) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content + bytes(size))
    return file.getvalue()


HEADER = b'#{"t_start": 1.0, "env_id": "PongNoFrameskip-v4"}\n'
BAD = {
    "empty": (b"", "the file is empty"),
    "another file": (b"\x7fELF and so on", "not a training log"),
    "a list of checkpoints": (b'[{"criteria": "1HR", "best_checkpoint": null}]', "not a training"),
    "run: damaged line": (b'{"frames": 1, "score": 2}\n{"frames\n', "damaged JSON"),
    "run: no score": (b'{"frames": 1}\n', "no column 'score'"),
    "run: nothing but a torn line": (b'{"frames": 1, "score": 2}', "no rows"),
    "run: a list": (b'{"frames": 1, "score": 2}\n[1]\n', "a list of objects"),
    "run: text": (b'{"frames": 1, "score": "high"}\n', "column 'score' has 'high' in row 1"),
    "run: no frames": (b'{"frames": null, "score": 1}\n', "count no frames"),
    "run: too many frames": (b'{"frames": 1e300, "score": 1}\n', "count no frames"),
    "run: a huge number": (b'{"frames": 1, "score": 1%s}\n' % (b"0" * 400), "too large in row 1"),
    "run: nested": (b'{"frames": 1, "score": 1, "x": [1]}\n', "column 'x' has lists"),
    "original: cut": (b'[{"frames": 1, "time": 2, "score": 3}, {"fr', "cut short"),
    "original: no time": (b'[{"frames": 1, "time": null, "score": 3}]', "without a time"),
    "original: before training only": (
        b'[{"frames": 1, "time": 2, "score": 3, "initial": 1}]', "no rows of training",
    ),
    "original: deep": (
        b'[{"frames": 1, "time": 2, "score": %s]' % (b"[" * 100_000), "RecursionError",
    ),
    "baselines: text": (b'[{"Agent": "DQN", "Iteration": "x", "Value": 1}]', "'x' in row 1"),
    "dopamine: code": (pickle.dumps({"iteration_0": Evil()}), "would run code"),
    "dopamine: cut": (pickle.dumps(dopamine_statistics([0, 1]))[:-20], "cut short"),
    "dopamine: a list": (pickle.dumps(["iteration_0"]), "a dictionary of iterations"),
    "dopamine: another key": (pickle.dumps({"iteration_x": {}}), "no iteration of Dopamine"),
    "dopamine: far": (pickle.dumps({"iteration_999999999": {}}), "more than 100000"),
    "dopamine: text": (
        pickle.dumps({"iteration_0": {"train_episode_lengths": ["a"]}}), "are no numbers",
    ),
    "monitor: header": (b'#{"t_start": \nr,l,t\n', "first line is damaged"),
    "monitor: no rows": (HEADER + b"r,l,t\n", "no rows of training"),
    "monitor: text": (HEADER + b"r,l,t\n1,2,x\n", "rows of r, l, t are damaged"),
    "monitor: columns": (HEADER + b"a,b\n1,2\n", "rows of r, l, t are damaged"),
    "monitor: missing": (HEADER + b"r,l,t\n1,2\n", "numbers missing"),
    "monitor: nothing": (HEADER, "rows of r, l, t are damaged"),
    "npz: no results": (npz(timesteps=np.arange(3)), "no array 'results'"),
    "npz: shapes": (npz(timesteps=np.arange(3), results=np.zeros((2, 5))), "do not agree"),
    "npz: objects": (
        npz(timesteps=np.array([{}]), results=np.zeros((1, 5))), "damaged, or cut short",
    ),
    "npz: cut": (npz(timesteps=np.arange(99), results=np.zeros((99, 5)))[:600], "cut short"),
    "npz: a bomb": (zipped("timesteps.npy", b"", 70 << 20), "73 MB when unpacked"),
    "zip: a bomb": (zipped("0.monitor.csv", HEADER, 70 << 20), "73 MB when unpacked"),
    "zip: nothing": (zipped("old/evaluations.npz", b""), "neither a monitor.csv"),
    "events: no returns": (recorded(b"\x1a\rbrain.Event:2"), "no curve"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_gets_one_clear_line(tmp_path: Path, case: str) -> None:
    content, message = BAD[case]
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(LogError, match=r"^[^\n]+$") as caught:
        training_log(path)
    assert message in str(caught.value) and str(caught.value).startswith(str(path))


def test_what_is_not_there_or_too_large(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match="no file or model"):
        training_log("missing.csv")
    with pytest.raises(UnknownModel, match="did you mean 'a2c/Pong/1'"):
        training_log("a2c/Pnog/1")
    with pytest.raises(LogError, match="a folder without a training log"):
        training_log(tmp_path)
    with pytest.raises(LogError, match="no training log of 'cleanrl:dqn/Pong/1' was published"):
        training_log("cleanrl:dqn/Pong/1")
    with (tmp_path / "monitor.csv").open("wb") as file:
        file.write(HEADER)
        file.truncate(80 << 20)  # a hole, which takes no room
    with pytest.raises(LogError, match="84 MB are too large"):
        training_log(tmp_path)


def test_damage_anywhere_is_an_error_of_ours_or_none(tmp_path: Path, monitors: Path) -> None:
    write_dopamine(tmp_path / "run", [0, 1])
    samples = [
        (monitors / "0.monitor.csv").read_bytes(),
        (tmp_path / "run" / "logs" / "log_1").read_bytes(),
        json.dumps(original_rows(rows=5)).encode(),
        npz(timesteps=np.arange(9), results=np.zeros((9, 5))),
        zipped("0.monitor.csv", (monitors / "0.monitor.csv").read_bytes()),
    ]
    dice = random.Random(0)
    path = tmp_path / "damaged"
    refused = 0
    for content in samples:
        for _ in range(25):
            damaged = bytearray(content[: dice.randrange(40, len(content) + 1)])
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
            path.write_bytes(damaged)
            try:
                check_common(training_log(path))
            except LogError:
                refused += 1
    assert refused > 40
