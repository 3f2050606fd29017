"""Models come into the cache once, from where each collection has them, and stay what they were."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
import typer
from served import Served, Trouble
from typer.testing import CliRunner

from atari_zoo.catalog.catalog import entries, find, list_models
from atari_zoo.catalog.entries import Entry
from atari_zoo.catalog.fetching import Wanted, fetch, fetch_all, fetched, wanted_files
from atari_zoo.cli import fetch as fetching_cli
from atari_zoo.downloads import cache, transfers
from atari_zoo.downloads.downloads import DownloadError, Offline
from atari_zoo.downloads.index import FileIndex

NAMES = (
    "uber:a2c/Seaquest/3@400M dopamine-lucid:rainbow/Pong/2 dopamine:iqn/Pong/1 "
    "dopamine-jax:qrdqn/Pong/1 sb3:ppo/Breakout/1 cleanrl:dqn/Breakout/1 cleanrl:c51/Pong/jax-1 "
    "atari-agents:dqn/Pong/0@50000000"
).split()


@pytest.fixture
def server() -> Iterator[Served]:
    with Served() as served:
        yield served


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Served) -> Path:
    """An empty cache, and a catalogue in which every host of the zoo's is the test's server."""
    for name in ("ATARI_ZOO_OFFLINE", "ATARI_ZOO_MIRROR", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(transfers, "PAUSES", (0.01, 0.01))
    text = resources.files("atari_zoo").joinpath("data/collections.json").read_text()
    text = text.replace("gs://", "https://storage.googleapis.com/")
    table = json.loads(text.replace("https://", f"{server.url}/"))
    for row in table["collections"]:
        row["name"] = f"test-{row['name']}"
    (tmp_path / "catalog.json").write_text(json.dumps(table))
    monkeypatch.setenv("ATARI_ZOO_CATALOG", str(tmp_path / "catalog.json"))
    monkeypatch.setenv("ATARI_ZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def published(server: Served) -> Callable[[str], Entry]:
    """Puts a model's files, of random content, where the catalogue says they are."""

    def publish(name: str) -> Entry:
        entry = find(f"test-{name}")
        for file in entry.files:
            path = urlparse(file.urls[0]).path
            server.files[path] = np.random.default_rng(len(server.files)).bytes(50_000)
        return entry

    return publish


def content(server: Served, entry: Entry) -> list[bytes]:
    return [server.files[urlparse(file.urls[0]).path] for file in entry.files]


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """`fetch`, `cache` and `mirror` as commands of a program of their own."""
    app = typer.Typer()
    for verb in (fetching_cli.fetch, fetching_cli.cache, fetching_cli.mirror):
        app.command()(verb)
    result = CliRunner().invoke(app, [str(word) for word in words])
    error = result.exception
    if isinstance(error, ValueError):  # what `atari-zoo` makes a line of, and an exit status 2
        return subprocess.CompletedProcess(words, 2, result.stdout, str(error))
    assert error is None or isinstance(error, SystemExit), error
    return subprocess.CompletedProcess(words, result.exit_code, result.stdout, result.stderr)


@pytest.mark.parametrize("name", NAMES)
def test_every_collection_is_fetched_once(
    server: Served, published: Callable[[str], Entry], cache_folder: Path, name: str
) -> None:
    entry = published(name)
    real = find(name)  # the zoo's own row: the same addresses, at their real hosts
    for file, own in zip(real.files, entry.files, strict=True):
        host = file.urls[0].replace("gs://", "https://storage.googleapis.com/")
        assert own.urls[0] == host.replace("https://", f"{server.url}/")
    path = fetched(entry)
    assert path == entry.path == entry.folder / path.name
    assert path.relative_to(cache_folder).parts[:3] == (
        entry.card.collection, entry.card.algorithm, entry.card.game,
    )  # fmt: skip
    assert [file.path.read_bytes() for file in entry.files] == content(server, entry)
    assert entry.is_here and [request.status for request in server.requests] == [200] * len(
        entry.files
    )
    server.requests.clear()
    assert fetched(entry) == path and server.requests == []


def test_the_two_files_of_a_checkpoint_lie_side_by_side(
    published: Callable[[str], Entry],
) -> None:
    path = fetched(published("dopamine:iqn/Pong/1"))
    assert path.name == "tf_ckpt-199.index"
    assert path.with_name("tf_ckpt-199.data-00000-of-00001").is_file()


