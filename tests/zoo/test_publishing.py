"""What is published is a folder that the zoo and the Hub's own library read; a small Hub, served
on this machine as huggingface.co's API is documented, gets it byte for byte."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import ale_py
import av
import gymnasium
import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from architectures import network as random_network
from huggingface_hub import ModelCard as HubCard
from huggingface_hub import constants, metadata_load
from markdown_it import MarkdownIt
from safetensors import safe_open
from typer.testing import CliRunner

import atari_zoo as zoo
from atari_zoo.cli.app import app as cli
from atari_zoo.converters import ModelCard, save_onnx, to_onnx
from atari_zoo.converters.cards import PREPROCESSINGS, Preprocessing
from atari_zoo.games import game
from atari_zoo.publishing import PublishingError, build_repository, push
from atari_zoo.publishing_pages import environment_id, metadata, model_page

FILES = {"model.onnx", "model.safetensors", "card.json", "README.md"}
PUSH = """
from atari_zoo.__main__ import main
main()
"""


class Hub(ThreadingHTTPServer):
    """The part of the Hub's API that publishing needs.

    refusal: (path, status, words), what is answered there instead.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.repositories: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.objects: dict[str, bytes] = {}
        self.commits = 0
        self.tokens: set[str] = set()
        self.refusal: tuple[str, int, str] = ("", 0, "")


class Answers(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(b"")

    def do_POST(self) -> None:
        self.answer(self.content())

    def do_PUT(self) -> None:
        self.answer(self.content())

    def content(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers["Content-Length"]))

    def answer(self, content: bytes) -> None:
        if "Authorization" in self.headers:
            self.server.tokens.add(self.headers["Authorization"])
        path, status, words = self.server.refusal
        if path and self.path.startswith(path):
            return self.send(status, {"error": words})
        for pattern, method in ROUTES.items():
            if found := re.fullmatch(pattern, self.path):
                return self.send(*method(self.server, content, *found.groups()))
        return self.send(404, {"error": f"no {self.path}"})

    def send(self, status: int, answer: Any) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: Any) -> None:
        pass


def create(hub: Hub, content: bytes) -> tuple[int, Any]:
    asked = json.loads(content)
    name = f"{asked['organization']}/{asked['name']}"
    answer = {"url": f"{hub.address}/{name}", "name": name}
    if name in hub.repositories:
        return 409, answer | {"error": "You already created this model repo"}
    hub.repositories[name] = {"private": asked.get("visibility") == "private"}
    return 200, answer


def info(hub: Hub, content: bytes, name: str) -> tuple[int, Any]:
    if name not in hub.repositories:
        return 404, {"error": "Repository not found"}
    return 200, {"id": name, "private": hub.repositories[name]["private"]}


def check_page(hub: Hub, content: bytes) -> tuple[int, Any]:
    _, head, _ = json.loads(content)["content"].split("---\n", 2)
    licence = yaml.safe_load(head)["license"]
    errors = [] if re.fullmatch(r"[a-z0-9.-]+", licence) else [{"message": f"licence {licence}"}]
    return 400 if errors else 200, {"errors": errors, "warnings": []}


def modes(hub: Hub, content: bytes, name: str) -> tuple[int, Any]:
    """The Hub keeps weights as large files, texts in git itself."""
    large = (".onnx", ".safetensors")
    files = [
        {
            "path": file["path"],
            "uploadMode": "lfs" if file["path"].endswith(large) else "regular",
            "shouldIgnore": False,
        }
        for file in json.loads(content)["files"]
    ]
    return 200, {"files": files}


def batch(hub: Hub, content: bytes, name: str) -> tuple[int, Any]:
    objects = [
        asked | {"actions": {"upload": {"href": f"{hub.address}/lfs/{asked['oid']}"}}}
        for asked in json.loads(content)["objects"]
    ]
    return 200, {"transfer": "basic", "objects": objects}


def store(hub: Hub, content: bytes, oid: str) -> tuple[int, Any]:
    if hashlib.sha256(content).hexdigest() != oid:
        return 400, {"error": "another hash"}
    hub.objects[oid] = content
    return 200, {}


