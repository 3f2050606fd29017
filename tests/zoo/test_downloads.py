"""Files are fetched whole or not at all, from a real server that misbehaves in every known way."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from email.utils import formatdate
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from served import Served, Trouble

from atari_zoo.downloads import transfers, web
from atari_zoo.downloads.addresses import https_form
from atari_zoo.downloads.downloads import DownloadError, Offline, fetch_file

CONTENT = np.random.default_rng(0).bytes(300_000)
OTHER = np.random.default_rng(1).bytes(250_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
CUT = 131_072


@pytest.fixture
def server() -> Iterator[Served]:
    with Served({"/a.bin": CONTENT, "/b.bin": CONTENT, "/other.bin": OTHER}) as served:
        yield served


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ATARI_ZOO_OFFLINE", "ATARI_ZOO_MIRROR", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(transfers, "PAUSES", (0.01, 0.01, 0.01))


def ranges(server: Served) -> list[str | None]:
    return [request.range for request in server.requests]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_arrives_is_what_was_served_and_is_not_asked_for_again(
    server: Served, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    place = tmp_path / "deep" / "a.bin"
    fetch_file([f"{server.url}/a.bin"], place, SHA256, lambda *at: seen.append(at))
    assert place.read_bytes() == CONTENT and names(place.parent) == ["a.bin"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert all(before[0] < after[0] for before, after in pairwise(seen))
    server.requests.clear()
    assert fetch_file([f"{server.url}/a.bin"], place) == place and server.requests == []


@pytest.mark.parametrize("validators", [("ETag",), ("Last-Modified",), ("Weak", "Last-Modified")])
def test_a_cut_connection_costs_only_the_rest(
    server: Served, tmp_path: Path, validators: tuple[str, ...]
) -> None:
    server.trouble["/a.bin"] = [
        Trouble(cut_after=CUT, validators=validators),
        Trouble(validators=validators),
    ]
    fetch_file([f"{server.url}/a.bin"], tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert ranges(server) == [None, f"bytes={CUT}-"] and server.sent == len(CONTENT)


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param({"ranges": False}, id="ignores ranges"),
        pytest.param({"validators": ()}, id="tells no version"),
        pytest.param({"validators": ("Weak",)}, id="a weak ETag"),
    ],
)
def test_a_server_that_cannot_go_on_begins_again(
    server: Served, tmp_path: Path, trouble: dict[str, Any]
) -> None:
    server.trouble["/a.bin"] = [Trouble(cut_after=CUT, **trouble), Trouble(**trouble)]
    fetch_file([f"{server.url}/a.bin"], tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert [request.status for request in server.requests] == [200, 200]
    assert server.sent == CUT + len(CONTENT)


def interrupted(server: Served, place: Path) -> None:
    """An attempt that leaves a part behind."""
    server.trouble["/a.bin"] = [Trouble(cut_after=CUT)] + [Trouble(status=503)] * 9
    with pytest.raises(DownloadError, match="503"):
        fetch_file([f"{server.url}/a.bin"], place)
    assert place.with_name("a.bin.part").read_bytes() == CONTENT[:CUT] and not place.exists()
    server.trouble.clear()
    server.requests.clear()


def test_a_later_attempt_goes_on_where_the_first_ended(server: Served, tmp_path: Path) -> None:
    interrupted(server, tmp_path / "a.bin")
    fetch_file([f"{server.url}/a.bin"], tmp_path / "a.bin", SHA256)
    assert ranges(server) == [f"bytes={CUT}-"] and server.sent == len(CONTENT) - CUT
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("validators", [("ETag", "Last-Modified"), ("Last-Modified",), ("ETag",)])
def test_parts_of_two_versions_are_never_joined(
    server: Served, tmp_path: Path, validators: tuple[str, ...]
) -> None:
    interrupted(server, tmp_path / "a.bin")
    server.files["/a.bin"] = OTHER
    server.trouble["/a.bin"] = Trouble(validators=validators)
    fetch_file([f"{server.url}/a.bin"], tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == OTHER and names(tmp_path) == ["a.bin"]
    assert ranges(server) == [f"bytes={CUT}-"] and server.requests[0].status == 200


def test_a_server_that_mixes_versions_up_is_asked_for_the_whole(
    server: Served, tmp_path: Path
) -> None:
    interrupted(server, tmp_path / "a.bin")
    server.files["/a.bin"] = OTHER
    server.trouble["/a.bin"] = [Trouble(if_range=False)]  # sends the rest of another version
    fetch_file([f"{server.url}/a.bin"], tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == OTHER
    assert ranges(server) == [f"bytes={CUT}-", None]


def test_a_file_that_became_shorter_is_begun_again(server: Served, tmp_path: Path) -> None:
    interrupted(server, tmp_path / "a.bin")
    server.files["/a.bin"] = OTHER[:1000]
    server.trouble["/a.bin"] = [Trouble(if_range=False)]
    fetch_file([f"{server.url}/a.bin"], tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == OTHER[:1000]
    assert [request.status for request in server.requests] == [416, 200]


def test_a_part_that_was_whole_already_needs_no_byte(server: Served, tmp_path: Path) -> None:
    interrupted(server, tmp_path / "a.bin")
    (tmp_path / "a.bin.part").write_bytes(CONTENT)
    fetch_file([f"{server.url}/a.bin"], tmp_path / "a.bin", SHA256)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT and server.sent == 0


def test_a_wrong_hash_leaves_nothing(server: Served, tmp_path: Path) -> None:
    found = hashlib.sha256(OTHER).hexdigest()
    with pytest.raises(DownloadError, match=f"sha256 expected {SHA256}, got {found}"):
        fetch_file([f"{server.url}/other.bin"], tmp_path / "a.bin", SHA256)
    assert not [name for name in names(tmp_path) if "lock" not in name]
    fetch_file([f"{server.url}/other.bin", f"{server.url}/b.bin"], tmp_path / "a.bin", SHA256)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT  # the second mirror had it


@pytest.mark.parametrize(
    "headers",
    [
        {"x-goog-hash": f"crc32c=AAAAAA==,md5={base64.b64encode(b'0' * 16).decode()}"},
        {"X-Linked-ETag": f'"{"0" * 64}"'},
    ],
    ids=["Google's storage", "the Hub"],
)
def test_a_hash_that_the_server_tells_is_checked(
    server: Served, tmp_path: Path, headers: dict[str, str]
) -> None:
    server.trouble["/a.bin"] = Trouble(headers=headers)
    with pytest.raises(DownloadError, match="damaged on the way"):
        fetch_file([f"{server.url}/a.bin"], tmp_path / "a.bin")
    md5 = base64.b64encode(hashlib.md5(CONTENT).digest()).decode()
    right = {"x-goog-hash": f"md5={md5}", "X-Linked-ETag": f'"{SHA256}"'}
    server.trouble["/a.bin"] = Trouble(headers={name: right[name] for name in headers})
    fetch_file([f"{server.url}/a.bin"], tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("status", [301, 403, 404, 410, 503])
def test_another_mirror_is_asked_where_one_has_it_not(
    server: Served, tmp_path: Path, status: int
) -> None:
    first = "/missing.bin" if status == 404 else "/a.bin"
    elsewhere = f"{server.url}/missing.bin" if status == 301 else ""
    server.trouble[first] = Trouble(status=0 if status == 301 else status, location=elsewhere)
    fetch_file([f"{server.url}{first}", f"{server.url}/b.bin"], tmp_path / "a.bin", SHA256)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_all_mirrors_dead_gives_one_message_with_each_reason(
    server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "TIMEOUT", (0.3, 0.3))
    server.trouble["/a.bin"] = Trouble(status=403)
    server.trouble["/b.bin"] = Trouble(pause=2.0)
    urls = [f"{server.url}/{name}.bin" for name in ("a", "gone", "b")]
    urls += ["http://127.0.0.1:9/x.bin", "http://no-such-host.invalid/x.bin", f"{tmp_path}/no.bin"]
    with pytest.raises(DownloadError) as caught:
        fetch_file(urls, tmp_path / "a.bin")
    message = str(caught.value)
    assert message.startswith("could not fetch a.bin: ") and "\n" not in message
    reasons = "403 Forbidden", "404 Not Found", "timed out", "connection refused", "no such host"
    for url, reason in zip(urls, [*reasons, "no such file"], strict=True):
        assert f"{url}: {reason}" in message
    assert not (tmp_path / "a.bin").exists()


def test_a_range_that_comes_in_slices_is_asked_for_until_it_is_whole(
    server: Served, tmp_path: Path
) -> None:
    interrupted(server, tmp_path / "a.bin")
    server.trouble["/a.bin"] = Trouble(slices=70_000)
    fetch_file([f"{server.url}/a.bin"], tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert ranges(server) == [f"bytes={CUT + 70_000 * number}-" for number in range(3)]


def test_redirects_are_followed(server: Served, tmp_path: Path) -> None:
    server.trouble["/moved.bin"] = Trouble(location=f"{server.url}/a.bin")
    server.trouble["/a.bin"] = [Trouble(cut_after=CUT)]
    fetch_file([f"{server.url}/moved.bin"], tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT and server.sent == len(CONTENT)


@pytest.mark.parametrize(
    "url", ["gs://bucket/a/b.pb", "https://storage.cloud.google.com/bucket/a/b.pb"]
)
def test_buckets_are_read_without_an_account(url: str) -> None:
    assert https_form(url) == "https://storage.googleapis.com/bucket/a/b.pb"
    assert https_form("https://huggingface.co/x") == "https://huggingface.co/x"


@pytest.mark.parametrize("form", ["{}", "file://{}", "memory://folder/a.bin"])
def test_other_addresses_go_through_fsspec(tmp_path: Path, form: str) -> None:
    import fsspec

    source = tmp_path / "source.bin"
    source.write_bytes(CONTENT)
    fsspec.filesystem("memory").pipe("/folder/a.bin", CONTENT)
    fetch_file([form.format(source)], tmp_path / "a.bin", SHA256)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_offline_makes_no_request(
    server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_file([f"{server.url}/a.bin"], tmp_path / "a.bin")
    server.requests.clear()
    monkeypatch.setenv("ATARI_ZOO_OFFLINE", "1")
    fetch_file([f"{server.url}/a.bin"], tmp_path / "a.bin")
    with pytest.raises(Offline, match=r"b\.bin is not there, and ATARI_ZOO_OFFLINE is set"):
        fetch_file([f"{server.url}/b.bin"], tmp_path / "b.bin")
    assert server.requests == []


def test_a_full_disk_is_told_and_gone_on_with(server: Served, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    program = f"""
import resource
from pathlib import Path
from atari_zoo.downloads.downloads import fetch_file
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # as a full disk: part of a write
fetch_file(["{server.url}/a.bin", "{server.url}/b.bin"], Path("{disk}/a.bin"))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert f"DiskFull: {disk}: no room: 0.1 of 0.3 MB are there and kept" in done.stderr
    assert "ATARI_ZOO_CACHE" in done.stderr and len(server.requests) == 1
    assert (disk / "a.bin.part").read_bytes() == CONTENT[:100_000]
    fetch_file([f"{server.url}/a.bin"], disk / "a.bin", SHA256)
    assert server.requests[-1].range == "bytes=100000-" and names(disk) == ["a.bin"]