def test_a_later_address_serves_where_the_first_is_gone(
    server: Served, published: Callable[[str], Entry]
) -> None:
    entry = published("atari-agents:dqn/Pong/0@50000000")
    first, second, _ = (urlparse(url).path for url in entry.files[0].urls)
    server.files[second] = server.files.pop(first)
    assert fetched(entry).read_bytes() == server.files[second]
    human = published("uber:es/Pong/1@human")  # spelt Human by some
    lower, upper = (urlparse(url).path for url in human.files[0].urls)
    server.files[upper] = server.files.pop(lower)
    assert fetched(human).read_bytes() == server.files[upper]


def test_a_dead_collection_gives_one_line_that_names_the_model(server: Served) -> None:
    entry = find("test-uber:a2c/Pong/1@1B")
    server.trouble[urlparse(entry.files[0].urls[0]).path] = Trouble(status=403)
    with pytest.raises(DownloadError) as caught:
        fetched(entry)
    message = str(caught.value)
    assert message.startswith("test-uber:a2c/Pong/1@1B: could not fetch model1_1B.pb: http://")
    assert message.endswith("403 Forbidden") and "\n" not in message
    with pytest.raises(DownloadError, match="inferred from others of the collection"):
        fetched(find("test-dopamine-lucid:dqn/Pooyan/1"))


def test_the_first_content_is_expected_ever_after(
    server: Served, published: Callable[[str], Entry], cache_folder: Path
) -> None:
    entry = published("sb3:ppo/Breakout/1")
    fetched(entry)
    before = hashlib.sha256(content(server, entry)[0]).hexdigest()
    record = FileIndex(cache_folder).records()[entry.files[0].place]
    assert record.sha256 == before and record.size == 50_000
    entry.path.unlink()
    server.files[urlparse(entry.files[0].urls[0]).path] = b"another"
    with pytest.raises(DownloadError) as caught:
        fetched(entry)
    assert f"sha256 expected {before}, got {hashlib.sha256(b'another').hexdigest()}" in str(
        caught.value
    )
    assert f"`atari-zoo cache --forget {entry.card.name}`" in str(caught.value)
    assert not entry.path.exists()
    assert run("cache", "--forget", entry.card.name).returncode == 0
    assert fetched(entry).read_bytes() == b"another"