def commit(hub: Hub, content: bytes, name: str) -> tuple[int, Any]:
    for line in map(json.loads, content.splitlines()):
        value = line["value"]
        if line["key"] == "file":
            hub.files[value["path"]] = base64.b64decode(value["content"])
        elif line["key"] == "lfsFile":
            hub.files[value["path"]] = hub.objects[value["oid"]]
    hub.commits += 1
    return 200, {"commitOid": "0" * 40, "commitUrl": f"{hub.address}/{name}/commit/0"}


ROUTES = {
    "/api/repos/create": create,
    "/api/validate-yaml": check_page,
    r"/api/models/(\w+/[\w-]+)": info,
    r"/api/models/(\w+/[\w-]+)/preupload/main": modes,
    r"/api/models/(\w+/[\w-]+)/commit/main": commit,
    r"/(\w+/[\w-]+)\.git/info/lfs/objects/batch": batch,
    "/lfs/([0-9a-f]{64})": store,
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A Hub that this process's huggingface_hub talks to; its user has a token."""
    with serving() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", "hf_mine")
        yield server


@contextmanager
def serving() -> Iterator[Hub]:
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository of the package's own agent."""
    folder = tmp_path_factory.mktemp("pages") / "new"
    paths = build_repository("a2c/Pong/1", folder, "me/pong")
    assert {path.name for path in paths} == FILES == {path.name for path in folder.iterdir()}
    return folder


def test_the_network_is_the_same(folder):
    network = zoo.load("a2c/Pong/1")
    seen = torch.rand(3, 4, 84, 84)
    again = zoo.load(folder / "model.onnx")
    assert again.card == network.card
    torch.testing.assert_close(again(seen), network(seen), atol=0, rtol=0)
    session = onnxruntime.InferenceSession(
        folder / "model.onnx", providers=["CPUExecutionProvider"]
    )
    (output, *_) = session.run(["output"], {session.get_inputs()[0].name: seen.numpy()})
    # float32 sums in another order
    np.testing.assert_allclose(output, network(seen).detach(), atol=1e-4)


def test_the_weights_are_the_same(folder):
    network = zoo.load("a2c/Pong/1")
    with safe_open(folder / "model.safetensors", "pt") as file:
        card = ModelCard.from_json(file.metadata()["atari_zoo.card"])
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert card == network.card == ModelCard.from_json((folder / "card.json").read_text())
    assert weights.keys() == network.state_dict().keys()
    for name, value in network.state_dict().items():
        torch.testing.assert_close(weights[name], value, atol=0, rtol=0)


def test_the_hubs_library_reads_the_page(folder):
    card = HubCard.load(folder / "README.md")
    assert (card.data.license, card.data.library_name) == ("apache-2.0", "atari-zoo")
    assert {"reinforcement-learning", "atari", "a2c", "Pong"} <= set(card.data.tags)
    (result,) = card.data.eval_results
    scores = zoo.load("a2c/Pong/1").card.scores
    assert (result.metric_type, result.dataset_name) == ("mean_reward", "PongNoFrameskip-v4")
    returns = np.array(scores["returns"])
    assert result.metric_value == f"{returns.mean():.2f} +/- {returns.std(ddof=1):.2f}"
    assert metadata_load(folder / "README.md")["model-index"][0]["name"] == "a2c/Pong/1"


def test_the_page_renders_and_tells_the_facts(folder):
    page = HubCard.load(folder / "README.md").text
    tokens = MarkdownIt("commonmark").enable("table").parse(page)
    assert [token.type for token in tokens].count("table_open") == 4
    assert next(t.content for t in tokens if t.type == "inline") == "a2c/Pong/1"
    rows = dict(re.findall(r"^\| (.+?) \| (.+?) \|", page, re.MULTILINE))
    for file in sorted(FILES - {"README.md"}):
        digest = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        assert rows[file] == f"`{digest}`"
    assert rows["mean return"] == "18.53" and rows["random play"] == "-20.7"
    assert rows["max_pool"] == "grey" and rows["noops"] == "30" and rows["fire_reset"] == "yes"
    assert rows["licence"] == "Apache-2.0" and rows["source"] == "trained by the Atari Zoo"
    assert "samples its action" in page and "`RIGHTFIRE`" in page
    assert 'hf_hub_download("me/pong", "model.onnx")' in page


def test_the_pages_program_runs(tmp_path, monkeypatch, capsys):
    build_repository(random_network("q"), tmp_path)
    page = HubCard.load(tmp_path / "README.md").text
    program = re.search(r"```python\n(.+?)```", page, re.DOTALL)[1]
    assert "hf_hub_download" not in program  # it is not known where it will be
    monkeypatch.chdir(tmp_path)
    played: list[Any] = []
    monkeypatch.setattr(zoo, "rollout", lambda *words, **more: Rollout(played.append(words[0])))
    exec(program, {})
    assert played[0].actions == 6


class Rollout:
    def __init__(self, nothing: None) -> None:
        self.returns = np.array([1.0, 2.0])


def test_a_movie_and_hyperparameters_stand_on_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr("atari_zoo.cli.push.STEPS", 20)
    done = CliRunner().invoke(
        cli, ["push", "a2c/Pong/1", "me/pong", "--dry-run", "-o", str(tmp_path / "pages")]
    )
    assert done.exit_code == 0, done.output
    page = HubCard.load(tmp_path / "pages" / "README.md")
    assert "`replay.mp4` shows the beginning of an episode of 20 steps, in which" in page.text
    assert "The environment is `PongNoFrameskip-v4`" in page.text
    assert "pip install 'atari-zoo[hub]'" in page.text and "are not stated" in page.text
    assert "PongNoFrameskip-v4" in page.data.tags
    with av.open(str(tmp_path / "pages" / "replay.mp4")) as file:
        assert sum(1 for _ in file.decode(video=0)) == 20
    played = {"rate": 0.1, "preprocessing": {"name": "vector"}, "a|b": "c|d"}
    page = model_page(ModelCard("a2c", "Pong"), 1, {}, "", trained_with=played)
    assert "| `rate` | 0.1 |" in page


@pytest.mark.parametrize(
    ("preprocessing", "told"), [("vector", "PongNoFrameskip-v4"), ("dopamine", "ALE/Pong-v5")]
)
def test_the_environment_is_gymnasiums(preprocessing, told):
    card = ModelCard("dqn", "pong", preprocessing=PREPROCESSINGS[preprocessing])
    assert environment_id(card) == told
    gymnasium.register_envs(ale_py)
    assert gymnasium.spec(told)
    assert environment_id(ModelCard("dqn", "Nothing")) == ""


def test_every_field_of_the_preprocessing_is_told():
    card = ModelCard("es", "Pong", preprocessing=PREPROCESSINGS["baby-a3c"])
    page = model_page(card, 1, {}, "somebody/agent")
    for field in fields(Preprocessing):
        if field.name != "name":
            assert f"| {field.name}" in page.replace("\\", "").replace("`", ""), field.name
    assert "35" in page and "195" in page


@pytest.mark.parametrize(
    "licence, told",
    [
        ("MIT", {"license": "mit"}),
        ("", {"license": "unknown"}),
        ("Uber Non-Commercial", {"license": "other", "license_name": "uber-non-commercial"}),
    ],
)
def test_licences_have_the_hubs_names(licence, told):
    found = metadata(ModelCard("es", "Pong", licence=licence))
    assert {key: found[key] for key in found if key.startswith("license")} == told


def test_a_card_that_tells_little_makes_a_page_still(tmp_path):
    unknown = random_network("q")
    unknown.card = ModelCard()
    build_repository(unknown, tmp_path)
    card = HubCard.load(tmp_path / "README.md")
    assert card.data.license == "unknown" and card.data.eval_results is None
    assert "It was not measured." in card.text and "a game it does not name" in card.text


def test_a_card_cannot_break_the_page(tmp_path):
    of = random_network("q")
    odd = "me | you\n---\n# no heading"
    of.card = ModelCard(
        "dqn",
        "Breakout",
        "1\n# no",
        source=odd,
        licence=odd,
        action_rule="epsilon-greedy",
        preprocessing=PREPROCESSINGS["dopamine"],
        scores={"mean": "high"},
    )
    build_repository(of, tmp_path)
    card = HubCard.load(tmp_path / "README.md")
    assert "| source | me \\| you --- # no heading |" in card.text
    tokens = MarkdownIt("commonmark").enable("table").parse(card.text)
    headings = [t.tag for t in tokens if t.type == "heading_open"]
    assert headings == ["h1"] + ["h2"] * 7


ODD = "</script><b> {{ 7*7 }} \udcff `*_x_* [y](z) | &amp; $1$ ~~q~~ ``` #"


def test_the_texts_of_a_card_are_text(tmp_path):
    """Whatever they hold: in a parsed page they are words and code, and nothing else."""
    network = random_network("q")
    network.card = ModelCard(
        ODD,
        ODD,
        ODD,
        tag=ODD,
        collection=ODD,
        source=ODD,
        format=ODD,
        licence=ODD,
        sha256=ODD,
        action_meanings=(ODD,) * 6,
        action_rule=ODD,
        preprocessing=Preprocessing(name=ODD),
        frames=8,
        scores={"mean": 1.0, "episodes": ODD},
    )
    build_repository(network, tmp_path)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    card = HubCard(text)
    seen = ODD.replace("\udcff", "\N{REPLACEMENT CHARACTER}")
    assert seen in card.data.tags and card.data.license == "other"
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(card.text)
    inline = [token.children for token in tokens if token.type == "inline"]
    kinds = {child.type for children in inline for child in children}
    assert kinds <= {"text", "code_inline", "softbreak", "text_special"}
    assert {token.type for token in tokens} & {"html_block", "hr", "code_block"} == set()
    lines = ["".join(child.content for child in children) for children in inline]
    name = f"{seen}:{seen}/{seen}/{seen}@{seen}"
    assert lines[0] == name
    # source, format, SHA-256, licence, episodes, the preprocessing's name
    assert lines.count(seen) == 6
    assert sum(line.count(seen) for line in lines) == 5 + 1 + 6 + 6


def test_a_file_of_another_architecture_is_published_as_it_is(tmp_path):
    class Small(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(4, 3, 5, stride=4)
            self.out = torch.nn.Linear(3 * 10 * 10, 6)

        def forward(self, seen: torch.Tensor) -> torch.Tensor:
            pooled = torch.max_pool2d(torch.sigmoid(self.conv(seen)), 2)
            return self.out(pooled.flatten(1))

    seen, small = torch.rand(2, 4, 84, 84), Small()
    names = {"input_names": ["observations"], "output_names": ["output"]}
    torch.onnx.export(small, (seen,), tmp_path / "small.onnx", dynamo=False, **names)
    with pytest.warns(UserWarning, match="assumed pixels from 0 to 1"):
        build_repository(tmp_path / "small.onnx", tmp_path / "pages")
    with pytest.warns(UserWarning, match="assumed pixels from 0 to 1"):
        again = zoo.load(tmp_path / "pages" / "model.onnx")
    torch.testing.assert_close(again(seen), small(seen), atol=1e-5, rtol=0)
    with pytest.raises(PublishingError, match="give the file"):
        build_repository(again, tmp_path / "more")


def test_building_again_gives_the_same_bytes(folder, tmp_path):
    build_repository("a2c/Pong/1", tmp_path, "me/pong")
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_the_command_publishes_byte_for_byte(folder, tmp_path):
    with serving() as hub:
        done = run(tmp_path, hub.address, "a2c/pong/1", "me/pong", "--no-replay")
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == f"{hub.address}/me/pong"
        assert hub.files == {name: (folder / name).read_bytes() for name in FILES}
        assert hub.commits == 1 and hub.tokens == {"Bearer hf_mine"}
        assert hub.repositories == {"me/pong": {"private": False}}


def test_the_command_can_be_tried_without_a_network(folder, tmp_path):
    words = ("--no-replay", "--dry-run", "-o", "pages")
    done = run(tmp_path, "http://127.0.0.1:9", "a2c/Pong/1", "me/pong", *words)
    assert done.returncode == 0, done.stderr
    assert {Path(line).name for line in done.stdout.split()} == FILES
    for name in FILES:
        assert (tmp_path / "pages" / name).read_bytes() == (folder / name).read_bytes()


def run(folder: Path, endpoint: str, *words: str) -> subprocess.CompletedProcess[str]:
    """`atari-zoo push` in a process of its own, its Hub at `endpoint`."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment |= {"HF_ENDPOINT": endpoint, "HF_TOKEN": "hf_mine", "HF_HOME": str(folder)}
    environment["HF_HUB_DISABLE_XET"] = "1"  # the Hub's other way to take large files
    return subprocess.run(
        [sys.executable, "-c", PUSH, "push", *words],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=folder,
        env=environment,
    )


def test_a_second_push_adds_a_commit(hub):
    for count in (1, 2):
        address = push(random_network("q"), "me/agent", token="hf_other", private=True)
        assert address == f"{hub.address}/me/agent" and hub.commits == count
    assert hub.tokens == {"Bearer hf_other"}
    assert hub.repositories == {"me/agent": {"private": True}}


def test_what_is_to_be_private_does_not_go_where_all_can_see(hub):
    hub.repositories["me/agent"] = {"private": False}
    with pytest.raises(PublishingError, match="me/agent is there and public"):
        push(random_network("q"), "me/agent", private=True)
    assert hub.commits == 0 and not hub.files


@pytest.mark.parametrize(
    "refusal, message",
    [
        (("/api/repos", 401, "Invalid token"), r"answered 401 \(Invalid token\): the token is not"),
        (("/api/repos", 403, "No rights"), r"answered 403 \(No rights\): the token may not write"),
        (("/api/models/me/agent/commit", 403, ""), "answered 403: the token may not write"),
        (("/api/models/me/agent/pre", 404, "Gone"), r"answered 404 \(Gone\): there is no such"),
        (("/api/validate-yaml", 400, "Bad page"), r"answered 400 \(Bad page\): it takes the page"),
        (("/lfs/", 403, "Denied"), "answered 403.*: the token may not write"),
        (("/api/repos", 500, "Broken"), r"answered 500 \(Broken\): try again later"),
    ],
)
def test_what_the_hub_refuses_is_one_line(hub, refusal, message):
    hub.refusal = refusal
    with pytest.raises(PublishingError, match=f"^me/agent: .*{message}") as caught:
        push(random_network("q"), "me/agent")
    assert "\n" not in str(caught.value) and "hf_mine" not in str(caught.value)
    assert hub.commits == 0


@pytest.mark.parametrize("repo", ["agent", "me/agent/one", "me/", "https://huggingface.co/me/x"])
def test_names_that_no_repository_has(hub, repo):
    with pytest.raises(PublishingError, match=f"'{repo}' is no repository's name; give user/name"):
        push("a2c/Pong/1", repo)
    assert not hub.repositories


def test_without_a_token(hub, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(PublishingError, match=rf"no token for {hub.address}: .*`hf auth login`"):
        push("a2c/Pong/1", "me/agent")


def test_without_a_connection(hub, monkeypatch):
    with serving() as gone:
        pass
    monkeypatch.setattr(constants, "ENDPOINT", gone.address)
    with pytest.raises(PublishingError, match=f"no answer from {gone.address} .*a connection"):
        push(random_network("q"), "me/agent")


def test_offline(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(PublishingError, match="HF_HUB_OFFLINE is set"):
        push(random_network("q"), "me/agent")


def test_without_the_hubs_library(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(PublishingError, match=r"pip install 'atari-zoo\[hub\]'"):
        build_repository(random_network("q"), tmp_path)


def test_a_name_that_no_model_has(hub):
    with pytest.raises(zoo.UnknownModel, match="did you mean"):
        push("a2c/Pnog/1", "me/agent")


def test_an_agents_file_is_published_with_its_card(tmp_path):
    card = ModelCard("dqn", "Pong", "7", action_meanings=game("Pong").actions)
    save_onnx(to_onnx(random_network("q"), card), tmp_path / "agent.onnx")
    build_repository(str(tmp_path / "agent.onnx"), tmp_path / "pages")
    assert zoo.load(tmp_path / "pages" / "model.onnx").card == card
