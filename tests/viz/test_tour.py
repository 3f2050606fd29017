"""The tour: one page that needs nothing else, holds what was played, and runs no card's script."""

from __future__ import annotations

import base64
import dataclasses
import io
import socket
from html.parser import HTMLParser

import av
import numpy as np
import pytest
from PIL import Image

import atari_zoo as zoo
from atari_zoo.converters.cards import ModelCard, Preprocessing
from atari_zoo.converters.export.graph import network_to_onnx
from atari_zoo.converters.interchange import save_onnx
from atari_zoo.recordings.header import Header
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.pages.tour import decisive_steps, tour, whole_episodes

SCRIPT = "<script>alert('card')</script>"
STEPS, SCORE_STEPS = 24, 100
SHORT = Preprocessing(name="short", max_frames=160)  # 40 steps: episodes end within the play


class Page(HTMLParser):
    """Tags with their attributes, the page's words, its blocks of code."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words, self.blocks, self.inside = "", [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag
        if tag == "code":
            self.blocks.append("")

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside == "code":
            self.blocks[-1] += data
        elif self.inside not in ("style", "script"):
            self.words += data

    def sources(self, tag: str) -> list[str]:
        return [attrs.get("src") or "" for name, attrs in self.tags if name == tag]


def content(uri: str) -> bytes:
    return base64.b64decode(uri.partition(",")[2], validate=True)


@pytest.fixture(scope="module")
def toured(random_agent, tmp_path_factory):
    """An agent's file, the page made of it, and the progress told."""
    network = random_agent("Freeway", rule="argmax")
    network.card = network.card.replace(
        preprocessing=SHORT, source=SCRIPT, licence="A & B <b>", run=SCRIPT, frames=4_000_000
    )
    folder = tmp_path_factory.mktemp("tour")
    agent = folder / "agent.onnx"
    save_onnx(network_to_onnx(network), agent)
    ticks: list[tuple[int, int]] = []
    path = folder / "tour.html"
    tour(
        agent,
        path,
        steps=STEPS,
        score_steps=SCORE_STEPS,
        progress=lambda done, total: ticks.append((done, total)),
    )
    return agent, path, ticks


@pytest.fixture(scope="module")
def page(toured):
    return Page(toured[1].read_text(encoding="utf-8"))


def test_nothing_is_fetched_from_elsewhere(page):
    fetching = ("src", "srcset", "poster", "data", "action")
    loads = [(tag, attrs[a] or "") for tag, attrs in page.tags for a in fetching if a in attrs]
    assert len(loads) >= 1 + 1 + 3 * 3  # the movie, the filters, three pictures of each moment
    assert all(address.startswith("data:") for _, address in loads)
    assert not [attrs for tag, attrs in page.tags if tag in ("link", "iframe", "object", "base")]
    links = {attrs["href"] for tag, attrs in page.tags if "href" in attrs}
    assert links == {"https://arxiv.org/abs/1703.01365"}  # a citation, not a resource


def test_the_cards_words_are_words(page):
    assert len([1 for tag, _ in page.tags if tag == "script"]) == 1  # the page's own
    assert page.words.count(SCRIPT) >= 2  # source and name, readable as they are
    assert "A & B <b>" in page.words
    assert "4,000,000 emulator frames" in page.words
    assert "the last 4 screens, grey, 84 x 84 pixels" in page.words
    assert "(preprocessing 'short')" in page.words


def test_the_score_is_that_of_the_same_play(toured, page):
    """Against a second play with the same seed, counted from its episodes' ends."""
    network = zoo.load(toured[0])
    played = zoo.rollout(network, episodes=8, envs=4, seed=0)  # 100 steps hold two each of 40
    assert f"{played.returns.mean():,.1f} ± {played.returns.std(ddof=1):,.1f}" in page.words
    assert "8 whole episodes" in page.words
    game = zoo.game("Freeway")
    assert f"{game.random:,.1f}" in page.words
    assert f"{game.human:,.1f}" in page.words


def test_it_opens_with_the_movie_and_what_was_done_in_it(toured, page):
    kinds = [tag for tag, _ in page.tags if tag in ("video", "h2", "table")]
    assert kinds[0] == "video"
    played = zoo.rollout(zoo.load(toured[0]), steps=STEPS, envs=1, seed=0, keep=["outputs"])
    actions, outputs = played.actions[:, 0], played.outputs[:, 0]
    most = max(range(3), key=lambda action: int((actions == action).sum()))
    share = float((actions == most).mean())
    gaps = [float(outputs[i, a] - outputs[i].mean()) for i, a in enumerate(actions)]
    words = " ".join(page.words.split())
    assert f"chose {played.action_names[most]} most often, at {share:.0%} of them" in words
    assert f"stood out most at step {int(np.argmax(gaps))}, where" in words
    assert f"lay {max(gaps):.2g} above the mean of all actions" in words


def test_the_movie_is_whole(page):
    (source,) = page.sources("video")
    with av.open(io.BytesIO(content(source))) as file:
        assert sum(1 for _ in file.decode(video=0)) == STEPS


def test_the_pictures_are_pictures(page):
    for source in page.sources("img"):
        with Image.open(io.BytesIO(content(source))) as image:
            assert np.asarray(image).std() > 1


