"""Screens of real play, rendered by every preprocessing, bit for bit as OpenCV, TensorFlow and
Pillow render them: the libraries that the published preprocessings took grey and resize from."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any

import cv2
import gymnasium as gym
import numpy as np
import pytest
import tensorflow as tf
import torch
from ale_py import ALEInterface, LoggerMode, roms
from gymnasium.wrappers import GrayscaleObservation
from PIL import Image

from atari_zoo.converters.cards import PREPROCESSINGS, ModelCard, Preprocessing
from atari_zoo.converters.preprocessings import preprocessing_changed
from atari_zoo.preprocessing.area import resize_area
from atari_zoo.preprocessing.greys import float_grey, grey, rec709_grey
from atari_zoo.preprocessing.renderer import Renderer, rendered_screens
from atari_zoo.preprocessing.resizes import resize_bilinear, resize_linear, resize_triangle

# of 210 lines; Air Raid has 250 and Pooyan 220, and Air Raid has the colours of PAL
GAMES = ["air_raid", "breakout", "enduro", "ms_pacman", "pong", "pooyan", "seaquest", "skiing"]
PAIRS = 40
WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)


@dataclasses.dataclass
class Play:
    """Pairs of frames after each other: as palette indices, in colour, in the emulator's grey."""

    screens: np.ndarray  # (pair, 2, height, width)
    colours: np.ndarray  # (pair, 2, height, width, 3)
    greys: np.ndarray  # (pair, 2, height, width)

    @cache  # noqa: B019
    def palette(self) -> tuple[np.ndarray, np.ndarray]:
        """Colour and grey of every index that was on a screen."""
        palette, greys = np.zeros((256, 3), np.uint8), np.zeros(256, np.uint8)
        palette[self.screens] = self.colours
        greys[self.screens] = self.greys
        return palette, greys

    __hash__ = object.__hash__


@cache
def play(rom: str) -> Play:
    ALEInterface.setLoggerMode(LoggerMode.Error)
    emulator = ALEInterface()
    emulator.setInt("random_seed", 7)
    emulator.loadROM(roms.get_rom_path(rom))
    actions, generator = emulator.getMinimalActionSet(), np.random.default_rng(7)
    pairs = []
    for _ in range(PAIRS):
        seen = []
        for _ in range(8):
            emulator.act(actions[generator.integers(len(actions))])
            screens = emulator.getScreen(), emulator.getScreenRGB(), emulator.getScreenGrayscale()
            seen.append(screens)
        pairs.append([np.stack(two) for two in zip(*seen[-2:], strict=True)])
    played = Play(*(np.stack(kind) for kind in zip(*pairs, strict=True)))
    assert (played.screens[:, 0] != played.screens[:, 1]).any()
    return played


def area(grey: np.ndarray) -> np.ndarray:
    return cv2.resize(grey, (84, 84), interpolation=cv2.INTER_AREA)


def opencv(rgb: np.ndarray) -> np.ndarray:
    return area(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))


def linear(image: np.ndarray, size: tuple[int, int] = (84, 84)) -> np.ndarray:
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)


def async_rl(rgb: np.ndarray) -> np.ndarray:
    """`current_screen` of async-rl's ale.py."""
    weighted = rgb[:, :, 0] * 0.2126 + rgb[:, :, 1] * 0.0722 + rgb[:, :, 2] * 0.7152
    return weighted.astype(np.uint8)


def stretched(image: np.ndarray) -> np.ndarray:
    """scipy.misc.imresize of floats, as SciPy 1.2 had it."""
    scale = 255.0 / ((image.max() - image.min()) or 1)
    pixels = ((image - image.min()) * scale).clip(0, 255) + 0.5
    bilinear = Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(pixels.astype(np.uint8)).resize((80, 80), bilinear))


def bilinear(grey: np.ndarray) -> np.ndarray:
    small = tf.compat.v1.image.resize_bilinear(grey[None, ..., None], (84, 84), align_corners=True)
    return small.numpy()[0, :, :, 0]


