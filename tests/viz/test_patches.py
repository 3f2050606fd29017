"""Patches: those of the highest values, cut out where the unit looked, and drawn there."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close
from typer.testing import CliRunner

from atari_zoo.arrays.lazy import LazyArray
from atari_zoo.cli.app import app
from atari_zoo.cli.effects import effect_notes
from atari_zoo.converters.cards import ModelCard, Preprocessing
from atari_zoo.converters.export.graph import network_to_onnx
from atari_zoo.converters.interchange import save_onnx
from atari_zoo.converters.network.heads import DuelingHead, QHead
from atari_zoo.converters.network.networks import SAME, MnihNetwork, Trunk, mnih_convolutions
from atari_zoo.converters.network.receptive_fields import Box, receptive_field
from atari_zoo.games import game as find_game
from atari_zoo.preprocessing.native_boxes import native_box
from atari_zoo.preprocessing.resizes import RESIZES
from atari_zoo.recordings.header import Header
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.patches.finding import patches
from atari_zoo.viz.patches.histograms import histogram_picture
from atari_zoo.viz.patches.moments import Selection, distinct_moments
from atari_zoo.viz.patches.pictures import MARK, boxed, patch_picture
from atari_zoo.viz.saliency.overlays import on_screen

STEPS, ENVS = 40, 2


@pytest.fixture(scope="module")
def network() -> MnihNetwork:
    torch.manual_seed(0)
    trunk = Trunk(mnih_convolutions((4, 5, 6), SAME), units=9)
    actions = find_game("Seaquest").actions
    card = ModelCard("dqn", "Seaquest", action_meanings=actions)
    return MnihNetwork(trunk, QHead(9, len(actions)), card).eval()


def recorded(screens, starts, **arrays) -> Recording:
    header = Header(ModelCard(), "Seaquest", Preprocessing())
    return Recording(header, {"screens": screens, "starts": starts} | arrays)


@pytest.fixture(scope="module")
def recording() -> Recording:
    random = np.random.default_rng(2)
    starts = np.zeros((STEPS, ENVS), bool)
    starts[[0, 17], 0] = starts[[0, 30], 1] = True
    return recorded(
        random.integers(0, 256, (STEPS, ENVS, 84, 84), np.uint8),
        starts,
        colours=random.integers(0, 256, (STEPS, ENVS, 210, 160, 3), np.uint8),
        rewards=random.integers(0, 3, (STEPS, ENVS)).astype(np.float32),
    )


def by_hand(values, starts, n, apart, sign) -> list[tuple[int, int]]:
    """One after another, each time a look at all that was taken."""
    episodes = np.cumsum(starts, axis=0)
    order = sorted(np.ndindex(values.shape), key=lambda at: (-sign * values[at], at))
    taken: list[tuple[int, int]] = []
    for step, env in order:
        close = [
            other
            for other, of in taken
            if of == env
            and episodes[other, env] == episodes[step, env]
            and abs(other - step) < apart
        ]
        if not close and len(taken) < n:
            taken.append((step, env))
    return taken


@pytest.mark.parametrize("layer", ["conv1", "conv3", "fc", "output"])
@pytest.mark.parametrize(("which", "sign"), [("top", 1), ("bottom", -1)])
@pytest.mark.parametrize(("n", "apart"), [(8, 1), (5, 6), (50, 9)])
def test_are_the_most_extreme_ones_apart_from_each_other(
    network, recording, layer, which, sign, n, apart
):
    for found in patches(network, recording, layer, [3, 1], Selection(n, which, apart)):
        moments = [(patch.step, patch.env) for patch in found.patches]
        assert moments == by_hand(found.values, recording.starts, n, apart, sign)
        for patch in found.patches:
            assert patch.value == found.values[patch.step, patch.env]
            assert patch.score == recording.scores[patch.step, patch.env]


def test_a_layer_that_decides_no_action_is_told_of(recording):
    """Of a dueling network, fc is the value's alone; the note stands below the patches."""
    torch.manual_seed(1)
    trunk = Trunk(mnih_convolutions((4, 5, 6), SAME), units=None)
    inputs = MnihNetwork(trunk, QHead(1, 1), ModelCard()).trunk(torch.zeros(1, 4, 84, 84)).shape[1]
    card = ModelCard("apex", "Seaquest", action_meanings=find_game("Seaquest").actions)
    dueling = MnihNetwork(trunk, DuelingHead(inputs, 18, 9), card).eval()
    (note,) = effect_notes(dueling, recording, ["conv3", "fc", "fc", "advantage_fc", "output"])
    assert note.startswith("fc of apex/Seaquest/1 decides no action")
    found = patches(dueling, recording, "fc", [1], Selection(1))
    plain, noted = patch_picture(found), patch_picture(found, notes=[note])
    assert len(noted) > len(plain) and np.array_equal(noted[: len(plain)], plain)


