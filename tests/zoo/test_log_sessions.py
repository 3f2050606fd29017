"""Logs of runs that were stopped, resumed or damaged, beside the libraries that wrote them."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path

import numpy as np
import pandas
import pytest
from stable_baselines3.common.monitor import ResultsWriter, load_results
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from atari_zoo.logs.logs import LogError, training_log

TAG = "rollout/ep_rew_mean"


def test_columns_are_those_of_all_rows(tmp_path: Path) -> None:
    rows = [  # the value trainers' first update comes after some rows
        {"frames": 40064, "seconds": 5.0, "score": None, "episodes": 0, "updates": 0},
        {"frames": 80128, "seconds": 9.0, "score": -20.5, "episodes": 9, "loss": 0.5, "updates": 7},
        {"frames": 120192, "score": -20.0, "episodes": 9, "q": 0.25, "updates": 9},
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found, theirs = training_log(tmp_path), pandas.DataFrame(rows)
    assert set(found) == {"algorithm", "game", "run", *theirs}
    for column in theirs:
        np.testing.assert_array_equal(found[column], theirs[column].astype(float))
    (tmp_path / "log.jsonl").write_text(
        "".join(json.dumps({"frames": n, "score": 0, f"column{n}": n}) + "\n" for n in range(300))
    )
    with pytest.raises(LogError, match="302 columns; at most 256"):
        training_log(tmp_path)


def monitored(folder: Path, copy: int, rows: list[tuple[float, int, float]], **how: bool) -> None:
    """What Stable-Baselines3's own writer makes of episodes' returns, steps and seconds."""
    folder.mkdir(exist_ok=True)
    header = {"t_start": 1000.0 + copy, "env_id": "PongNoFrameskip-v4"}
    writer = ResultsWriter(str(folder / str(copy)), header, **how)
    for r, l, t in rows:  # noqa: E741
        writer.write_row({"r": r, "l": l, "t": t})
    writer.close()


def test_sessions_that_follow_one_another_keep_their_order(tmp_path: Path) -> None:
    first = [(1.0, 10, 5.0), (2.0, 10, 9.0)], [(3.0, 10, 6.0), (4.0, 10, 11.0)]
    again = [(5.0, 10, 1.0), (7.0, 10, 12.0)], [(6.0, 10, 2.0)]
    for copy in (0, 1):
        monitored(tmp_path, copy, first[copy])
    # one session: theirs is right
    assert training_log(tmp_path)["return"].tolist() == load_results(str(tmp_path))["r"].tolist()
    for copy in (0, 1):
        monitored(tmp_path, copy, again[copy], override_existing=False)
    found = training_log(tmp_path)
    # copy 1 began a second later: 5, 7, 9, 12; the second session began when the first was over
    assert found["return"].tolist() == [1, 3, 2, 4, 5, 6, 7]
    assert found["seconds"].tolist() == [5, 7, 9, 12, 13, 14, 24]
    assert found["frames"].tolist() == list(range(10, 80, 10))


def test_a_clock_that_was_set_back_begins_no_session(tmp_path: Path) -> None:
    monitored(tmp_path, 0, [(1.0, 10, 50.0), (2.0, 10, 49.0), (3.0, 10, 60.0)])
    monitored(tmp_path, 1, [(4.0, 10, 55.0)])
    found = training_log(tmp_path)
    assert found["return"].tolist() == [1, 2, 4, 3]
    assert found["seconds"].tolist() == [50, 50, 56, 60]


@pytest.mark.parametrize("kind", ["csv", "csv with a space", "json"])
def test_the_monitors_of_baselines(tmp_path: Path, kind: str) -> None:
    """baselines/bench/monitor.py: its `load_results`, here in short, reads a header after "#"."""
    header = json.dumps({"t_start": 1.5e9, "gym_version": "0.9", "env_id": "PongNoFrameskip-v4"})
    rows = [{"r": -21.0, "l": 3056, "t": 5.5}, {"r": -20.0, "l": 3300, "t": 9.5}]
    if kind == "json":
        name, text = "0.monitor.json", "\n".join([header, *map(json.dumps, rows), ""])
    else:
        start = "# {} \n" if "space" in kind else "#{}\n"
        body = io.StringIO()
        pandas.DataFrame(rows).to_csv(body, index=False)
        name, text = "0.0.monitor.csv", start.format(header) + body.getvalue()
    (tmp_path / name).write_text(text)
    (tmp_path / f"0.1.{name[-11:]}").touch()  # a copy that had not begun
    for place in (tmp_path, tmp_path / name):
        found = training_log(place)
        assert found[["frames", "score"]].to_numpy().tolist() == [[3056, -21.0], [6356, -20.5]]
        assert found["seconds"].tolist() == [5.5, 9.5] and set(found["game"]) == {"Pong"}


def test_evaluations_whose_steps_begin_again(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "evaluations.npz",
        timesteps=np.array([100, 200, 100, 200, 50]),  # three calls of `learn`
        results=np.arange(10.0).reshape(5, 2),
    )
    found = training_log(tmp_path / "evaluations.npz")
    assert found["frames"].tolist() == [400, 800, 1200, 1600, 1800]
    assert found["score"].tolist() == [0.5, 2.5, 4.5, 6.5, 8.5]


def events(*events: Event) -> bytes:
    """An event file, by TensorBoard's own writer."""
    content = io.BytesIO()
    writer = RecordWriter(content)
    for event in events:
        writer.write(event.SerializeToString())
    return content.getvalue()