def triangle(grey: np.ndarray) -> np.ndarray:
    """First along the rows, as Pillow always did; since Pillow 13 it depends on the size."""
    along = Image.fromarray(grey).resize((84, len(grey)), Image.Resampling.BILINEAR)
    return np.array(along.resize((84, 84), Image.Resampling.BILINEAR))


def numpy_grey(rgb: np.ndarray) -> np.ndarray:
    return np.dot(rgb.astype(np.float32), WEIGHTS)


def gymnasium_grey(rgb: np.ndarray) -> np.ndarray:
    space = gym.spaces.Box(0, 255, rgb.shape, np.uint8)
    env = gym.Env()
    env.observation_space = space
    return GrayscaleObservation(env).func(rgb)


# what the source of each preprocessing does with two frames, in colour and in the emulator's grey
EXPECTED: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "vector": lambda rgb, grey: area(grey.max(0)),
    "atari-agents": lambda rgb, grey: np.maximum(*map(area, grey)),
    "atari-agents-classic": lambda rgb, grey: np.maximum(*map(area, grey)),
    "cleanrl": lambda rgb, grey: cv2.cvtColor(area(rgb.max(0)), cv2.COLOR_RGB2GRAY),
    "cleanrl-gymnasium": lambda rgb, grey: gymnasium_grey(area(rgb.max(0))),
    "envpool": lambda rgb, grey: area(grey.max(0)),
    "dopamine": lambda rgb, grey: area(grey.max(0)),
    "dopamine-zoo": lambda rgb, grey: area(grey.max(0)),
    "modern": lambda rgb, grey: area(grey.max(0)),
    "deepmind": lambda rgb, grey: opencv(rgb.max(0)),
    "tf": lambda rgb, grey: bilinear(numpy_grey(rgb.max(0))) * np.float32(1 / 255),
    "np": lambda rgb, grey: triangle(numpy_grey(rgb.max(0))).astype(np.uint8),
    "torchbeast": lambda rgb, grey: opencv(rgb.max(0)),
    "kaixhin": lambda rgb, grey: np.maximum(*map(linear, grey)),
    "async-rl": lambda rgb, grey: linear(async_rl(rgb.max(0))),
    "baby-a3c": lambda rgb, grey: stretched(rgb[1, 35:195].mean(2)),
    "gym-tensorflow": lambda rgb, grey: bilinear(numpy_grey(rgb).max(0)) * np.float32(1 / 255),
}
AS_VECTOR = ["envpool", "dopamine", "dopamine-zoo", "modern"]
TESTED = sorted(EXPECTED.keys() - {*AS_VECTOR, "atari-agents-classic"})


def test_every_preprocessing_is_here():
    assert set(EXPECTED) == set(PREPROCESSINGS)


@pytest.mark.parametrize("rom", GAMES)
@pytest.mark.parametrize("name", TESTED)
def test_real_frames(rom, name):
    played = play(rom)
    palette, greys = played.palette()
    ours = rendered_screens(played.screens, palette, PREPROCESSINGS[name], greys).numpy()
    pairs = zip(played.colours, played.greys, strict=True)
    theirs = np.stack([EXPECTED[name](rgb, grey) for rgb, grey in pairs])
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)
    assert len(np.unique(ours)) > 3  # and the frames show something


