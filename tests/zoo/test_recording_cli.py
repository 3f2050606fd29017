"""`atari-zoo record` where it cannot go on: a full disk, Ctrl-C; and going on afterwards."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import atari_zoo as zoo
from atari_zoo.converters import ConversionError

RECORD = ["record", "dqn/Seaquest/1", "--keep", "outputs"]
WORDS = [sys.executable, "-m", "atari_zoo", *RECORD]
LITTLE_ROOM = """\
import resource, runpy
resource.setrlimit(resource.RLIMIT_FSIZE, (14_500, 14_500))  # less than the second chunk takes
runpy.run_module("atari_zoo", run_name="__main__")
"""


def safe(path: Path) -> int:
    """How many steps of a recording are on the disk."""
    try:
        return len(zoo.open_recording(path).starts)
    except (OSError, ConversionError):
        return 0


def test_what_was_recorded_before_the_disk_was_full_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "play.zarr"
    words = [*RECORD, "--steps", "200", "--envs", "4", "-o", str(path)]
    limited = [sys.executable, "-c", LITTLE_ROOM, *words]
    full = subprocess.run(limited, capture_output=True, text=True)
    assert full.returncode == 2 and len(full.stderr.strip().splitlines()) == 1, full.stderr
    assert "steps are safe: make room" in full.stderr and "play.zarr" in full.stderr
    kept = safe(path)
    assert f"; {kept} steps are safe" in full.stderr and 0 < kept < 200
    again = [sys.executable, "-m", "atari_zoo", *words]
    done = subprocess.run(again, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    whole = zoo.rollout(zoo.load("dqn/Seaquest/1"), steps=200, envs=4, keep=["outputs"])
    recording = zoo.open_recording(path)
    np.testing.assert_array_equal(recording.outputs[:], whole.outputs)
    np.testing.assert_array_equal(recording.actions, whole.actions)


def test_ctrl_c_keeps_what_was_recorded(tmp_path: Path) -> None:
    path = tmp_path / "play.zarr"
    words = [*WORDS, "--steps", "100000", "-o", str(path)]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    patience = time.monotonic() + 120
    while safe(path) < 64 and time.monotonic() < patience:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and said.strip() == "atari-zoo: stopped"
    assert safe(path) >= 64
    recording = zoo.open_recording(path)
    assert recording.outputs[:].shape == (len(recording.starts), 1, 18)
