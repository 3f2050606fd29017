"""Activation movies, decoded again: every step, the right game, activations in their tiles."""

from __future__ import annotations

from functools import cache

import av
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

import atari_zoo as zoo
from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.network.heads import (
    ActorCriticHead,
    CategoricalHead,
    DuelingHead,
    ImplicitQuantileHead,
    PolicyHead,
)
from atari_zoo.converters.network.networks import MnihNetwork, Trunk, mnih_convolutions
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.images import BAR, CHOSEN, FAINT, in_grey, sequential, text
from atari_zoo.viz.movies import boards, panels
from atari_zoo.viz.movies.bars import NAME, NUMBER, ROW, SHARE, Bars
from atari_zoo.viz.movies.boards import SMALL
from atari_zoo.viz.movies.clips import Clip
from atari_zoo.viz.movies.layer_values import value_blocks
from atari_zoo.viz.movies.movies import activation_movie
from atari_zoo.viz.movies.mp4 import write_mp4
from atari_zoo.viz.movies.ranges import Range, differences_range

KEEP = ["screens", "frames", "outputs"]
STEPS = 12


def network_of(head, channels=(32, 64, 64), game="Pong", units=512) -> MnihNetwork:
    torch.manual_seed(0)
    trunk = Trunk(mnih_convolutions(channels), units=units)
    return MnihNetwork(trunk, head, ModelCard("test", game, action_rule="sample")).eval()


def decoded(path) -> np.ndarray:
    with av.open(str(path)) as file:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])


def movie_of(network, recording, path) -> np.ndarray:
    activation_movie(network, recording, path)
    return decoded(path)


def recoloured(recording, frames):
    """The same play with other colour screens."""
    kept = ("screens", "starts", "actions", "rewards", "lives", "terminated", "truncated")
    arrays = {name: getattr(recording, name) for name in (*kept, "outputs")}
    return Recording(recording.header, arrays | {"colours": frames})


@pytest.fixture(scope="module")
def pong(tmp_path_factory):
    """A network, its recording in two environments, and the movie of the second."""
    torch.manual_seed(0)
    network = MnihNetwork(
        Trunk(), ActorCriticHead(512, 6), ModelCard("a2c", "Pong", action_rule="sample")
    ).eval()
    recording = zoo.rollout(network, steps=STEPS, envs=2, seed=1, keep=KEEP)
    frames = np.asarray(recording.frames[:])
    frames[:, 0] = 255 - frames[:, 0]  # unlike the other environment's
    recording = recoloured(recording, frames)
    path = tmp_path_factory.mktemp("movie") / "pong.mp4"
    ticks: list[tuple[int, int]] = []
    activation_movie(
        network,
        recording,
        path,
        Clip(env=1),
        progress=lambda done, total: ticks.append((done, total)),
    )
    return network, recording, path, ticks


def test_browsers_can_play_it(pong):
    *_, path, ticks = pong
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert stream.frames == STEPS
        assert float(stream.average_rate) == 15  # as fast as the game runs
        assert stream.width % 16 == 0
        assert stream.height % 16 == 0
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # the index first: fast start
    assert ticks == [(step, STEPS) for step in range(1, STEPS + 1)]
    assert [other.name for other in path.parent.iterdir()] == ["pong.mp4"]


def test_shows_the_recorded_game(pong):
    _, recording, path, _ = pong
    pictures = decoded(path).astype(float)
    left, top = panels.MARGIN, panels.MARGIN + boards.HEAD
    for step in range(STEPS):
        game = pictures[step, top : top + 420, left : left + 320]
        blocks = game.reshape(210, 2, 160, 2, 3).mean(axis=(1, 3))
        apart = np.abs(np.asarray(recording.frames[:, 1]) - blocks).mean(axis=(1, 2, 3))
        # H.264 and half-size colour: a few levels on average
        assert apart[step] < 4 and apart[step] == apart.min()


# widths that fill no row of maps
ALL = {"conv1": (20, 20, 20), "conv2": (70, 9, 9), "conv3": (17, 7, 7), "fc": (70,)}


def panel_of(shapes, scale=None, **facts) -> panels.Panel:
    """A panel for a game of 210 lines and six actions, whose values lie in 0..1."""
    ranges = {name: Range(np.zeros(shape[0]), np.ones(shape[0])) for name, shape in shapes.items()}
    bars = scale or Range(np.asarray(0.0), np.asarray(1.0))
    return panels.Panel(
        panels.PanelFacts(
            "t", ["NOOP"] * 6, "logit", (210, 160), (4, 84, 84), shapes, ranges, bars, **facts
        )
    )