def test_offline_says_what_is_missing_and_how_to_get_it(
    server: Served, published: Callable[[str], Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, missing = published("sb3:ppo/Pong/1"), published("sb3:ppo/Breakout/1")
    fetched(here)
    server.requests.clear()
    monkeypatch.setenv("ATARI_ZOO_OFFLINE", "1")
    assert fetched(here).is_file()
    with pytest.raises(Offline) as caught:
        fetched(missing)
    assert str(missing.path) in str(caught.value)
    assert f"`atari-zoo fetch {missing.card.name}`" in str(caught.value)
    with_log = published("uber:a2c/Pong/1@final")
    with pytest.raises(Offline) as caught:
        fetch(Wanted(with_log, with_log.extras["log"]))
    assert f"`atari-zoo fetch {with_log.card.name} --with log`" in str(caught.value)
    assert server.requests == []
    starters = [card.name for card in list_models(collection="starter")]
    assert [c.name for c in list_models(offline=True)] == [*starters, here.card.name]


@pytest.mark.parametrize("kind", ["http", "folder", "file"])
def test_a_mirror_is_asked_first_and_is_laid_out_by_the_zoo(
    server: Served,
    published: Callable[[str], Entry],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    entry = published("dopamine:iqn/Pong/1")
    made = tmp_path / "mirror"
    assert run("mirror", made, entry.card.name).returncode == 0
    listed = json.loads((made / "index.json").read_text())
    whole = content(server, entry)
    for file, expected in zip(entry.files, whole, strict=True):
        assert (made / file.place).read_bytes() == expected
        assert listed[file.place]["sha256"] == hashlib.sha256(expected).hexdigest()
        server.files[f"/mirror/{file.place}"] = expected
    server.requests.clear()
    assert run("mirror", made, entry.card.name).returncode == 0 and server.requests == []
    address = {"http": f"{server.url}/mirror/", "folder": str(made), "file": f"file://{made}"}
    monkeypatch.setenv("ATARI_ZOO_MIRROR", f"{tmp_path}/none, {address[kind]}")
    assert fetched(entry).read_bytes() == whole[0]
    assert all(request.path.startswith("/mirror/") for request in server.requests)
    assert len(server.requests) == (2 if kind == "http" else 0)


def test_a_mirror_is_made_of_the_cache_where_that_has_the_files(
    server: Served, published: Callable[[str], Entry], tmp_path: Path
) -> None:
    entry = published("sb3:ppo/Breakout/1")
    fetched(entry)
    server.requests.clear()
    assert run("mirror", tmp_path / "mirror", entry.card.name).returncode == 0
    assert server.requests == []
    assert (tmp_path / "mirror" / entry.files[0].place).read_bytes() == entry.path.read_bytes()


def test_fetch_by_name_and_by_filters(
    server: Served, published: Callable[[str], Entry], cache_folder: Path
) -> None:
    for number in (1, 2, 3, 4, 5):
        published(f"dopamine-jax:dqn/Pong/{number}")
    words = ["fetch", "--collection", "test-dopamine-jax", "--game", "pong", "--algorithm", "dqn"]
    told = run(*words, "--dry-run")
    assert told.returncode == 0 and server.requests == [] and not cache_folder.exists()
    assert "5 files to fetch, 5 models of about 175 MB" in told.stdout
    assert (
        f"{server.url}/storage.googleapis.com/download-dopamine-rl/jax/dqn/Pong/1/" in told.stdout
    )
    assert run(*words, "--run", "2").returncode == 0
    assert [e.card.run for e in entries(collection="test-dopamine-jax") if e.is_here] == ["2"]
    done = run(*words)
    assert done.returncode == 0 and "4 of 5 files fetched, 0.2 MB" in done.stdout
    assert len(server.requests) == 5
    assert "5 files with those" in run(*words, "--dry-run").stdout


def test_fetch_takes_what_was_published_beside_a_model(
    server: Served, published: Callable[[str], Entry], cache_folder: Path
) -> None:
    published("uber:a2c/Pong/1@1B")
    entry = published("uber:a2c/Pong/1@1HR")
    log = entry.extras["log"]
    server.files[urlparse(log.urls[0]).path] = b"[]"
    words = ["fetch", "test-uber:a2c/Pong/1@1B", "test-uber:a2c/Pong/1@1HR", "--with", "log"]
    assert "3 of 3 files" in run(*words).stdout  # one log for the two
    assert log.path.read_bytes() == b"[]"
    assert log.path.parent == cache_folder / "test-uber/a2c/Pong/1"
    told = run(*words, "--with", "sound")
    assert told.returncode == 2 and "no 'sound' beside these models; there are act" in told.stderr


def test_fetch_goes_on_where_one_fails_and_exits_with_1(
    server: Served, published: Callable[[str], Entry]
) -> None:
    there = [published(f"sb3:ppo/{title}/1") for title in ("Pong", "Qbert", "Enduro")]
    gone = find("test-sb3:ppo/Seaquest/1")
    done = run("fetch", *(entry.card.name for entry in (gone, *there)))
    assert done.returncode == 1 and all(entry.is_here for entry in there)
    assert done.stderr.count("\n") == 1 and f"atari-zoo: {gone.card.name}: could" in done.stderr
    assert "3 of 4 files fetched" in done.stdout


@pytest.mark.parametrize(
    "words, message",
    [
        (["fetch"], "which models? Name them, or narrow them down"),
        (["fetch", "test-sb3:ppo/Pnog/1"], "did you mean 'test-sb3:ppo/Pong/1'"),
        (["fetch", "--collection", "sb4"], "no collection 'sb4'; did you mean 'sb3'"),
        (["fetch", "--game", "Pong", "--algorithm", "acktr"], "there are no such models"),
        (
            ["fetch", "--game", "Pong", "--algorithm", "a3c"],
            "no algorithm 'a3c'; did you mean 'a2c'",
        ),
    ],
)
def test_a_mistake_is_told(words: list[str], message: str) -> None:
    done = run(*words)
    assert done.returncode == 2 and message in done.stderr


def test_cache_shows_verifies_and_prunes(
    published: Callable[[str], Entry], cache_folder: Path
) -> None:
    pong, other = published("sb3:ppo/Pong/1"), published("dopamine:iqn/Pong/1")
    fetched(pong), fetched(other)
    (other.folder / "model.onnx").write_bytes(b"made of it")  # not fetched: nothing to verify
    shown = {model.name: model for model in cache.cached_models()}
    assert set(shown) == {pong.card.name, other.card.name}
    assert shown[pong.card.name].size == 50_000 and shown[other.card.name].size == 100_010
    assert shown[pong.card.name].fetched.startswith("20")
    assert "2 models, 0.2 MB in" in run("cache").stdout
    assert "1 model, 0.1 MB in" in run("cache", "test-s*").stdout
    assert run("cache", "--verify").returncode == 0
    content = bytearray(pong.path.read_bytes())
    content[100] ^= 1
    pong.path.write_bytes(content)
    done = run("cache", "--verify")
    assert done.returncode == 1 and f"{pong.path}: sha256 expected" in done.stderr
    assert "1 damaged file" in done.stdout and str(other.folder) not in done.stderr
    assert f"removed {pong.card.name}" in run("cache", "sb3", "--prune").stdout
    assert not (cache_folder / "test-sb3").exists() and other.is_here
    fetched(pong)  # the same as ever
    assert run("cache", "--verify").returncode == 0
    asked = run("cache", "--prune")
    assert asked.returncode == 2 and "name a part of them, or '*' for all" in asked.stderr
    assert run("cache", "*", "--prune").returncode == 0 and cache.cached_models() == []


def test_kept_play_is_shown_and_removed(
    published: Callable[[str], Entry], cache_folder: Path
) -> None:
    entry = published("sb3:ppo/Pong/1")
    fetched(entry)
    (cache_folder / "play").mkdir()
    for name, size in (("apex-Pong.zarr.zip", 30_000), ("dqn-Pong.zarr.zip", 20_000)):
        (cache_folder / "play" / name).write_bytes(bytes(size))
    listed = run("cache")
    assert "1 model, 2 recordings, 0.1 MB in" in listed.stdout
    assert "play:apex-Pong.zarr.zip" in listed.stdout
    facts = json.loads(run("cache", "play:*", "--json").stdout)
    assert [row["bytes"] for row in facts["play"]] == [30_000, 20_000] and not facts["models"]
    removed = run("cache", "play:apex*", "--prune")
    assert removed.stdout.startswith("removed play:apex-Pong.zarr.zip\n0 models, 1 recording")
    assert [path.name for path in (cache_folder / "play").iterdir()] == ["dqn-Pong.zarr.zip"]
    assert entry.is_here


def test_a_damaged_index_is_told(published: Callable[[str], Entry], cache_folder: Path) -> None:
    entry = published("sb3:ppo/Pong/1")
    cache_folder.mkdir()
    for text in ("[", "[]", '{"a": 7}', '{"a": {"size": 1}}'):
        (cache_folder / "index.json").write_text(text)
        with pytest.raises(ValueError, match="the index of what was fetched cannot be read"):
            fetched(entry)


def test_the_cache_is_where_the_platform_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("ATARI_ZOO_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.root().is_relative_to(tmp_path) and cache.root().name == "atari-zoo"


def test_several_files_come_at_a_time(server: Served, published: Callable[[str], Entry]) -> None:
    games = ("Pong", "Qbert", "Enduro", "Breakout")
    models = [published(f"sb3:ppo/{title}/1") for title in games]
    for path in server.files:
        server.trouble[path] = Trouble(pause=0.1, piece=10_000)
    assert [error for _, error in fetch_all(wanted_files(models))] == [None] * 4
    assert server.most_at_once > 1 and all(entry.is_here for entry in models)


@pytest.mark.parametrize("terminal", [True, False])
def test_each_file_has_a_bar_on_a_terminal_only(
    server: Served,
    published: Callable[[str], Entry],
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,
) -> None:
    entry = published("dopamine:iqn/Pong/1")
    for path in server.files:
        server.trouble[path] = Trouble(pause=0.1, piece=10_000)
    monkeypatch.setenv("TTY_COMPATIBLE", str(int(terminal)))
    monkeypatch.setenv("COLUMNS", "200")
    bars = run("fetch", entry.card.name).stderr
    shown = [file.place for file in entry.files if file.place in bars]
    assert shown == [file.place for file in entry.files if terminal]
    assert ("kB" in bars) == terminal


def test_ctrl_c_keeps_what_has_arrived(server: Served, published: Callable[[str], Entry]) -> None:
    entry = published("sb3:ppo/Pong/1")
    path = urlparse(entry.files[0].urls[0]).path
    whole = server.files[path] = np.random.default_rng(0).bytes(400_000)
    server.trouble[path] = Trouble(stall=30, piece=100_000)
    program = f"from atari_zoo.cli.fetch import fetch; fetch(['{entry.card.name}'])"
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    part = entry.path.with_name(f"{entry.path.name}.part")
    while not part.exists() or part.stat().st_size == 0:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) != 0  # it does not wait for the server
    begun = part.stat().st_size
    assert 0 < begun < len(whole) and part.read_bytes() == whole[:begun] and not entry.is_here
    server.trouble.clear()
    assert fetched(entry).read_bytes() == whole
    assert server.requests[-1].range == f"bytes={begun}-"