def test_the_same_seed_draws_the_same_random_ones(network, recording):
    drawn = {
        seed: [
            [(p.step, p.env) for p in found.patches]
            for found in patches(
                network, recording, "conv1", [0, 1], Selection(6, "random", seed=seed)
            )
        ]
        for seed in (0, 0, 1)
    }
    again = patches(network, recording, "conv1", [0, 1], Selection(6, "random", seed=0))
    assert [[(p.step, p.env) for p in found.patches] for found in again] == drawn[0] != drawn[1]
    assert drawn[0][0] != drawn[0][1]


def test_pixels_are_those_of_the_field_and_black_beyond_the_screen(network, recording):
    (found,) = patches(network, recording, "conv3", [2], Selection(30, apart=1))
    seen = [recording.observations(env) for env in range(ENVS)]
    beyond = 0
    for patch in found.patches:
        observation = seen[patch.env][patch.step]
        assert_close(patch.observation, observation)
        whole = receptive_field(network, "conv3", patch.row, patch.column).whole
        padded = torch.nn.functional.pad(observation, (40, 40, 40, 40))
        top, left = whole.top + 40, whole.left + 40
        assert_close(patch.pixels, padded[:, top : top + 36, left : left + 36])
        beyond += whole.top < 0 or whole.left < 0 or whole.bottom > 84 or whole.right > 84
    assert beyond  # some lie at the edge


def test_the_value_is_the_units_at_that_place(network, recording):
    (found,) = patches(network, recording, "conv2", [4], Selection(3))
    for patch in found.patches:
        x = patch.observation[None] / 255
        with torch.no_grad():
            layer = network.layers["conv2"]
            value = layer.conv(layer.pad(network.layers["conv1"](x)))[0, 4, patch.row, patch.column]
        assert patch.value == pytest.approx(float(value), abs=1e-5)


def test_ties_take_the_first_and_dead_units_are_said_to_be(network, recording):
    torch.manual_seed(0)
    blank = MnihNetwork(Trunk(mnih_convolutions((4, 5, 6)), units=9), QHead(9, actions=3))
    torch.nn.init.zeros_(blank.layers["conv3"].conv.weight)
    for found in patches(blank, recording, "conv3", [0, 5], Selection(5, apart=10)):
        assert found.dead
        moments = [(0, 0), (0, 1), (10, 0), (10, 1), (17, 0)]  # there an episode begins
        assert [(p.step, p.env) for p in found.patches] == moments
        assert all((p.row, p.column) == (0, 0) for p in found.patches)
    assert not any(found.dead for found in patches(network, recording, "conv3", range(6)))


class Watched(LazyArray):
    """Counts the steps that are read at once."""

    def __init__(self, steps: int) -> None:
        self.steps, self.most = steps, 0

    @property
    def shape(self):
        return (self.steps, 1, 84, 84)

    @property
    def dtype(self):
        return np.dtype(np.uint8)

    def rows(self, steps, envs):
        wanted = np.arange(self.steps)[steps]
        self.most = max(self.most, wanted.size)
        return np.broadcast_to(
            (wanted % 251).astype(np.uint8)[..., None, None], (*wanted.shape, 84, 84)
        )


def test_no_more_than_a_block_of_a_recording_is_read_at_once(network):
    screens = Watched(700)
    starts = np.arange(700)[:, None] == 0
    play = recorded(screens, starts, rewards=np.zeros((700, 1), np.float32))
    (found,) = patches(network, play, "conv1", [1])
    assert found.values.shape == (700, 1)
    assert found.patches[0].frame is found.patches[0].native_field is None
    assert screens.most <= 256 + 3  # a block, and the stack before its first step


def test_native_boxes_of_a_part_of_the_screen():
    seen = Preprocessing(crop=(35, 195, 8, 152), size=(80, 72), window=(10, 70, 12, 60))
    # two pixels of the screen for each, and the part of both cuts before it
    assert native_box(Box(0, 0, 4, 6), (210, 160), seen) == Box(55, 32, 8, 12)
    assert native_box(Box(56, 42, 4, 6), (210, 160), seen) == Box(35 + 132, 8 + 108, 8, 12)
    values = np.zeros((60, 48), np.float32)
    values[:4, :6] = 1
    shown = on_screen(values, 210, 160, seen)
    assert shown[56:62, 33:43].min() == 1 and shown[70:].max() == shown[:, :30].max() == 0


