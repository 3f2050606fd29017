"""The served explorer: who is answered, and edits that are what the emulator itself makes."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import numpy as np
import pytest
import torch
from ale_py import ALEInterface, LoggerMode, roms
from explored import SETTINGS, played, taken_apart
from numpy.testing import assert_allclose, assert_array_equal

import atari_zoo as zoo
from atari_zoo.analysis.subjects import Subject
from atari_zoo.ram.variables import Variable
from atari_zoo.viz.attribution.attribution import attribution_of
from atari_zoo.viz.explorer.live_edits import EditRequest, MomentEdits
from atari_zoo.viz.explorer.live_jobs import BusyError, JobRunner
from atari_zoo.viz.explorer.serving import ServedExplorer, serve_explorer

FEW = replace(SETTINGS, methods=("gradient",), units=False, iterations=0)
BALL_Y, PLAYER_Y = 54, 51  # in Pong's memory (AtariARI's table)


@pytest.fixture(scope="module")
def subject() -> Subject:
    return played(0)


@pytest.fixture(scope="module")
def served(subject, tmp_path_factory) -> Iterator[ServedExplorer]:
    folder = tmp_path_factory.mktemp("served") / "page"
    folder.mkdir()
    (folder / "mine.js").write_text("mine")
    (folder.parent / "secret.js").write_text("secret")
    with serve_explorer([subject], folder, FEW, ["conv3:0,1,2"]) as found:
        yield found


def status_of(address: str, method: str = "GET", body: bytes | None = None, **headers: str) -> int:
    """By a connection that sends the path as it is."""
    there = urlsplit(address)
    connection = HTTPConnection(there.hostname or "", there.port, timeout=20)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    path = address.split(there.netloc, 1)[1]
    connection.putrequest(method, path, skip_host="Host" in named)
    for name, value in named.items():
        connection.putheader(name, value)
    if body is not None and "Content-Length" not in named:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    if answer.status >= 400:  # no path, and no name of a request, is said again
        assert len(said) < 200 and b"secret" not in said and b"<" not in said
    return answer.status


def asked(served: ServedExplorer, path: str, data: Any = None) -> Any:
    sent = None if data is None else json.dumps(data).encode()
    request = Request(served.address + path, sent, {"Content-Type": "application/json"})
    with urlopen(request, timeout=30) as answer:
        return json.load(answer)


def ended(served: ServedExplorer, path: str, data: Any) -> dict[str, Any]:
    """A job once it is over."""
    number = asked(served, path, data)["job"]
    for _ in range(200):
        found = asked(served, f"live/jobs/{number}")
        if found["state"] != "running":
            return found
    raise AssertionError(found)


def edit(served: ServedExplorer, **changes: Any) -> dict[str, Any]:
    plain = {"agent": 0, "step": 60, "variable": "player_y", "value": 100, "method": ""}
    return ended(served, "live/edit", plain | changes)


class TestServer:
    def test_the_page_and_its_files_are_served_with_what_keeps_others_out(self, served):
        with urlopen(served.address, timeout=20) as answer:
            page, headers = answer.read().decode(), answer.headers
        assert "explorer_code/memory.js" in page and 'id="live"' in page
        assert "memory.js" not in (served.folder / "index.html").read_text()
        assert not (served.folder / "explorer_code/memory.js").exists()
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'none'" and policy["script-src"] == "'self'"
        assert policy["connect-src"] == "'self'" and policy["frame-ancestors"] == "'none'"
        for name in ("explorer_data/index.js", "explorer_data/agent0/frames_1.js"):
            with urlopen(served.address + name, timeout=20) as answer:
                assert answer.read() == (served.folder / name).read_bytes()
                assert answer.headers.get_content_type() == "text/javascript"
        assert status_of(served.address + "explorer_code/memory.js") == 200

    @pytest.mark.parametrize(
        "path",
        [
            "../secret.js",
            "explorer_data/../mine.js",
            "explorer_data/../../secret.js",
            "explorer_data/..%2f..%2fsecret.js",
            "explorer_data/%2e%2e/%2e%2e/secret.js",
            "explorer_data/..%5c..%5csecret.js",
            "explorer_data/..\\..\\secret.js",
            "explorer_data//etc/passwd",
            "explorer_data/index.js%00.js",
            "explorer_code/../../../__init__.py",
            "explorer_code/index.js",
            "mine.js",
            "explorer_data",
            "explorer_data/",
            "explorer_data/agent0",
            "explorer_data/link.js",
            "explorer_data/index.js?x=1",
            "live/jobs/999",
            "live/jobs/one",
            "live/memory/0/110",
            "live/memory/9/1",
        ],
    )
    def test_nothing_outside_the_pages_files_is_there(self, served, path):
        link = served.folder / "explorer_data/link.js"
        if not link.is_symlink():
            link.symlink_to(served.folder.parent / "secret.js")
        assert status_of(served.address + path) == 404

    def test_who_has_no_token_or_another_one_is_refused(self, served):
        there = urlsplit(served.address)
        root, token = f"http://{there.netloc}", there.path.strip("/")
        assert len(token) >= 32
        for path in ("/", "/index.html", f"/{token[:-1]}/", f"/{token}x/", "/%00/", "//"):
            assert status_of(root + path) == 403
        assert status_of(f"{root}//{token}/") == 403
        assert status_of(f"{root}/live/edit", "POST", b"{}", Content_Type="application/json") == 403
        assert status_of(f"{root}/{token}") == 404

    @pytest.mark.parametrize(
        "name", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "", "["]
    )
    def test_another_hosts_name_is_refused(self, served, name):
        assert status_of(served.address, Host=name) == 403

    def test_this_machines_names_are_taken(self, served):
        for name in ("localhost", "127.0.0.1", "localhost:9000", "[::1]:80"):  # through a tunnel
            assert status_of(served.address, Host=name) == 200

    @pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"])
    def test_other_methods_are_refused(self, served, method):
        assert status_of(served.address, method) == 405

    @pytest.mark.parametrize(
        ("body", "headers", "status"),
        [
            (b"{}", {"Content_Type": "text/plain"}, 415),
            (b"{" + b" " * 5000 + b"}", {}, 413),
            (b"{}", {"Content_Length": "99999999999999999999"}, 413),
            (b"{}", {"Content_Length": "-1"}, 411),
            (b"{}", {"Transfer_Encoding": "chunked"}, 411),
            (b"[" * 4000, {}, 400),
            (b"[]", {}, 400),
            (b"\xff{}", {}, 400),
            (b"not json", {}, 400),
            (b"{}", {"Origin": "http://evil.example"}, 403),
        ],
    )
    def test_what_is_sent_is_small_json_of_the_pages_own(self, served, body, headers, status):
        sent = {"Content_Type": "application/json"} | headers
        assert status_of(served.address + "live/edit", "POST", body, **sent) == status

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"agent": 2}, "agent is 2; expected 0 to 1"),
            ({"agent": -1}, "agent is -1; expected 0 to 1"),
            ({"agent": "0"}, "agent is '0'; expected a whole number"),
            ({"step": True}, "step is True; expected a whole number"),
            ({"value": "<img>"}, "value is '<img>'; expected a number"),
            ({"value": float("nan")}, "value is nan"),
            ({"variable": ["a"]}, "variable is ['a']; expected text"),
            ({"folder": "/etc"}, "unexpected keyword argument 'folder'"),
        ],
    )
    def test_kinds_are_checked(self, served, changes, message):
        plain = {"agent": 0, "step": 60, "variable": "player_y", "value": 100}
        with pytest.raises(HTTPError) as refused:
            asked(served, "live/edit", plain | changes)
        with refused.value as answer:
            assert answer.code == 400 and message in json.load(answer)["error"]

    def test_a_taken_port_is_one_line_before_the_work_and_two_serve_beside_each_other(
        self, served, subject, tmp_path
    ):
        port = urlsplit(served.address).port
        assert port is not None
        with pytest.raises(OSError, match=rf"port {port} of 127\.0\.0\.1 is taken; give another"):
            serve_explorer([subject], tmp_path / "page", FEW, port=port)
        assert not (tmp_path / "page").exists()
        with pytest.raises(ValueError, match="port is 70000; expected 0 for a free one"):
            serve_explorer([subject], tmp_path / "page", FEW, port=70000)
        with serve_explorer([subject], None, FEW) as other:
            ours, theirs = urlsplit(served.address), urlsplit(other.address)
            assert ours.port != theirs.port and ours.path != theirs.path
            assert status_of(other.address) == status_of(served.address) == 200
            assert status_of(f"http://{theirs.netloc}{ours.path}") == 403
            folder = other.folder
            assert (folder / "index.html").is_file()
        assert not folder.exists() and other.wait(0)
        other.stop()
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed ones linger
            free.bind(("127.0.0.1", theirs.port))


class TestEdits:
    @pytest.mark.parametrize(
        ("variable", "address", "value"), [("player_y", PLAYER_Y, 100), ("ball_y", BALL_Y, 180)]
    )
    def test_the_screen_is_the_emulators(self, served, subject, variable, address, value):
        found = edit(served, variable=variable, value=value)
        screen, memory = by_hand(subject, 60, {address: value})
        shown = taken_apart(found["result"])
        assert_array_equal(shown["screen"], screen)
        recorded = np.asarray(subject.recording.frames)[60, 0]
        assert (screen != recorded).any() and found["result"]["fate"] in ("held", "slipped")
        assert_array_equal(by_hand(subject, 60, {})[0], recorded)
        known = {one.name: one for one in zoo.variables("Pong")}[variable]
        assert shown["now"] == float(known.values(memory))

    @pytest.mark.parametrize("agent", [0, 1])
    def test_what_the_agent_computes_is_the_networks(self, served, subject, agent):
        shown = taken_apart(edit(served, agent=agent, method="gradient")["result"])
        seen = zoo.counterfactual(subject.recording, 60, {PLAYER_Y: 100})
        frames = shown["frames"]
        assert_array_equal(frames[..., 0], (seen[0] * 255).round().numpy())
        units = ["conv3:0,1,2"] if agent else []
        with zoo.ablated(subject.network, *units):
            with torch.no_grad():
                outputs = subject.network(seen)[0].numpy()
            values = zoo.activations(subject.network, seen)
            maps = attribution_of(subject.network, seen, "gradient").values.abs().sum(dim=1)
        assert_allclose(shown["rated"], outputs, atol=1e-5)
        assert shown["value"] == pytest.approx(outputs.max(), abs=1e-5)
        for number, name in enumerate(["conv1", "conv2", "conv3", "fc"]):
            whole = values[name][0].flatten(1) if values[name].ndim > 2 else values[name].T
            assert_allclose(shown["peaks"][number], whole.amax(1).numpy(), atol=1e-5)
        cells = torch.nn.functional.avg_pool2d(maps[None], 2)[0, 0].detach().numpy()
        assert shown["largest"] == pytest.approx(cells.max(), rel=1e-4)
        assert (shown["map"] > 0).any()

    def test_where_the_game_wrote_over_the_byte_is_told(self, served, subject):
        known, fates = {one.name: one for one in zoo.variables("Pong")}, []
        for name, value in (("player_y", 100), ("ball_x", 100), ("ball_y", 100)):
            byte = known[name].byte(value)
            _, memory = by_hand(subject, 60, {known[name].address: byte})
            held = abs(int(memory[known[name].address]) - byte) <= 2
            found = edit(served, variable=name, value=value)["result"]
            said = "It held: once the 4 frames" if held else "did not hold: the game wrote over"
            assert found["fate"] == ("held" if held else "slipped") and said in found["words"]
            assert found["title"] == f"{name} = {value}"
            fates.append(found["fate"])
        assert set(fates) == {"held", "slipped"}

    def test_an_illegal_instruction_is_told_and_harms_no_later_edit(self, subject, served):
        """Pong's byte 34 is a pointer into its program; it has no name in the table."""
        edits = MomentEdits(served.folder / "explorer_data", "Pong", 0)
        pointer = Variable("pointer", 34, "misc", "byte", (), "changes")
        edits.variables |= {"pointer": pointer}
        agent = served._live.agents[0]
        astray = edits.edited(agent, EditRequest(0, 45, "pointer", 0), lambda *ticks: None)
        assert astray["fate"] == "illegal" and "The emulator refused" in astray["words"]
        assert "screen" not in astray and "rated" not in astray
        sound = edits.edited(agent, EditRequest(0, 60, "player_y", 100), lambda *ticks: None)
        shown = taken_apart(sound["screen"])
        assert_array_equal(shown, by_hand(subject, 60, {PLAYER_Y: 100})[0])

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"step": 2}, "step 2 is 2 after its episode's first; expected at least 4"),
            ({"step": 110}, "step is 110; expected 0 to 109"),
            ({"variable": "lives"}, "no variable 'lives'; there are: "),
            ({"value": 1000}, "player_y cannot be 1000; it is from"),
            ({"method": "greydanus"}, "no maps of 'greydanus' on this page"),
        ],
    )
    def test_what_fails_is_one_line(self, served, changes, message):
        found = edit(served, **changes)
        assert found["state"] == "failed" and found["result"] is None
        assert message in found["error"] and "\n" not in found["error"]

    def test_the_values_now_are_those_of_the_recording(self, served, subject):
        found = asked(served, "live/memory/0/60")
        for name, value in found.items():
            expected = subject.recording.variables[name].to_numpy()[60]
            assert value == expected or (value is None and np.isnan(expected))
        about = asked(served, "live/about")
        row = next(row for row in about["variables"] if row["name"] == "player_y")
        assert found["player_y"] in row["values"] and "byte 51" in row["words"]


