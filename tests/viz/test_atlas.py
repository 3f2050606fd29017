"""The atlas: one page that needs nothing else, whose every patch is what the unit saw."""

from __future__ import annotations

import base64
import io
import json
import re
from copy import copy, deepcopy
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close
from typer.testing import CliRunner

import atari_zoo as zoo
from atari_zoo.analysis.peaks import peaks
from atari_zoo.cli.app import app
from atari_zoo.converters.cards import ModelCard, Preprocessing
from atari_zoo.converters.export.graph import network_to_onnx
from atari_zoo.converters.interchange import save_onnx
from atari_zoo.converters.network.heads import ActorCriticHead, CategoricalHead, QHead
from atari_zoo.converters.network.hooks import recorded
from atari_zoo.converters.network.networks import SAME, MnihNetwork, Trunk, mnih_convolutions
from atari_zoo.converters.network.receptive_fields import receptive_field
from atari_zoo.games import game as find_game
from atari_zoo.preprocessing.native_boxes import native_box
from atari_zoo.recordings.header import Header
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.pages.atlas import atlas, atlas_layers
from atari_zoo.viz.pages.atlas_images import atlas_images
from atari_zoo.viz.pages.atlas_links import Linked
from atari_zoo.viz.pages.templates import script_json
from atari_zoo.viz.patches.moments import Selection, settled_moments
from atari_zoo.viz.sheets import packed, png_file