def of_size(height: int, width: int, image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


# changes of a preprocessing, and what OpenCV does with the two frames
CHANGED: dict[str, tuple[dict[str, Any], Callable[[np.ndarray, np.ndarray], np.ndarray]]] = {
    "linear": ({"resize": "linear"}, lambda rgb, grey: linear(grey.max(0))),
    "nearest": (
        {"resize": "nearest", "size": (110, 84)},
        lambda rgb, grey: cv2.resize(grey.max(0), (84, 110), interpolation=cv2.INTER_NEAREST),
    ),
    "size": ({"size": (64, 96)}, lambda rgb, grey: of_size(64, 96, grey.max(0))),
    "crop": (
        {"crop": (35, 195, 8, 152), "size": (80, 72)},
        lambda rgb, grey: of_size(80, 72, grey.max(0)[35:195, 8:152]),
    ),
    "window": (
        {"resize": "linear", "size": (110, 84), "window": (18, 102, 0, 84)},
        lambda rgb, grey: linear(grey.max(0), (110, 84))[18:102],
    ),
    "larger": (
        {"resize": "linear", "size": (260, 200)},
        lambda rgb, grey: linear(grey.max(0), (260, 200)),
    ),
    "last frame": ({"max_pool": "none"}, lambda rgb, grey: area(grey[1])),
    "colour": (
        {"grey": "colour", "max_pool": "rgb", "size": (64, 64)},
        lambda rgb, grey: of_size(64, 64, rgb.max(0)).transpose(2, 0, 1),
    ),
    "colour, resized": (
        {"grey": "colour", "max_pool": "resized", "resize": "linear"},
        lambda rgb, grey: np.maximum(*map(linear, rgb)).transpose(2, 0, 1),
    ),
    "last colours to grey": (
        {"max_pool": "none", "resize_colour": True},
        lambda rgb, grey: cv2.cvtColor(area(rgb[1]), cv2.COLOR_RGB2GRAY),
    ),
    "mean": (
        {"grey": "mean", "max_pool": "rgb", "resize": "nearest", "rounding": "truncate"},
        lambda rgb, grey: cv2.resize(
            rgb.max(0).mean(2), (84, 84), interpolation=cv2.INTER_NEAREST
        ).astype(np.uint8),
    ),
}


@pytest.mark.parametrize("rom", GAMES[:6])
@pytest.mark.parametrize("changes", CHANGED)
def test_changed_preprocessings(rom, changes):
    played, (parts, expected) = play(rom), CHANGED[changes]
    palette, greys = played.palette()
    changed = preprocessing_changed(Preprocessing(), parts)
    ours = rendered_screens(played.screens[:12], palette, changed, greys).numpy()
    pairs = zip(played.colours[:12], played.greys, strict=False)
    theirs = np.stack([expected(rgb, grey) for rgb, grey in pairs])
    assert ours.dtype == theirs.dtype and ours.shape[1:] == changed.frame
    np.testing.assert_array_equal(ours, theirs)
    assert len(np.unique(ours)) > 3


@pytest.mark.parametrize("height, width", [(210, 160), (160, 160), (40, 40)])
def test_linear_resize_of_floats(height, width):
    """OpenCV may multiply and add at once, which numpy does apart: the last bit of float32."""
    for image in np.random.default_rng(height).random((4, height, width)) * 255:
        for size in ((84, 84), (80, 80), (33, 110)):
            expected = linear(image, size).astype(np.float32)
            np.testing.assert_allclose(resize_linear(image, size), expected, rtol=2**-22, atol=1e-5)


def test_halves_of_four_bytes_are_rounded_up():
    """As OpenCV rounds them where two by two make one, and nowhere else."""
    for image in np.random.default_rng(2).integers(0, 256, (4, 160, 160), np.uint8):
        ours = np.rint(resize_area(image.astype(np.float32), (80, 80)))
        np.testing.assert_array_equal(ours, of_size(80, 80, image))


WRONG = [
    ({"crop": (0, 211, 0, 160)}, r"crop is .*within the screen of 210x160"),
    ({"crop": (10, 10, 0, 160)}, "crop is"),
    ({"window": (0, 85, 0, 84)}, "window is .*within the resized frame of 84x84"),
    ({"size": (0, 84)}, "size is"),
    (
        {"size": (220, 84)},
        "resize 'area' makes nothing larger: 220x84 of 210x160 pixels; take 'lin",
    ),
    ({"stack": 9}, "stack is 9; expected 1 to 8"),
    ({"grey": "colour"}, "take the maximum in 'rgb'"),
    ({"grey": "colour", "max_pool": "rgb", "stretch": True}, "stretch is for greys"),
    ({"frame_skip": 0}, "frame_skip is 0; expected 1 to 10000"),
    ({"frame_skip": 10**12}, "expected 1 to 10000"),
    ({"noops": 10**6}, "noops is 1000000; expected 0 to 10000"),
    ({"sticky": 7}, "sticky is 7; expected 0 to 1"),
    ({"frame_skip_least": 5}, "frame_skip_least is 5; expected no more than frame_skip, 4"),
    ({"stack_start": "ones"}, "no stack_start 'ones'; there are zeros, copies"),
]


@pytest.mark.parametrize(("parts", "message"), WRONG, ids=str)
def test_what_does_not_go_together_is_told(parts, message):
    changed = preprocessing_changed(Preprocessing(), parts)
    with pytest.raises(ValueError, match=message):
        Renderer(changed, 210, 160)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"colour": True}, "no 'colour' in a preprocessing; there are frame_skip, "),
        ({"name": "sepia"}, "no preprocessing 'sepia'"),
        ({"size": 80}, "size is 80; expected 2 whole numbers"),
        ({"size": (80, 80, 3)}, "expected 2 whole numbers"),
        ({"crop": "all"}, "crop is 'all'; expected 4 whole numbers"),
        ({"stack": 2.5}, "stack is 2.5; expected a whole number"),
        ({"noops": -1}, "noops is -1; expected a whole number, not below 0"),
        ({"stretch": 1}, "stretch is 1; expected true or false"),
        ({"grey": None}, "grey is None; expected a word"),
    ],
)
def test_a_part_of_the_wrong_kind_is_told(parts, message):
    with pytest.raises(ValueError, match=message):
        preprocessing_changed(Preprocessing(), parts)
    if not {"colour", "name"} & parts.keys():  # which in a file are passed over, and free
        with pytest.raises(ValueError, match=message):
            ModelCard.from_json(json.dumps({"preprocessing": parts}))