def scalar(step: int, value: float, tag: str = TAG) -> Event:
    return Event(
        step=step,
        wall_time=step,
        summary=Summary(value=[Summary.Value(tag=tag, simple_value=value)]),
    )


def tensorboards(folder: Path, tag: str = TAG) -> list[tuple[int, float]]:
    theirs = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    return [(event.step, event.value) for event in theirs.Reload().Scalars(tag)]


def ours(folder: Path) -> list[tuple[int, float]]:
    found = training_log(folder)
    return list(zip((found["frames"] // 4).tolist(), found["score"].tolist(), strict=True))


VERSION = Event(file_version="brain.Event:2")
OLD = Event(file_version="brain.Event:1")
START = Event(step=250)
START.session_log.status = 1
SESSIONS = {
    "purged": [[VERSION, scalar(100, 1), scalar(200, 2), scalar(300, 3)],
               [VERSION, START, scalar(250, 4), scalar(350, 5)]],
    "resumed without a purge": [[VERSION, scalar(100, 1), scalar(300, 3)],
                                [VERSION, scalar(200, 4), scalar(300, 5)]],
    "purged twice": [[VERSION, scalar(100, 1), scalar(300, 3), START, scalar(260, 2)],
                     [VERSION, START, scalar(300, 5)]],
    "the first version": [[OLD, scalar(100, 1), scalar(200, 2), scalar(300, 3)],
                          [OLD, scalar(150, 4), scalar(350, 5)]],
    "the first version, another curve": [[OLD, scalar(100, 1), scalar(300, 3)],
                                         [OLD, scalar(150, 4, "loss"), scalar(350, 5)]],
}  # fmt: skip


@pytest.mark.parametrize("case", SESSIONS)
def test_steps_done_again_are_as_in_tensorboard(tmp_path: Path, case: str) -> None:
    for number, session in enumerate(SESSIONS[case]):
        (tmp_path / f"events.out.tfevents.{number}").write_bytes(events(*session))
    assert ours(tmp_path) == tensorboards(tmp_path)


def test_the_purge_of_torchs_writer(tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    for session, purge in enumerate((None, 30)):
        with SummaryWriter(str(tmp_path), purge_step=purge, filename_suffix=str(session)) as writer:
            for step in range(30 * session, 60, 10):
                writer.add_scalar(TAG, 100 * session + step, step)
    assert ours(tmp_path) == tensorboards(tmp_path)
    assert [step for step, _ in ours(tmp_path)] == list(range(0, 60, 10))


@pytest.mark.parametrize("where", ["value", "length", "its checksum"])
def test_a_damaged_record_ends_a_file_as_in_tensorboard(tmp_path: Path, where: str) -> None:
    file = tmp_path / "events.out.tfevents.1"
    content = bytearray(events(VERSION, scalar(100, 1), scalar(200, 2), scalar(300, 3)))
    value = content.rfind(struct.pack("<f", 2.0))
    start = content.rfind(TAG.encode(), 0, value)
    record = events(VERSION, scalar(100, 1))  # what is before the damaged one
    assert len(record) < start
    place = {"value": value + 3, "length": len(record), "its checksum": len(record) + 8}[where]
    content[place] ^= 0x10
    file.write_bytes(content)
    theirs = [e for e in LegacyEventFileLoader(str(file)).Load() if e.HasField("summary")]
    assert len(theirs) == 1
    with pytest.warns(UserWarning, match="a damaged record; it and the 1.. bytes from there"):
        assert ours(tmp_path) == [(100, 1.0)]


def test_a_last_record_that_is_not_whole_is_passed_over(tmp_path: Path) -> None:
    whole = events(VERSION, scalar(100, 1), scalar(200, 2))
    (tmp_path / "events.out.tfevents.1").write_bytes(whole[:-3])  # it is being written
    assert ours(tmp_path) == tensorboards(tmp_path) == [(100, 1.0)]