def test_eight_processes_at_once_fetch_once(server: Served, tmp_path: Path) -> None:
    server.trouble["/a.bin"] = Trouble(pause=0.05)
    place = tmp_path / "a.bin"
    program = (
        "import sys, time; from pathlib import Path\n"
        "from atari_zoo.downloads import fetch_file\n"
        f"Path(sys.argv[1]).touch()\n"
        f"while not Path('{tmp_path}/go').exists(): time.sleep(0.01)\n"
        f"print(len(fetch_file(['{server.url}/a.bin'], Path('{place}')).read_bytes()))"
    )
    ready = [tmp_path / f"ready-{number}" for number in range(8)]
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(flag)], stdout=subprocess.PIPE)
        for flag in ready
    ]
    while not all(flag.exists() for flag in ready):
        assert all(process.poll() is None for process in running)
        time.sleep(0.05)
    (tmp_path / "go").touch()
    sizes = [int(process.communicate(timeout=60)[0]) for process in running]
    assert sizes == [len(CONTENT)] * 8 and len(server.requests) == 1
    assert place.read_bytes() == CONTENT


def test_a_killed_process_leaves_a_part_that_the_next_goes_on_with(
    server: Served, tmp_path: Path
) -> None:
    server.trouble["/a.bin"] = Trouble(pause=0.05)
    place = tmp_path / "a.bin"
    part = tmp_path / "a.bin.part"
    program = (
        "from pathlib import Path; from atari_zoo.downloads.downloads import fetch_file\n"
        f"fetch_file(['{server.url}/a.bin'], Path('{place}'))"
    )
    process = subprocess.Popen([sys.executable, "-c", program])
    while not part.exists() or part.stat().st_size < 60_000:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=10)
    begun = part.stat().st_size
    assert not place.exists() and begun < len(CONTENT)
    server.trouble.clear()
    fetch_file([f"{server.url}/a.bin"], place, SHA256)
    assert ranges(server) == [None, f"bytes={begun}-"]
    assert server.requests[-1].sent == len(CONTENT) - begun