def test_the_lines_of_python_run_in_their_order(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec("\n".join(page.blocks), {})
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {"movie.mp4", "filters.png", "attribution.png"}
    assert "Score(finished=" in capsys.readouterr().out


def test_the_score_is_among_the_pixels():
    """What the page says: Pong's opponent scores, and digits at the observation's top change."""
    seen = zoo.rollout(zoo.load("a2c/Pong/1@initial"), steps=120, envs=1, keep=["screens"])
    before = seen.observations()[seen.scores[:, 0] == 0][-1, -1, :9].int()
    after = seen.observations()[seen.scores[:, 0] == -1][-1, -1, :9].int()
    assert (before - after).abs().max() > 50


@pytest.mark.parametrize("name", ["rainbow/Seaquest/1@2M", "apex/Pong/1", "es/Seaquest/1@initial"])
def test_starter_agents_of_other_heads_without_a_network(name, tmp_path, monkeypatch):
    def refused(*_):
        raise AssertionError("the tour asked for a connection")

    monkeypatch.setattr(socket.socket, "connect", refused)
    tour(name, tmp_path / "tour.html", steps=8, score_steps=8)
    page = Page((tmp_path / "tour.html").read_text(encoding="utf-8"))
    assert name in page.words and len(page.sources("img")) > 3
    assert all(content(uri) for uri in page.sources("img") + page.sources("video"))
    # what is explained: of values the margin, of a policy the output; and what is seen
    words, policy = " ".join(page.words.split()), name.startswith("es")
    assert ("exceeds the best other one" in words) != policy
    assert ("the best other; the contributions sum to" in words) != policy
    assert ("The number is the action's output." in words) == policy
    assert "no score." not in words and "shows one on its screen, it is among these pixels" in words


def test_progress_rises_to_the_end(toured):
    *_, ticks = toured
    done = [tick[0] for tick in ticks]
    assert done == sorted(done)
    assert ticks[-1] == (SCORE_STEPS + 2 * STEPS,) * 2


def test_a_place_that_no_page_has_is_told_before_the_work(tmp_path):
    for path, message in (
        (tmp_path / "nowhere" / "t.html", "there is no folder"),
        (tmp_path, "is"),
    ):
        with pytest.raises(OSError, match=message):
            tour("no/such/model", path)


def test_only_the_page_is_written(toured):
    assert {path.name for path in toured[1].parent.iterdir()} == {"agent.onnx", "tour.html"}


ODD = "</script><b> {{ 7*7 }} {% raw %} &amp; \u2028 \udcff"


def test_odd_texts_of_a_card_and_a_path_are_text(random_agent, tmp_path):
    """Markup, a template's own signs, and lone surrogates, which no UTF-8 file can hold."""
    network = random_agent("Freeway", rule="argmax")
    network.card = network.card.replace(
        algorithm=ODD,
        run=ODD,
        tag=ODD,
        collection=ODD,
        source=ODD,
        format=ODD,
        licence=ODD,
        sha256=ODD,
        action_meanings=(ODD,) * network.actions,
        preprocessing=dataclasses.replace(SHORT, name=ODD),
        scores={ODD: 1.0},
    )
    agent = tmp_path / f"{ODD.replace('/', '')}.onnx"
    save_onnx(network_to_onnx(network), agent)
    path = tmp_path / "tour.html"
    tour(agent, path, steps=8, score_steps=8)
    page = Page(path.read_text(encoding="utf-8"))
    assert len([1 for tag, _ in page.tags if tag == "script"]) == 1
    seen = ODD.replace("\udcff", "\N{REPLACEMENT CHARACTER}")
    name = f"{seen}:{seen}/Freeway/{seen}@{seen}"
    assert page.words.count(name) == 2  # title and heading
    # algorithm, run and tag, preprocessing, source and format, licence, SHA-256
    # and the action of each moment
    moments = page.words.count("Shared out: the output of")
    assert moments and page.words.count(seen) == 2 * 4 + 1 + 2 + 1 + 2 + 1 + 1 + moments
    assert repr(str(agent)) in page.blocks[0]


def recording_of(starts, rewards) -> Recording:
    """A recording of two lists for each environment."""
    arrays = {"starts": np.array(starts, bool).T, "rewards": np.array(rewards, np.float32).T}
    return Recording(Header(ModelCard(), "Pong", SHORT), arrays)


def test_counts_the_same_number_of_episodes_everywhere():
    """One environment ends three episodes, the other one: only the first of each count."""
    score = whole_episodes(
        recording_of([[1, 1, 1, 1, 0], [1, 0, 0, 1, 0]], [[1, 2, 4, 8, 9], [16, 1, 1, 5, 5]])
    )
    assert score.finished.tolist() == [1, 18]
    assert score.unfinished.tolist() == []


def test_tells_what_had_not_ended():
    score = whole_episodes(recording_of([[1, 1, 1], [1, 0, 0]], [[1, 2, 4], [8, 16, 32]]))
    assert score.finished.tolist() == [1]
    assert score.unfinished.tolist() == [56]


def test_decisive_steps_are_where_the_action_stood_out():
    outputs = np.zeros((60, 1, 3), np.float32)
    actions = np.ones((60, 1), int)
    outputs[10, 0, 1], outputs[11, 0, 1], outputs[40, 0, 1] = 5, 4, 3
    outputs[30, 0, 2] = 9  # large, but not the action that was taken
    recording = recording_of([[1] + [0] * 59], [[0] * 60])
    recording.outputs, recording.actions = outputs, actions
    assert decisive_steps(recording, count=2) == [10, 40]
    outputs[25, 0, 1] = 1  # stands out too little to need an explanation
    assert decisive_steps(recording, count=4) == [10, 40]
    recording.outputs = np.tile(np.array([2, 0, 1], np.float32), (60, 1, 1))
    assert len(decisive_steps(recording)) == 1  # also where no action taken stood out