def test_a_changed_preprocessing_says_so_in_its_name():
    changed = preprocessing_changed(
        PREPROCESSINGS["deepmind"], {"name": "dopamine", "size": [80, 80], "sticky": 0.25}
    )
    assert changed == dataclasses.replace(
        PREPROCESSINGS["dopamine"], size=(80, 80), name="dopamine, size=80x80"
    )
    assert preprocessing_changed(changed, {}) == changed


@pytest.mark.parametrize("name", AS_VECTOR)
def test_these_render_as_the_vectorised_emulator(name):
    played = play("breakout")
    screens, (palette, greys) = played.screens[:3], played.palette()
    ours = rendered_screens(screens, palette, PREPROCESSINGS[name], greys)
    assert ours.equal(rendered_screens(screens, palette, PREPROCESSINGS["vector"], greys))


def test_the_emulators_grey_is_another_than_opencvs_in_pal():
    played = play("air_raid")
    palette, greys = played.palette()
    vector = PREPROCESSINGS["vector"]
    differ = rendered_screens(played.screens, palette, vector) != rendered_screens(
        played.screens, palette, vector, greys
    )
    assert differ.any()
    palette, greys = play("breakout").palette()
    np.testing.assert_array_equal(grey(palette), greys)


def test_any_leading_axes_and_tensors_too():
    played = play("pong")
    palette, _ = played.palette()
    flat = rendered_screens(played.screens[:6], palette, PREPROCESSINGS["tf"])
    folded = torch.from_numpy(played.screens[:6]).view(3, 2, 2, 210, 160)
    assert rendered_screens(folded, palette, PREPROCESSINGS["tf"]).equal(flat.view(3, 2, 84, 84))
    assert rendered_screens(played.screens[0], palette, PREPROCESSINGS["tf"]).equal(flat[0])


def test_a_palette_learned_piece_by_piece():
    """Whatever the order in which colours come up."""
    played = play("enduro")
    palette, greys = played.palette()
    indices = np.random.default_rng(0).permutation(np.unique(played.screens))
    for name in TESTED:
        renderer = Renderer(PREPROCESSINGS[name], 210, 160)
        colours, own = np.zeros_like(palette), np.zeros_like(greys)
        for some in np.array_split(indices, 5):
            colours[some], own[some] = palette[some], greys[some]
            renderer.learn(some, colours, own)
        expected = rendered_screens(played.screens[:3], palette, PREPROCESSINGS[name], greys)
        for screens, frame in zip(played.screens, expected, strict=False):
            np.testing.assert_array_equal(renderer(screens), frame)