STEPS, ENVS, EPISODE = 30, 2, 11
# numbers of the observations whose four frames are all there
SETTLED = [n for n in range(STEPS * ENVS) if n // ENVS % EPISODE >= 3]
SCRIPT = "</script><script>alert('card')</script>"
UNITS = {"conv1": 4, "conv2": 5, "conv3": 6, "fc": 9, "value": 1, "output": 18}
DEAD = {"conv3": 2, "fc": 7}


class Page(HTMLParser):
    """Tags with their attributes, the words, the script's data, and the sheets."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words, self.style, self.json, self.inside = "", "", "", ""
        self.feed(html)
        self.data = json.loads(self.json)
        found = re.findall(r"\.(\w+)-(\d+) \{ background-image: url\((\S+)\); \}", self.style)
        self.sheets = {(kind, int(number)): picture(uri) for kind, number, uri in found}

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = "json" if dict(attrs).get("type") == "application/json" else tag

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        name = self.inside if self.inside in ("style", "json") else "words"
        if self.inside != "script":
            setattr(self, name, getattr(self, name) + data)

    def cut(self, kind: str, place: int) -> np.ndarray:
        """One picture, as the page's script finds it."""
        sheet = self.data["sheets"][kind]
        at = place % sheet["each"]
        top, left = at // sheet["columns"] * sheet["height"], at % sheet["columns"] * sheet["width"]
        whole = self.sheets[kind, place // sheet["each"]]
        return whole[top : top + sheet["height"], left : left + sheet["width"]]


def picture(uri: str) -> np.ndarray:
    content = base64.b64decode(uri.partition(",")[2], validate=True)
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("L" if image.mode == "L" else "RGB"))


@pytest.fixture(scope="module")
def network() -> MnihNetwork:
    torch.manual_seed(0)
    actions = find_game("Seaquest").actions
    trunk = Trunk(mnih_convolutions((4, 5, 6), SAME), units=9)
    card = ModelCard("a2c", "Seaquest", SCRIPT, action_meanings=actions)
    made = MnihNetwork(trunk, ActorCriticHead(9, len(actions)), card).eval()
    torch.nn.init.constant_(made.layers["conv3"].conv.weight[DEAD["conv3"]], -1)
    torch.nn.init.constant_(made.layers["conv3"].conv.bias[DEAD["conv3"]], -1)
    torch.nn.init.zeros_(made.layers["fc"].linear.weight[DEAD["fc"]])
    return made


@pytest.fixture(scope="module")
def recording(network) -> Recording:
    random = np.random.default_rng(4)
    starts = np.arange(STEPS)[:, None] % EPISODE == np.zeros(ENVS, int)
    arrays = {
        "screens": random.integers(0, 256, (STEPS, ENVS, 84, 84), np.uint8),
        "starts": starts,
        "colours": random.integers(0, 4, (STEPS, ENVS, 210, 160, 3), np.uint8) * 60,
        "rewards": np.ones((STEPS, ENVS), np.float32),
    }
    return Recording(Header(network.card, "Seaquest", Preprocessing()), arrays)


@pytest.fixture(scope="module")
def images() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    layers = {"conv3": 6, "output": 18}
    return {
        name: torch.rand((count, 4, 84, 84), generator=generator) for name, count in layers.items()
    }


@pytest.fixture(scope="module")
def page(network, recording, images, tmp_path_factory) -> Page:
    path = tmp_path_factory.mktemp("atlas") / "atlas.html"
    ticks: list[tuple[int, int]] = []
    told = ticks.append
    atlas(
        network,
        recording,
        path,
        images,
        selection=Selection(4, apart=3),
        progress=lambda *tick: told(tick),
    )
    assert [path] == list(path.parent.iterdir())
    assert ticks == sorted(ticks) and ticks[-1] == (STEPS * ENVS * len(UNITS),) * 2
    return Page(path.read_text(encoding="utf-8"))


def layer(page: Page, name: str) -> dict:
    return next(row for row in page.data["layers"] if row["name"] == name)


def test_nothing_is_fetched_from_elsewhere(page):
    fetching = ("src", "srcset", "poster", "href", "action")
    assert not [attrs for _, attrs in page.tags for name in fetching if name in attrs]
    assert not [1 for tag, _ in page.tags if tag in ("link", "iframe", "object", "base", "img")]
    assert set(re.findall(r"url\((\w+):", page.style)) == {"data"}
    policy = next(a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a)
    assert "default-src 'none'" in policy


def test_the_cards_words_are_words(page):
    assert len([1 for tag, _ in page.tags if tag == "script"]) == 2  # the data, and the page's own
    assert page.words.count(SCRIPT) == 2  # title and heading, readable as they are
    assert page.data["name"] == f"a2c/Seaquest/{SCRIPT}"


@pytest.mark.parametrize("text", ["</script>", "<!--", "a & b", "\u2028", "caf\u00e9"])
def test_json_in_a_script_is_safe_and_the_same(text):
    safe = script_json({"name": text, "list": [text]})
    assert not set("<>&\u2028\u2029") & set(safe)
    assert json.loads(safe) == {"name": text, "list": [text]}


def test_no_number_is_left_that_json_has_not():
    with pytest.raises(ValueError, match="not JSON compliant"):
        script_json({"value": float("nan")})


def test_every_unit_of_every_layer_is_there(page):
    assert {row["name"]: len(row["units"]) for row in page.data["layers"]} == UNITS
    assert {row["name"]: row["field"] for row in page.data["layers"]} == {
        "conv1": [8, 8],
        "conv2": [20, 20],
        "conv3": [36, 36],
        **{name: [84, 84] for name in ("fc", "value", "output")},
    }


@pytest.mark.parametrize("name", UNITS)
def test_units_are_as_all_observations_at_once_tell(network, recording, page, name):
    """Values, histogram, share, and the best moments, from plain tensors; without the first
    observations of an episode, whose older frames are black."""
    seen = torch.stack([recording.observations(env) for env in range(ENVS)], dim=1).flatten(0, 1)
    found = peaks(network, seen, name)
    for number, unit in enumerate(layer(page, name)["units"]):
        values = found.values[SETTLED, number].double()
        # the page's numbers have four digits
        assert unit["high"] == pytest.approx(float(values.max()), rel=1e-3, abs=1e-6)
        assert unit["low"] == pytest.approx(float(values.min()), rel=1e-3, abs=1e-6)
        above = found.above[SETTLED, number].double().mean()
        assert unit["share"] == pytest.approx(float(above), rel=1e-3)
        assert sum(unit["histogram"]) == len(values)
        every = found.values[:, number]
        never = name in ("conv1", "conv2", "conv3", "fc") and float(every.max()) <= 0
        assert unit["dead"] == (never or every.unique().numel() == 1)
        assert unit["dead"] or DEAD.get(name) != number
        best = {"top": SETTLED[int(values.argmax())], "bottom": SETTLED[int(values.argmin())]}
        for which in ("top", "bottom", "random"):
            moments = [page.data["moments"][spot[0]][:2] for spot in unit[which]]
            assert {int(step) * ENVS + int(env) for step, env in moments} <= set(SETTLED)
            if which in best:
                assert tuple(moments[0]) == divmod(best[which], ENVS)
                ranked = [spot[1] for spot in unit[which]]
                assert ranked == sorted(ranked, reverse=which == "top")
            else:  # the control's are the same for all units
                first = page.data["layers"][0]["units"][0]["random"]
                assert [spot[0] for spot in unit[which]] == [spot[0] for spot in first]
            for spot, (step, env) in zip(unit[which], moments, strict=True):
                at = int(step) * ENVS + int(env)
                place = int(found.rows[at, number]), int(found.columns[at, number])
                field = receptive_field(network, name, *place)
                box, native = field.seen, native_box(field.seen, (210, 160), Preprocessing())
                assert spot[2:] == [
                    *(field.whole.top, field.whole.left),
                    *(box.top, box.left, box.height, box.width),
                    *(native.top, native.left, native.height, native.width),
                ]


def test_the_sheets_hold_what_was_seen(recording, page):
    assert len(page.data["moments"]) > 20
    for place, (step, env, score) in enumerate(page.data["moments"]):
        step, env = int(step), int(env)
        strip = np.concatenate(list(recording.observations(env)[step].numpy()), axis=1)
        np.testing.assert_array_equal(page.cut("screen", place), strip)
        np.testing.assert_array_equal(strip[:, -84:], recording.screens[step, env])
        np.testing.assert_array_equal(page.cut("frame", place), recording.frames[step, env])
        assert score == recording.scores[step, env]


def test_images_stand_with_their_units(network, recording, page, images):
    shown = [row["name"] for row in page.data["layers"] if "image" in row]
    assert shown == ["conv1", "conv3", "output"]
    weights = network.layers["conv1"].conv.weight.detach().numpy()
    for number, kernel in enumerate(weights):  # of the first layer its weights: red and blue
        cut = page.cut("image0", number).astype(int)
        kernel = np.concatenate(list(kernel), axis=1)
        sure = np.abs(kernel) > 0.1 * np.abs(weights).max()
        assert ((cut[..., 0] > cut[..., 2]) == (kernel > 0))[sure].all()
    middle = {"conv3": receptive_field(network, "conv3", 5, 5).seen.slices, "output": (...,)}
    for name, of in images.items():
        for number, image in enumerate(of):
            expected = torch.cat([frame[middle[name]] for frame in image], dim=1) * 255
            found = page.cut(layer(page, name)["image"], number).astype(np.float32)
            # half of one of 31 steps of grey, and of a byte
            assert_close(torch.from_numpy(found), expected, atol=255 / 62 + 0.501, rtol=0)
    seen = torch.cat([recording.observations(env) for env in range(ENVS)])
    played = peaks(network, seen, "conv3").values
    for number, unit in enumerate(layer(page, "conv3")["units"]):
        value = peaks(network, images["conv3"][number : number + 1], "conv3").values[0, number]
        assert unit["reached"] == pytest.approx(float(value), rel=1e-3)
        below = sum(float(other) < float(value) for other in played[:, number])
        assert unit["percentile"] == pytest.approx(100 * below / len(played), rel=1e-3)
    assert "reached" not in layer(page, "fc")["units"][0]


def test_q_values_are_shown_by_their_margins(network, recording, tmp_path):
    """Unasked, in place of the output: all actions would answer most where the state is best."""
    torch.manual_seed(0)
    made = MnihNetwork(Trunk(mnih_convolutions((4, 5, 6)), units=9), QHead(9, 18), network.card)
    made.card = made.card.replace(algorithm="dqn")
    assert atlas_layers(made.eval())[-1] == "margin" and atlas_layers(network)[-1] == "output"
    drawn = atlas_images(made, ["margin"], steps=2)
    atlas(made, recording, tmp_path / "atlas.html", drawn, ["margin"], Selection(1))
    page = Page((tmp_path / "atlas.html").read_text(encoding="utf-8"))
    seen = torch.stack([recording.observations(env) for env in range(ENVS)], dim=1).flatten(0, 1)
    with torch.no_grad():
        outputs, reached = made(seen), made(drawn["margin"])
    for number, unit in enumerate(layer(page, "margin")["units"]):
        others = [action for action in range(18) if action != number]
        margins = outputs[:, number] - outputs[:, others].amax(dim=1)
        assert unit["action"] == find_game("Seaquest").actions[number]
        margins = margins[SETTLED]
        assert unit["high"] == pytest.approx(float(margins.max()), rel=2e-3, abs=1e-6)
        assert unit["share"] == pytest.approx(float((margins > 0).float().mean()), rel=2e-3)
        (best,) = unit["top"]
        step, env, _ = page.data["moments"][best[0]]
        assert (step, env) == divmod(SETTLED[int(margins.argmax())], ENVS)
        own = reached[number, number] - reached[number, others].max()
        assert unit["reached"] == pytest.approx(float(own), rel=2e-3, abs=1e-6)


def test_some_layers_of_play_without_colour(network, recording, tmp_path):
    kept = {name: getattr(recording, name) for name in ("screens", "starts", "rewards")}
    grey = Recording(recording.header, kept)
    atlas(network, grey, tmp_path / "atlas.html", layers=["fc"], selection=Selection(2))
    page = Page((tmp_path / "atlas.html").read_text(encoding="utf-8"))
    assert [row["name"] for row in page.data["layers"]] == ["fc"]
    assert set(page.data["sheets"]) == {"screen"}
    assert all(len(spot) == 8 for unit in layer(page, "fc")["units"] for spot in unit["top"])


def test_odd_texts_of_a_card_are_text(network, recording, tmp_path):
    """Markup, a template's own signs, and lone surrogates, which no UTF-8 file can hold."""
    odd = "</script><b> {{ 7*7 }} {% raw %} &amp; \u2028 \udcff"
    strange = deepcopy(network)
    strange.card = ModelCard(odd, odd, odd, tag=odd, collection=odd, source=odd)
    named = copy(recording)
    named.header = replace(recording.header, game=odd)
    atlas(strange, named, tmp_path / "atlas.html", layers=["output"], selection=Selection(1))
    page = Page((tmp_path / "atlas.html").read_text(encoding="utf-8"))
    assert len([1 for tag, _ in page.tags if tag == "script"]) == 2
    assert not [1 for tag, _ in page.tags if tag == "b"]
    assert page.data["name"] == strange.card.name and page.data["game"] == odd
    seen = odd.replace("\udcff", "\N{REPLACEMENT CHARACTER}")
    assert page.words.count(f"{seen}:{seen}/{seen}/{seen}@{seen}: atlas") == 2
    assert f"one agent that plays {seen}," in page.words


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": ["conv3", "conv8"]}, "no layer 'conv8'; this network has conv1"),
        ({"images": {"fc": torch.zeros(8, 4, 84, 84)}}, r"fc are \(8, 4, 84, 84\); expected \(9,"),
        ({"images": {"conv3": torch.zeros(6, 4, 36, 36)}}, r"expected \(6, frames, 84, 84\)"),
    ],
)
def test_refuses_and_writes_nothing(network, recording, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        atlas(network, recording, tmp_path / "atlas.html", **arguments)
    assert not list(tmp_path.iterdir())


def test_images_are_made_for_their_units():
    """Each unit answers to its own image more than to those made for the others."""
    torch.manual_seed(0)
    trunk = Trunk(mnih_convolutions((4, 5, 6)), units=9)
    made = MnihNetwork(trunk, CategoricalHead(9, 3, torch.linspace(-1, 1, 4))).eval()
    for conv in (part for part in trunk.modules() if isinstance(part, torch.nn.Conv2d)):
        # even kernels, which tell frames and channels apart: jitter takes nothing from them
        conv.weight.data = conv.weight.data[..., :1, :1].expand_as(conv.weight).clone()
        torch.nn.init.ones_(conv.bias)  # no unit is silent
    layers = {"conv3": 6, "fc": 9, "atoms": 12, "output": 3}
    ticks: list[int] = []
    drawn = atlas_images(
        made, ["conv1", *layers], steps=12, progress=lambda done, _: ticks.append(done)
    )
    assert {name: of.shape for name, of in drawn.items()} == {
        name: (count, 4, 84, 84) for name, count in layers.items()
    }
    assert ticks == sorted(ticks) and ticks[-1] == 4000
    for name, of in drawn.items():
        values = at_the_middle(made, name, of)
        others = (values.sum(0) - values.diagonal()) / (len(values) - 1)
        assert (values.diagonal() > others).all(), name


def at_the_middle(network, name, images) -> torch.Tensor:
    with torch.no_grad(), recorded(network, [name], before_relu=True) as values:
        network(images)
    found = values[name]
    if found.ndim == 4:
        return found[..., found.shape[2] // 2, found.shape[3] // 2]
    return found.flatten(1)


@pytest.fixture(scope="module")
def agent(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("agent") / "agent.onnx"
    network.card = network.card.replace(run="1")
    save_onnx(network_to_onnx(network), path)
    return path


@pytest.mark.parametrize(
    "made", [["--no-synthesis"], ["--iterations", "2"]], ids=["play", "images"]
)
def test_the_verb_writes_a_page(agent, tmp_path, made):
    path = tmp_path / "atlas.html"
    words = [
        "atlas",
        str(agent),
        "-o",
        str(path),
        "--steps",
        "20",
        "--layer",
        "conv2",
        "--layer",
        "fc",
        *made,
    ]
    run = CliRunner().invoke(app, words)
    assert run.exit_code == 0, run.output
    page = Page(path.read_text(encoding="utf-8"))
    assert [row["name"] for row in page.data["layers"]] == ["conv2", "fc"]
    assert ("image0" in page.data["sheets"]) == (made != ["--no-synthesis"])


def test_the_verb_refuses_before_it_plays(agent):
    run = CliRunner().invoke(
        app, ["atlas", str(agent), "--layer", "fc", "--layer", "relu", "--steps", "9" * 9]
    )
    assert "no layer 'relu'" in str(run.exception)


@pytest.mark.parametrize("channels", [(), (3,)], ids=["grey", "colour"])
@pytest.mark.parametrize("colours", [5, 256], ids=["few colours", "many colours"])
def test_sheets_lose_nothing(channels, colours):
    random = np.random.default_rng(0)
    pictures = random.integers(0, colours, (40, 30, 50, *channels), np.uint8)
    made = packed(iter(pictures), 30, 50, side=200)
    assert len(made.files) == -(-40 // made.each) > 1
    for index, expected in enumerate(pictures):
        with Image.open(io.BytesIO(made.files[index // made.each])) as image:
            sheet = np.asarray(image.convert("RGB") if channels else image)
        top = index % made.each // made.columns * 30
        left = index % made.each % made.columns * 50
        np.testing.assert_array_equal(sheet[top : top + 30, left : left + 50], expected)


def test_few_colours_make_small_files():
    random = np.random.default_rng(0)
    few = random.integers(0, 2, (210, 160, 1), np.uint8) * np.ones(3, np.uint8)
    many = few + random.integers(0, 2, (210, 160, 3), np.uint8)
    assert len(png_file(few)) < 0.5 * len(png_file(many))


def test_other_screens_are_refused_before_the_work(tmp_path: Path) -> None:
    small = MnihNetwork(Trunk(shape=(1, 80, 80)), QHead(512, 6), ModelCard(game="Pong"))
    play = zoo.rollout(small.eval(), steps=2, envs=1, keep=["screens"], preprocessing="baby-a3c")
    with pytest.raises(ValueError, match="of 84x84; this network sees 80x80"):
        atlas(small, play, tmp_path / "atlas.html")
    assert not list(tmp_path.iterdir())


def test_units_go_with_what_moves_them(network, recording):
    """A unit that is a variable of the memory with a little noise, one that is an action's output,
    and one that is noise: links are told of the first two alone."""
    random = np.random.default_rng(1)
    names = [variable.name for variable in zoo.variables("Seaquest")]
    ram = random.integers(0, 256, (300, 1, 128), np.uint8)
    arrays = {name: getattr(recording, name)[:1].repeat(300, 0)[:, :1] for name in ("starts",)}
    play = Recording(recording.header, arrays | {"ram": ram, "rewards": np.ones((300, 1))})
    oxygen = play.variables["oxygen"].to_numpy()
    outputs = torch.from_numpy(random.normal(size=(300, 18)))
    shared = 100 * torch.rand(300, 1)  # the state's value: what all outputs share
    units = np.stack(
        [oxygen + random.normal(size=300), -outputs[:, 4].numpy(), random.normal(size=300)], axis=1
    )
    actions = list(find_game("Seaquest").actions)
    linked = Linked(play, np.arange(300), outputs + shared, actions)
    first, second, noise = linked.links(torch.from_numpy(units))
    assert first["ram"][0][0] == "oxygen" and first["ram"][0][1] > 0.9 and not first["outputs"]
    assert second["outputs"][0][0] == actions[4] and second["outputs"][0][1] < -0.9
    assert not noise["ram"] and not noise["outputs"]
    assert all(unit["ram_chance"] < 0.3 for unit in (first, second, noise))
    assert linked.kinds["outputs"] == 18 and 0 < linked.kinds["ram"] <= len(names)


def test_first_observations_are_settled_where_frames_are_copied(recording):
    assert np.flatnonzero(settled_moments(recording)).tolist() == SETTLED
    copied = Preprocessing(stack_start="copies")
    filled = Recording(
        replace(recording.header, preprocessing=copied), {"starts": recording.starts}
    )
    assert settled_moments(filled).all()