def test_a_part_without_its_facts_is_begun_again(server: Served, tmp_path: Path) -> None:
    for facts in (None, "", "[]", json.dumps({"url": f"{server.url}/b.bin", "version": "x"})):
        (tmp_path / "a.bin.part").write_bytes(OTHER[:1000])
        if facts is not None:
            (tmp_path / "a.bin.part.json").write_text(facts)
        fetch_file([f"{server.url}/a.bin"], tmp_path / "a.bin", SHA256)
        (tmp_path / "a.bin").unlink()
    assert set(ranges(server)) == {None}


PAGE = b"<!DOCTYPE html>\n<html><body>Please sign in</body></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 6745604\n"


@pytest.mark.parametrize(
    "content, kind, reason",
    [
        (PAGE, "text/html; charset=utf-8", "a web page came in the file's place"),
        (CONTENT, "text/html", "a web page came in the file's place"),
        (PAGE, "application/octet-stream", "a web page, not a model"),
        (b"\xef\xbb\xbf \n<HTML>", "", "a web page, not a model"),
        (POINTER, "text/plain", "a Git LFS pointer, not the file itself"),
    ],
    ids=["page", "called a page", "page called a file", "marked", "pointer"],
)
def test_what_stands_in_a_files_place_is_not_kept(
    server: Served, tmp_path: Path, content: bytes, kind: str, reason: str
) -> None:
    server.files["/page"] = content
    server.trouble["/page"] = Trouble(headers={"Content-Type": kind} if kind else {})
    with pytest.raises(DownloadError, match=reason):
        fetch_file([f"{server.url}/page"], tmp_path / "a.bin")
    assert [name for name in names(tmp_path) if not name.endswith(".lock")] == []
    fetch_file([f"{server.url}/page", f"{server.url}/a.bin"], tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_server_is_asked_again_when_it_says(
    server: Served, tmp_path: Path, status: int, form: str
) -> None:
    said = "1" if form == "seconds" else formatdate(time.time() + 1.9, usegmt=True)
    server.trouble["/a.bin"] = [Trouble(status=status, headers={"Retry-After": said})]
    fetch_file([f"{server.url}/a.bin"], tmp_path / "a.bin", SHA256)
    first, second = (request.time for request in server.requests)
    assert second - first > 0.7  # a date is told in whole seconds


def test_a_server_that_wants_hours_is_not_waited_for(server: Served, tmp_path: Path) -> None:
    server.trouble["/a.bin"] = [Trouble(status=429, headers={"Retry-After": "7200"})] * 2
    with pytest.raises(DownloadError, match=r"429 .*: it wants to be asked again in 7200 seconds"):
        fetch_file([f"{server.url}/a.bin"], tmp_path / "a.bin")
    assert len(server.requests) == 1
    server.trouble["/a.bin"] = [Trouble(status=429, headers={"Retry-After": "soon"})]
    fetch_file([f"{server.url}/a.bin"], tmp_path / "a.bin", SHA256)


@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_repository_says_how_to_give_a_token(
    server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    for name in ("HF_TOKEN", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    server.trouble["/a.bin"] = Trouble(status=status)
    with pytest.raises(DownloadError, match=r"gated or private .* no token is set; .* HF_TOKEN"):
        fetch_file([f"{server.url}/a.bin"], tmp_path / "a.bin")
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    with pytest.raises(DownloadError, match="the token that is set does not open it") as caught:
        fetch_file([f"{server.url}/a.bin"], tmp_path / "a.bin")
    assert "hf_mine" not in str(caught.value)
    assert [request.authorization for request in server.requests] == [None, "Bearer hf_mine"]


def test_a_token_goes_to_the_hub_alone(
    server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "token").write_text("hf_kept\n")  # as `hf auth login` leaves it
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    for name in ("HF_TOKEN", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    with Served({"/b.bin": CONTENT}) as store:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        # another host, as the Hub's files are on another
        elsewhere = store.url.replace("127.0.0.1", "localhost")
        server.trouble["/a.bin"] = Trouble(location=f"{elsewhere}/b.bin")
        fetch_file([f"{server.url}/a.bin"], tmp_path / "a.bin", SHA256)
        fetch_file([f"{store.url}/b.bin"], tmp_path / "b.bin", SHA256)
        assert [request.authorization for request in server.requests] == ["Bearer hf_kept"]
        assert [request.authorization for request in store.requests] == [None, None]