COLOURS = np.array(list(product([*range(0, 256, 5), 1, 127, 128, 254], repeat=3)), np.uint8)


def test_grey_of_every_colour_on_a_lattice():
    expected = cv2.cvtColor(COLOURS[None], cv2.COLOR_RGB2GRAY)[0]
    np.testing.assert_array_equal(grey(COLOURS), expected)


def test_rec709_of_every_colour_on_a_lattice():
    weights = np.array([0.2125, 0.7154, 0.0721])  # scikit-image's rgb2gray
    np.testing.assert_allclose(rec709_grey(COLOURS) / 255, COLOURS / 255 @ weights, atol=1e-15)


def test_float_grey_of_every_colour_on_a_lattice():
    """As the original zoo's `np.dot` of a whole frame adds it up; a table's is another."""
    np.testing.assert_array_equal(float_grey(COLOURS), numpy_grey(COLOURS[None])[0])


# the sizes of ale-py's screens, others that divide evenly in height or not at all, and no change
SIZES = [(210, 160), (250, 160), (230, 160), (214, 160), (84, 160), (97, 131), (84, 84)]


@pytest.mark.parametrize("height, width", SIZES)
@pytest.mark.parametrize(
    "ours, theirs",
    [(resize_bilinear, bilinear), (resize_triangle, triangle)],
    ids=["bilinear", "triangle"],
)
def test_resize_of_random_images(height, width, ours, theirs):
    for image in np.random.default_rng(height).random((6, height, width), np.float32) * 255:
        np.testing.assert_array_equal(ours(image), theirs(image))


@pytest.mark.parametrize("height, width", SIZES)
def test_area_resize_of_random_images(height, width):
    for image in np.random.default_rng(height).integers(0, 256, (12, height, width), np.uint8):
        ours = np.rint(resize_area(image.astype(np.float32)))
        np.testing.assert_array_equal(ours, area(image))


# of whole areas OpenCV has another way to add up
SIZES_TO = [(21, 21), (42, 42), (64, 64), (70, 80), (42, 40), (30, 20), (105, 80), (70, 40)]


@pytest.mark.parametrize("size", SIZES_TO)
def test_other_sizes(size):
    for image in np.random.default_rng(size[0]).integers(0, 256, (4, 210, 160), np.uint8):
        found = resize_area(image.astype(np.float32), size)
        np.testing.assert_array_equal(np.rint(found), of_size(*size, image))
        plain = of_size(*size, image.astype(np.float32))
        np.testing.assert_allclose(found, plain, atol=1e-4)  # and where nothing is rounded


@pytest.mark.parametrize("field", ["grey", "max_pool", "resize", "rounding"])
def test_what_is_unknown_is_named(field):
    with pytest.raises(ValueError, match=f"no {field} 'sepia'; there are"):
        Renderer(Preprocessing(**{field: "sepia"}), 210, 160)


def test_colours_are_resized_as_bytes_alone():
    with pytest.raises(ValueError, match=r"resize_colour with .'float', 'rgb', 'nearest'."):
        Renderer(dataclasses.replace(PREPROCESSINGS["cleanrl"], grey="float"), 210, 160)


def test_cards_of_before_mean_what_they_meant():
    """The fields that were there when they were written, and what the others stand for."""
    old = {"name": "deepmind", "max_pool": "rgb", "fire_after_life_loss": True, "noops": 30}
    text = json.dumps({"algorithm": "a2c", "preprocessing": old})
    read = ModelCard.from_json(text).preprocessing
    assert (read.reset, read.life_loss_ends, read.grey) == ("vector", False, "luma")
    assert read == Preprocessing(name="deepmind", max_pool="rgb", fire_after_life_loss=True)
    for preprocessing in PREPROCESSINGS.values():
        card = ModelCard(preprocessing=preprocessing)
        assert ModelCard.from_json(card.to_json()) == card