def shown(panel, layers, output=(0.0,) * 6) -> np.ndarray:
    screen, frames = np.zeros((210, 160, 3), np.uint8), np.zeros((4, 84, 84), np.uint8)
    layers = {
        name: layers.get(name, np.zeros(shape)).reshape(shape[0], -1)
        for name, shape in panel.facts.shapes.items()
    }
    output = np.array(output)
    return panel.picture(panels.MovieMoment(screen, frames, layers, output, 0, None, ""))


@cache
def places(name) -> list[tuple[slice, slice]]:
    """Where each channel is drawn: what of the picture changes with it."""
    panel = panel_of(ALL)
    dark = shown(panel, {name: np.zeros(ALL[name])}).astype(int)
    found = []
    for channel in range(ALL[name][0]):
        values = np.zeros(ALL[name])
        values[channel] = 1
        lit = (shown(panel, {name: values}) != dark).any(axis=-1)
        rows, columns = np.flatnonzero(lit.any(1)), np.flatnonzero(lit.any(0))
        found.append((slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)))
    return found


@pytest.mark.parametrize("name", ALL)
def test_every_channel_has_a_place_of_its_own(name):
    """Also those of an incomplete last row; all of one size, in reading order."""
    found = places(name)
    size = ALL[name][1:] or (1, 1)
    sizes = {(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in found}
    ((height, width),) = sizes
    assert height % size[0] == width % size[1] == 0
    corners = [(rows.start, columns.start) for rows, columns in found]
    assert corners == sorted(set(corners))
    covered = np.zeros(shown(panel_of(ALL), {}).shape[:2], int)
    for place in found:
        covered[place] += 1
    assert covered.max() == 1


def test_the_movie_holds_the_activations(tmp_path):
    """Each tile, averaged over its cells, has the colours of the layer's own values."""
    network = network_of(PolicyHead(70, 6), (20, 70, 17), units=70)
    recording = zoo.rollout(network, steps=6, envs=1, keep=KEEP)
    picture = movie_of(network, recording, tmp_path / "a.mp4")[-1].astype(float).mean(axis=-1)
    for name, values in zoo.activations(network, recording.observations(), list(ALL)).items():
        steps = values.numpy()
        assert steps.shape[1:] == ALL[name]
        for channel, place in enumerate(places(name)):
            own = steps[:, channel].reshape(len(steps), *(ALL[name][1:] or (1, 1)))
            if np.ptp(own) == 0:
                continue
            expected = sequential((own[-1] - own.min()) / np.ptp(own)).mean(axis=-1)
            tile = picture[place]
            factor = len(tile) // len(expected)
            cells = tile.reshape(len(expected), factor, -1, factor).mean(axis=(1, 3))
            # of 255, after H.264: sharp edges between cells ring
            assert np.abs(cells - expected).mean() < 16, (name, channel)


def test_one_scale_for_the_whole_movie():
    """Brightness of a unit is comparable between frames: the same value, the same colour."""
    values = np.array(
        [[0.0, 2.0], [1.0, 2.0], [4.0, 2.0]]
    )  # (steps, units): the second is constant
    values = np.pad(values, [(0, 0), (0, 68)])
    panel = panel_of(ALL)
    panel.facts.ranges["fc"] = Range(values.min(0), values.max(0))
    first, second = places("fc")[:2]
    for row in values:
        picture = shown(panel, {"fc": row})
        assert (picture[first] == sequential(np.array(row[0] / 4))).all()
        assert (picture[second] == panels.QUIET).all()


def bars(panel, output) -> list[tuple[int, int]]:
    """Where each bar begins and ends, in pixels from the left; the first is the action taken."""
    picture = shown(panel, {}, output=output)
    rows = picture[panel.bars_top + ROW // 2 :: ROW][: len(output)]
    ends = []
    for index, row in enumerate(rows):
        colour = CHOSEN if index == 0 else BAR
        lit = np.flatnonzero((row == colour).all(axis=-1))
        lit = lit[(lit > panels.MARGIN + NAME) & (lit < panels.MARGIN + panel.bars.right + 4)]
        ends.append((int(lit[0]), int(lit[-1])))
    return ends


@pytest.mark.parametrize("shared", [0.0, 1000.0])
def test_bars_show_how_outputs_differ(shared):
    """Not what they share, as Q-values do the state's value: it moves no bar."""
    panel = panel_of({"fc": (2,)}, Range(np.asarray(-0.2), np.asarray(0.3)))
    outputs = np.array([0.1, 0.3, -0.2, 0.0, -0.1, -0.1])
    left, right = panels.MARGIN + NAME + 8, panels.MARGIN + 320 - NUMBER - SHARE  # of logits
    for (begin, end), output in zip(bars(panel, shared + outputs), outputs, strict=True):
        zero, here = (left + (value + 0.2) / 0.5 * (right - left) for value in (0.0, output))
        assert begin == pytest.approx(min(zero, here), abs=1)
        assert end == pytest.approx(max(zero, here), abs=1)


def test_the_scale_of_the_bars_leaves_out_a_few_that_are_far():
    outputs = np.random.default_rng(0).normal(size=(400, 6)) + 50 * np.arange(400)[:, None]
    outputs[7, 2] += 500
    scale = differences_range(outputs)
    assert -4 < scale.low < -1 and 1 < scale.high < 4


HEADS = {
    "policy": (lambda: PolicyHead(512, 4), 512),
    "c51": (lambda: CategoricalHead(512, 4), 512),
    "rainbow": (lambda: CategoricalHead(512, 4, dueling=True), 512),
    "apex": (lambda: DuelingHead(3136, 4, units=512), None),
    "iqn": (lambda: ImplicitQuantileHead(3136, 4, samples=8), None),
}


@pytest.mark.parametrize("kind", HEADS)
def test_every_head_makes_a_movie(tmp_path, kind):
    make, units = HEADS[kind]
    network = network_of(make(), game="Breakout", units=units)
    recording = zoo.rollout(network, steps=3, envs=1, keep=KEEP)
    pictures = movie_of(network, recording, tmp_path / "a.mp4")
    assert len(pictures) == 3
    # something is drawn where the dense layer stands, the lowest of the panels
    fc = pictures[-1, 780:840, 380:1000]
    assert fc.std() > 10


def test_a_high_screen_and_many_actions_fit(tmp_path):
    network = network_of(PolicyHead(512, 18), game="Seaquest")
    tall = zoo.rollout(network, steps=2, envs=1, keep=KEEP)
    frames = np.zeros((2, 1, 250, 160, 3), np.uint8)
    frames[..., -1, :, :] = 255  # the lowest line is the one that would be cut
    tall = recoloured(tall, frames)
    picture = movie_of(network, tall, tmp_path / "a.mp4")[0]
    last = panels.MARGIN + boards.HEAD + 2 * 250
    line = picture[last - 2 : last, panels.MARGIN : panels.MARGIN + 320]
    assert line.mean() > 180
    lowest = last + panels.GAP + panels.VALUE + 18 * ROW  # of the bars
    assert picture[lowest - ROW : lowest, panels.MARGIN : panels.MARGIN + 320].std() > 8
    below = picture[-boards.CONTROLS :]  # what a player's controls may cover
    assert picture.shape[0] > lowest + boards.CONTROLS and below.std() < 3


def test_a_recording_without_the_needed_parts_is_refused(tmp_path, pong):
    network, *_ = pong
    recording = zoo.rollout(network, steps=2, envs=1, keep=["screens"])
    with pytest.raises(ValueError, match="no frames in this recording: record with"):
        activation_movie(network, recording, tmp_path / "a.mp4")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clip": Clip(env=2)}, "environments 0 to 1"),
        ({"clip": Clip(stop=STEPS + 1)}, "steps 0 to 13 are asked for, but the recording of"),
        ({"layers": []}, "no layers to show; name some"),
        ({"layers": ["conv9"]}, "a2c/Pong/1 has no layer 'conv9'; it has conv1, conv2"),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path, pong, options, message):
    network, recording, *_ = pong
    with pytest.raises(ValueError, match=message):
        activation_movie(network, recording, tmp_path / "a.mp4", **options)


def test_a_network_that_did_not_play_is_named_or_refused(tmp_path, pong, monkeypatch):
    """Of another game, of other actions: refused. Another agent of the game: its own outputs are
    shown, and the title says who played."""
    _, recording, *_ = pong
    path = tmp_path / "a.mp4"
    for other, message in (
        (network_of(PolicyHead(512, 4), game="Breakout"), "plays Breakout, but the recording is o"),
        (network_of(PolicyHead(512, 4)), "the recording has 6 actions and test/Pong/1 4"),
    ):
        with pytest.raises(ValueError, match=message):
            activation_movie(other, recording, path)
    titles, moments = [], []
    make, picture = panels.Panel.__init__, panels.Panel.picture
    monkeypatch.setattr(
        panels.Panel, "__init__", lambda self, g: (titles.append(g.title), make(self, g))[1]
    )
    monkeypatch.setattr(
        panels.Panel, "picture", lambda self, m: (moments.append(m), picture(self, m))[1]
    )
    other = network_of(PolicyHead(512, 6))
    activation_movie(other, recording, path)
    assert titles == ["test/Pong/1, play of a2c/Pong/1"]
    with torch.no_grad():
        expected = other(recording.observations())
    np.testing.assert_allclose([m.output for m in moments], expected, atol=1e-5)


def panel_moments(monkeypatch, *given) -> tuple[panels.Panel, list[panels.MovieMoment]]:
    """The panel, and what it drew, of a movie."""
    drawn, draw = [], panels.Panel.picture
    monkeypatch.setattr(
        panels.Panel, "picture", lambda self, m: (drawn.append((self, m)), draw(self, m))[1]
    )
    activation_movie(*given)
    return drawn[0][0], [moment for _, moment in drawn]


def test_what_is_drawn_is_what_the_network_computes(pong, tmp_path, monkeypatch):
    """Of some steps in the middle, from the picture before it is encoded, pixel by pixel."""
    network, recording, *_ = pong
    clip = Clip(env=1, first=3, stop=9)
    panel, moments = panel_moments(monkeypatch, network, recording, tmp_path / "a.mp4", clip)
    assert [m.status.split()[1] for m in moments] == [str(step) for step in range(3, 9)]
    layers = [*panel.tiles]
    wanted = zoo.activations(network, recording.observations(1), [*layers, "value"])
    picture = panel.picture(moments[2])
    for name in layers:
        some = wanted[name][3:9].numpy().reshape(6, wanted[name].shape[1], -1)
        low, high = some.min(axis=(0, 2)), some.max(axis=(0, 2))
        unit = (some[2] - low[:, None]) / np.where(high > low, high - low, 1)[:, None]
        colours = sequential(unit)
        colours[high <= low] = panels.QUIET
        tiles, top = panel.tiles[name], panel.tops[name]
        drawn = picture[top : top + tiles.height, panel.right : panel.right + tiles.width]
        inside = tiles.index >= 0
        apart = np.abs(drawn[inside].astype(int) - colours.reshape(-1, 3)[tiles.index[inside]])
        assert apart.max() <= 12 and apart.mean() < 0.1, name  # sums in another order, a colour on
    np.testing.assert_allclose([m.value for m in moments], wanted["value"][3:9, 0], atol=1e-4)


def test_a_layer_in_large_has_its_units_numbers(pong, tmp_path, monkeypatch):
    network, recording, *_ = pong
    given = network, recording, tmp_path / "a.mp4", Clip(stop=2), ["conv3"]
    panel, moments = panel_moments(monkeypatch, *given)
    tiles = panel.tiles["conv3"]
    assert list(panel.tops) == ["conv3"] and tiles.factor >= 9 and tiles.head
    black = np.zeros((64, 49, 3), np.uint8)
    picture = tiles.picture(black)
    for top, left in tiles.corners:
        assert picture[top - tiles.head : top, left : left + 20].std() > 5  # its number
        assert not picture[top : top + 7 * tiles.factor, left : left + 7 * tiles.factor].any()
    values = zoo.activations(network, recording.observations(0)[:2], "conv3")["conv3"]
    found = np.stack([moment.layers["conv3"] for moment in moments])
    np.testing.assert_allclose(found, values.flatten(2), atol=1e-4)


def test_layers_of_every_kind_have_a_picture(tmp_path):
    network = network_of(CategoricalHead(512, 4, dueling=True), game="Breakout")
    recording = zoo.rollout(network, steps=3, envs=1, keep=["screens", "frames"])
    for layers in (["atoms", "value"], ["output"], ["conv1", "fc"]):
        activation_movie(network, recording, tmp_path / "a.mp4", Clip(), layers)
        assert len(decoded(tmp_path / "a.mp4")) == 3


def test_observations_are_read_a_few_at_a_time(pong, monkeypatch):
    """However long the play is; and computed when they are asked for."""
    network, recording, *_ = pong
    asked: list[range] = []
    read = Recording.observations
    monkeypatch.setattr("atari_zoo.viz.movies.layer_values.BATCH", 5)

    def reading(self, env, steps):
        asked.append(range(steps.start, steps.stop))
        return read(self, env, steps)

    monkeypatch.setattr(Recording, "observations", reading)
    blocks = value_blocks(network, recording, 0, range(STEPS), ["fc"])
    assert next(blocks).steps == range(5) and asked == [range(5)]
    assert [block.steps for block in blocks] == [range(5, 10), range(10, 12)]
    assert asked == [range(5), range(5, 10), range(10, 12)]


def test_a_network_that_diverged_has_no_movie(tmp_path, pong):
    network = network_of(ActorCriticHead(512, 6))
    with torch.no_grad():
        network.head.output.bias[0] = torch.inf
    with pytest.raises(ValueError, match=r"weights in 'head\.output\.bias' are not finite"):
        activation_movie(network, pong[1], tmp_path / "a.mp4")


def flat(height=64, width=64, kind=np.uint8) -> np.ndarray:
    return np.full((height, width, 3), 90, kind)


@pytest.mark.parametrize(
    ("pictures", "name", "fps", "message"),
    [
        ([flat(64, 65)], "a.mp4", 30, "a picture is 64 x 65; both sides must be even"),
        ([flat(), flat(64, 32)], "a.mp4", 30, "is 64 x 32, the first one 64 x 64; a movie has one"),
        ([flat(kind=np.float32)], "a.mp4", 30, "a picture is float32"),
        ([flat()[..., :1]], "a.mp4", 30, r"is uint8 \(64, 64, 1\); expected bytes"),
        ([], "a.mp4", 30, "no pictures: a movie needs at least one"),
        ([flat()], "a.mp4", 0, "fps is 0; it must be above 0"),
        ([flat()], "a.mp4", True, "fps is True; it must be above 0, a whole number"),
        ([flat()], "a.mp4", 10**9, "fps is 1000000000; .*up to 1000"),
        ([flat()], "a.gif", 30, "a.gif: a movie's name ends in .mp4"),
        ([flat()], "nowhere/a.mp4", 30, "there is no folder .*nowhere"),
    ],
)
def test_what_no_movie_can_hold_is_refused(tmp_path, pictures, name, fps, message):
    with pytest.raises((ValueError, OSError), match=message):
        write_mp4(iter(pictures), tmp_path / name, fps)
    assert not list(tmp_path.iterdir())


def test_what_fails_leaves_no_file_and_keeps_the_old_one(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"the old one")

    def pictures():
        yield in_grey(np.zeros((16, 16), np.uint8))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_mp4(pictures(), path)
    assert path.read_bytes() == b"the old one"
    assert [other.name for other in tmp_path.iterdir()] == ["a.mp4"]


def test_probabilities_stand_behind_logits():
    """The share is as torch's softmax has it: drawn by hand it is the same pixels."""
    output = np.array([2.0, 0.0, -1.0])
    scale = Range(np.asarray(-2.0), np.asarray(2.0))
    sampled, plain = Bars(["A", "B", "C"], scale, 320, sampled=True), Bars("ABC", scale, 320)
    assert sampled.right < plain.right
    canvas, bare = (np.zeros((3 * ROW, 320, 3), np.uint8) for _ in range(2))
    sampled.draw(canvas, 0, 0, output, taken=0)
    plain.draw(bare, 0, 0, output, taken=0)
    share = float(torch.from_numpy(output).softmax(0)[1])
    image = Image.new("RGB", (320, 3 * ROW))
    text(ImageDraw.Draw(image), (320, 1.5 * ROW), f"{share:.0%}", FAINT, SMALL, anchor="rm")
    expected = np.asarray(image)[ROW : 2 * ROW, 280:]
    assert np.array_equal(canvas[ROW : 2 * ROW, 280:], expected) and expected.any()
    assert not np.array_equal(bare[ROW : 2 * ROW, 280:], expected)