@pytest.mark.parametrize("screen", [(210, 160), (250, 160)])
@pytest.mark.parametrize("resize", RESIZES)
def test_native_boxes_are_what_the_observation_is_made_from(resize, screen):
    """Against the resize itself: which of the screen's pixels change any of the box's."""
    random = np.random.default_rng(0)
    low, high = (random.integers(0, 255, screen).astype(np.float32) for _ in range(2))
    boxes = [Box(0, 0, 22, 8), Box(24, 40, 36, 20), Box(62, 71, 22, 13)]
    # a triangle reaches half a pixel of the observation further, bilinear less than one inside
    slack = {"area": 0, "nearest": 3}.get(resize, 2)
    plain = RESIZES[resize](low)
    for axis, size in enumerate(screen):
        changed = []  # which of the observation's pixels each of the screen's lines does
        for line in range(size):
            frame = low.copy()
            np.moveaxis(frame, axis, 0)[line] = 255 - np.moveaxis(high, axis, 0)[line]
            changed.append(RESIZES[resize](frame) != plain)
        for box in boxes:
            native = native_box(box, screen, Preprocessing(resize=resize))
            start, end = ((native.top, native.bottom), (native.left, native.right))[axis]
            lines = [line for line in range(size) if changed[line][box.slices].any()]
            assert abs(lines[0] - start) <= slack
            assert abs(lines[-1] + 1 - end) <= slack
            assert 0 <= start < end <= size


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"select": {"which": "best"}}, "no patches 'best'; there are top, bottom(,| and) random"),
        ({"select": {"n": 0}}, "n is 0"),
        ({"select": {"apart": 0}}, "apart is 0"),
        ({"units": [6]}, "conv3 has no unit 6; its units are 0 to 5"),
        ({"layer": "conv7"}, "no layer 'conv7'"),
    ],
)
def test_refuses(network, recording, arguments, message):
    given = {"layer": "conv3", "units": [0]} | arguments
    select = given.pop("select", {})
    with pytest.raises(ValueError, match=message):
        patches(network, recording, **given, selection=Selection(**select))


def test_infinite_and_missing_numbers_do_not_stop_the_search(recording):
    ranked = torch.zeros(STEPS * ENVS)
    ranked[5] = float("nan")
    ranked[6:] = -float("inf")
    assert distinct_moments(ranked, recording, Selection(3, apart=2)) == [0, 1, 4]


@pytest.mark.parametrize("layer", ["conv1", "conv3", "fc"])
def test_the_picture_marks_the_boxes(network, recording, layer):
    found = patches(network, recording, layer, [0, 1], Selection(3))
    picture = patch_picture(found, "<agent>")
    assert picture.shape[2] == 3
    marks = (picture == MARK).all(axis=2)
    assert marks.sum() > 2 * 3 * 2 * 4 * 8  # two boxes of at least 8 pixels a side, of each patch
    alone = patch_picture(found[:1])
    assert len(alone) < len(picture)


def test_the_box_is_drawn_where_it_is():
    marks = (boxed(np.zeros((84, 84, 3), np.uint8), Box(10, 20, 30, 40)) == MARK).all(axis=2)
    rows, columns = np.nonzero(marks)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 39, 20, 59)
    assert marks.sum() == 2 * (30 + 40) - 4


def test_a_float_observation_is_drawn_too(network, recording):
    (found,) = patches(network, recording, "conv3", [0], Selection(2))
    floats = tuple(replace(p, observation=p.observation / 255) for p in found.patches)
    picture = patch_picture([replace(found, patches=floats)])
    np.testing.assert_array_equal(picture, patch_picture([found]))


@pytest.mark.parametrize("values", [[0.0], [2.0, 2.0], [-1.0, 0.0, 5.0]])
def test_a_histogram_of_anything(values):
    assert histogram_picture(np.array(values), values[:1]).std() > 0


def test_a_network_that_diverged_is_refused(network, recording):
    broken = deepcopy(network)
    torch.nn.init.constant_(broken.layers["conv3"].conv.bias, float("nan"))
    with pytest.raises(ValueError, match=r"weights in 'trunk\.conv3\.conv\.bias' are not finite"):
        patches(broken, recording, "conv3", [0])


def test_no_units_no_picture():
    with pytest.raises(ValueError, match="at least one"):
        patch_picture([])


@pytest.fixture(scope="module")
def files(network, recording, tmp_path_factory):
    folder = tmp_path_factory.mktemp("patches")
    save_onnx(network_to_onnx(network), folder / "agent.onnx")
    return folder


def test_the_verb_plays_and_draws(files):
    command = "--steps 30 --n 3 --which bottom --json"
    arguments = [str(files / "agent.onnx"), "conv3:2", "fc:1", "conv3:4", *command.split()]
    run = CliRunner().invoke(app, ["patches", *arguments, "-o", str(files / "p.png")])
    assert run.exit_code == 0, run.output
    told = json.loads(run.output)
    assert [(u["layer"], u["unit"]) for u in told["units"]] == [
        ("conv3", 2),
        ("conv3", 4),
        ("fc", 1),
    ]
    patch = told["units"][0]["patches"][0]
    assert patch["whole"][2:] == [36, 36]
    assert len(patch["native"]) == 4
    with Image.open(files / "p.png") as image:
        assert np.asarray(image).std() > 1


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        ("3", "expected a layer and units, as in conv3:60 or fc:0..15"),
        ("conv3:x", "no unit in conv3 is called 'x'; expected a number"),
        (":3", "expected a layer and units"),
        ("", "expected a layer and units"),
        ("  ", "expected a layer and units"),
        ("conv3:6", "no unit 6 in conv3; expected 0 to 5"),
        ("relu:1", "no layer 'relu'"),
    ],
)
def test_the_verb_refuses_before_it_plays(files, unit, message):
    run = CliRunner().invoke(app, ["patches", str(files / "agent.onnx"), unit, "--steps", "9" * 9])
    assert run.exit_code == 2 and message in run.stderr
