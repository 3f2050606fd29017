"""Screens of real play, rendered by every preprocessing, bit for bit as OpenCV, TensorFlow and
Pillow render them: the libraries that the published preprocessings took grey and resize from."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import cache
from itertools import product

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
from atari_zoo.preprocessing.area import resize_area
from atari_zoo.preprocessing.greys import float_grey, grey
from atari_zoo.preprocessing.renderer import Renderer, rendered_screens
from atari_zoo.preprocessing.resizes import resize_bilinear, resize_triangle

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


@pytest.mark.parametrize("size", [21, 42, 64])
def test_other_sizes(size):
    for image in np.random.default_rng(size).integers(0, 256, (4, 210, 160), np.uint8):
        expected = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(
            np.rint(resize_area(image.astype(np.float32), size)), expected
        )


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