def test_jobs_run_one_at_a_time_and_stop():
    runner, going, begun = JobRunner(), threading.Event(), threading.Event()

    def work(job: Any) -> str:
        begun.set()
        while not going.wait(0.01):
            job.progress(1, 2, "half")
        return "done"

    first = runner.begin("the first", work)
    assert begun.wait(5)
    with pytest.raises(BusyError, match="busy: the first"):
        runner.begin("the second", work)
    first.stopping.set()
    assert first.ended.wait(5) and first.row()["state"] == "stopped"
    going.set()
    second = runner.begin("the second", work)
    assert second.ended.wait(5) and second.row()["result"] == "done"
    third = runner.begin("the third", lambda job: 1 / 0)
    assert third.ended.wait(5)
    assert third.row()["error"] == "ZeroDivisionError: division by zero"
    assert runner.find(3) is third and runner.find(4) is None


def test_the_command_serves_until_it_is_interrupted(subject, tmp_path):
    play = tmp_path / "play.zarr"
    zoo.rollout(zoo.load("a2c/Pong/1"), steps=12, envs=1, keep=["screens", "frames", "ram"]).save(
        play
    )
    words = "explore --saliency none --no-dictionary --iterations 0 --serve --json".split()
    command = [sys.executable, "-m", "atari_zoo", *words, str(play)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            facts = json.loads(b"".join(iter(process.stdout.readline, b"}\n")) + b"}")
            assert status_of(facts["address"]) == 200
            assert urlsplit(facts["address"]).hostname == "127.0.0.1"
        finally:
            process.send_signal(2)
            _, complained = process.communicate(timeout=60)
    assert (process.returncode, complained) == (0, b"")
    assert not Path(facts["output"]).exists()


def by_hand(subject: Subject, step: int, ram: dict[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The screen and the memory at a step by ale-py alone, with bytes set before each of the last 4
    actions; up to there every memory must be the recorded one."""
    recording = subject.recording
    ALEInterface.setLoggerMode(LoggerMode.Error)
    emulator = ALEInterface()
    emulator.setFloat("repeat_action_probability", 0.0)
    emulator.loadROM(roms.get_rom_path("pong"))
    actions, memory = emulator.getMinimalActionSet(), np.asarray(recording.ram)[:, 0]
    for _ in range(64):  # the no-ops that the game began with
        if (emulator.getRAM() == memory[0]).all():
            break
        emulator.act(actions[0])
    for before in range(step):
        if before < step - 4 or not ram:
            assert_array_equal(emulator.getRAM(), memory[before])
        elif ram:
            for address, value in ram.items():
                emulator.setRAM(address, value)
        pair = []
        for _ in range(4):
            emulator.act(actions[int(recording.actions[before, 0])])
            pair = [*pair, emulator.getScreenRGB()][-2:]
    return np.maximum(*pair), np.array(emulator.getRAM())
