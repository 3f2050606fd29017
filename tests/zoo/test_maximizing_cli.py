"""`atari-zoo maximize`: files, tables, JSON, errors that point at the place, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal

import av
import pytest
from PIL import Image
from typer.testing import CliRunner

from atari_zoo.cli.app import app
from atari_zoo.converters import to_onnx
from atari_zoo.converters.interchange import save_onnx
from atari_zoo.interrupts import stop_requests

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def agent(random_agent, tmp_path_factory):
    path = tmp_path_factory.mktemp("agents") / "agent.onnx"
    save_onnx(to_onnx(random_agent("Pong")), path)
    return str(path)


def maximize(agent, *arguments: str):
    return RUNNER.invoke(app, ["maximize", agent, *arguments])


def test_writes_a_picture_and_a_movie_and_says_how_far_it_came(agent, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    done = maximize(
        agent, "conv3:38 - 1e-6*tv", "output:RIGHT", "--iterations", "6", "--steps", "20",
        "-o", "wanted.png", "--movie", "wanted.mp4",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert all(
        words in done.output for words in ("conv3:38 - 1e-06*tv", "output:RIGHT", "wanted.png")
    )
    with Image.open("wanted.png") as picture:
        # two images, and before them those of an untrained network; lines above and below
        assert picture.size[0] == 2 * 4 * 84 + 3 * 2 + 20
        assert 40 < picture.size[1] - (4 * (168 + 50 + 10) + 10) < 100
    assert "output:RIGHT before training" in done.output
    with av.open("wanted.mp4") as file:
        assert sum(1 for _ in file.decode(video=0)) == 7 + 15


@pytest.mark.parametrize(
    "how", ["pixels", "fourier", "cppn", "pyramid", "shared", "present", "maco"]
)
def test_json_has_a_row_an_image(agent, how, tmp_path):
    done = maximize(
        agent, "fc:0..2", "--iterations", "2", "--parameterization", how, "--json", "--steps", "8",
        "-o", str(tmp_path / "x.png"),
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [row["name"] for row in told["images"]] == ["fc:0", "fc:1", "fc:2"]
    for row in told["images"]:
        assert 0 <= row["percentile"] <= 100
        assert row["steps"] == 2
    (control,) = told["untrained"]
    assert control["name"] == "fc:0" and control["played"] is None
    assert told["files"] == [str(tmp_path / "x.png")]


def test_without_real_play_there_is_no_percentile(agent, tmp_path):
    output = str(tmp_path / "x.png")
    done = maximize(agent, "value", "--iterations", "1", "--json", "--steps", "0", "-o", output)
    (row,) = json.loads(done.stdout)["images"]
    assert row["percentile"] is None
    assert row["activation"] == pytest.approx(row["objective"])


def test_an_error_points_at_the_place(agent, tmp_path):
    done = maximize(agent, "fc:1 + conv9:2", "-o", str(tmp_path / "x.png"))
    assert done.exit_code == 2
    reason, shown, caret = done.stderr.splitlines()
    assert "no layer or word 'conv9'" in reason
    assert caret.index("^") == shown.index("conv9")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--parameterization", "wavelets"], "no parameterization 'wavelets'; there are pixels"),
        (["--parameterization", "maco", "--steps", "0"], "give --steps more than 0"),
    ],
)
def test_refuses(agent, arguments, message):
    done = maximize(agent, "fc:1", "--steps", "4", *arguments)
    assert isinstance(done.exception, ValueError)  # __main__ makes one line and status 2 of it
    assert message in str(done.exception)


def test_the_first_interrupt_is_only_told():
    before = signal.getsignal(signal.SIGINT)
    with stop_requests() as stopping:
        assert not stopping.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        assert stopping.is_set()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_keeps_what_is_reached(agent, tmp_path):
    """Ctrl-C in the middle of a million steps: the picture is written, and says how far it came."""
    pressed = []

    def press(*_):
        pressed.append(True)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGALRM, press)
    signal.setitimer(signal.ITIMER_REAL, 3)
    try:
        done = maximize(
            agent, "fc:1", "--iterations", "50000", "--steps", "0", "--json",
            "-o", str(tmp_path / "x.png"),
        )  # fmt: skip
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert pressed
    (row,) = json.loads(done.stdout)["images"]
    assert 0 < row["steps"] < 50000
    assert (tmp_path / "x.png").exists()
