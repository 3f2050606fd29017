"""Displays in a notebook: what is shown, that text stays text, and a real kernel that shows it."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import av
import nbclient
import nbformat
import numpy as np
import pandas
import pytest
import torch
from PIL import Image

import atari_zoo as zoo
from atari_zoo.analysis.results import Made, Result
from atari_zoo.converters.cards import ModelCard
from atari_zoo.viz.attribution.cases import Attribution
from atari_zoo.viz.displays.recordings import FPS, STEPS
from atari_zoo.viz.images import diverging
from atari_zoo.viz.patches import patches
from atari_zoo.viz.render import render
from atari_zoo.viz.render.ascent import Settings

HOSTILE = "<script>alert(1)</script>&\"'"


class Tags(HTMLParser):
    """The tags of a page, with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def only(self, tag: str) -> dict[str, str | None]:
        (found,) = (attributes for name, attributes in self.found if name == tag)
        return found


def content(uri: str | None) -> bytes:
    return base64.b64decode((uri or "").partition("base64,")[2])


@pytest.fixture(scope="module")
def agent(random_agent: Callable[..., Any]) -> Any:
    return random_agent("Pong")


@pytest.fixture(scope="module")
def play(agent: Any) -> Any:
    return zoo.rollout(agent, steps=20, envs=2, keep=["screens", "frames", "outputs"])


def test_a_recording_is_a_movie_of_its_first_steps(play: Any) -> None:
    page = play._repr_html_()
    video = Tags(page).only("video")
    assert "controls" in video and "steps 0 to 19 of 20, environment 0 of 2" in page
    with av.open(io.BytesIO(content(video["src"]))) as movie:
        (stream,) = movie.streams.video
        shown = [frame.to_ndarray(format="rgb24") for frame in movie.decode(stream)]
        assert stream.codec_context.name == "h264" and stream.average_rate == FPS
    assert len(shown) == 20
    kept = np.asarray(play.frames[:, 0]).astype(float)
    apart = [[np.abs(picture[::2, ::2] - frame).mean() for frame in kept] for picture in shown]
    for step in (0, 10, 19):
        assert apart[step][step] <= min(apart[step]) + 0.05 and apart[step][step] < 8


def test_of_a_long_one_only_so_many_steps_are_shown(play: Any) -> None:
    arrays = {
        "screens": np.zeros((STEPS + 50, 1, 84, 84), np.uint8),
        "starts": np.zeros((STEPS + 50, 1), bool),
    }
    long = zoo.Recording(play.header, arrays)
    assert f"steps 0 to {STEPS - 1} of {STEPS + 50}" in long._repr_html_()
    bare = zoo.Recording(play.header, {"starts": arrays["starts"]})
    assert bare._repr_html_() is None


def test_a_card_is_a_table_and_its_texts_are_text() -> None:
    card = ModelCard("dqn", "Pong", run=HOSTILE, source=HOSTILE, assumptions=("\udcff", HOSTILE))
    page = card._repr_html_()
    assert "<script" not in page and page.count("&lt;script&gt;") == 3
    page.encode()
    known = zoo.load("dqn/Pong/1").card
    cells = re.findall(r"<td[^>]*>(.*?)</td>", known._repr_html_())
    assert f"{known.frames:,}" in cells and "Pong" in cells and "" not in cells


def test_a_result_has_its_first_rows_and_says_how_sure_they_are() -> None:
    rows = pandas.DataFrame({"agent": [HOSTILE] * 12, "value": np.arange(12) / 7})
    page = Result(rows, "Of one run: " + HOSTILE)._repr_html_()
    assert "<script" not in page and "The first 10 of 12 rows." in page and "0.1429" in page
    assert page.count("<tr") == 11 and not any(tag == "img" for tag, _ in Tags(page).found)


def test_a_result_shows_the_picture_of_its_analysis(agent: Any, play: Any) -> None:
    from atari_zoo.analysis.peaks import unit_peaks

    result = unit_peaks(agent, play, layer="fc", units=[1, 2])
    image = Tags(result._repr_html_()).only("img")
    assert image["alt"] == "The picture of peaks"
    assert Image.open(io.BytesIO(content(image["src"]))).width > 300
    damaged = Result(result.table, "", made=Made("nothing of that name"))
    assert "<img" not in damaged._repr_html_()


def test_attributions_have_one_scale(agent: Any) -> None:
    values = torch.zeros(6, 4, 84, 84)
    values[0, 3, :42], values[1, 0, 42:] = 2.0, -1.0
    page = Attribution(values, torch.tensor([0.5, -0.25, 0, 0, 0, 0]))._repr_html_()
    image = np.asarray(Image.open(io.BytesIO(content(Tags(page).only("img")["src"]))))
    assert image.shape == (4 * 168 + 6, 4 * 168 + 6, 3)
    colour = {value: tuple(diverging(np.array(value), 2.0)) for value in (2.0, -1.0, 0.0)}
    assert tuple(image[10, 3 * 170 + 10]) == colour[2.0]
    assert tuple(image[170 + 160, 10]) == colour[-1.0]
    assert tuple(image[2 * 170 + 10, 10]) == colour[0.0]
    assert "observations 0 to 3 of 6" in page and "by 0.5 at most" in page
    assert Attribution(values[:0])._repr_html_() is None


def test_images_and_patches_show_what_they_would_save(agent: Any, play: Any) -> None:
    drawn = render(agent, "fc:1", settings=Settings(steps=2))
    assert "Images made to raise fc:1" in drawn._repr_html_()
    (found,) = patches(agent, play, "fc", [1])
    page = found._repr_html_()
    assert "fc:1: top patches of 40 observations." in page
    for thing in (drawn._repr_html_(), page):
        assert Image.open(io.BytesIO(content(Tags(thing).only("img")["src"]))).width > 100


def test_a_kernel_shows_them() -> None:
    cells = [
        "import atari_zoo as zoo",
        "played = zoo.rollout('a2c/Pong/1', steps=8, envs=1, keep=['frames'])\nplayed",
        "played.card",
        "zoo.list_models(game='Pong')",
        "from atari_zoo.progress import progress_bar\n"
        "with progress_bar('<b>looking</b>', 'steps') as update:\n"
        "    for done in range(1, 8):\n"
        "        update(done, 7)",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3").execute()
    outputs = [cell.outputs[-1]["data"] for cell in book.cells[1:]]
    bar = '<progress value="7" max="7" style="width:20em"></progress> &lt;b&gt;looking'
    for data, wanted in zip(outputs, ("<video", "<table>", "<table>", bar), strict=True):
        assert wanted in data["text/html"]
    assert len(book.cells[-1].outputs) == 1  # one bar, however often it moves
    assert outputs[0]["text/plain"].startswith("<Recording of a2c/Pong/1 in Pong: 8 steps")
