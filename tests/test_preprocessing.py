"""Grey and resize, bit for bit against OpenCV, where the published preprocessings took them."""

from __future__ import annotations

from itertools import product

import cv2
import numpy as np
import pytest
import torch
from ale_py import ALEInterface, LoggerMode, roms

from atari_zoo.preprocessing import grey, resize_area

GAMES = ["air_raid", "breakout", "enduro", "ms_pacman", "pong", "seaquest", "skiing"]
TALL = "air_raid"  # 250 lines; the others have 210


@pytest.fixture(scope="module", params=GAMES)
def frames(request) -> np.ndarray:
    """(frame, height, width, 3) of one game, played at random."""
    ALEInterface.setLoggerMode(LoggerMode.Error)
    emulator = ALEInterface()
    emulator.setInt("random_seed", 7)
    emulator.loadROM(roms.get_rom_path(request.param))
    actions, generator = emulator.getMinimalActionSet(), np.random.default_rng(7)
    screens = []
    for step in range(240):
        emulator.act(actions[generator.integers(len(actions))])
        if step % 12 == 0:
            screens.append(emulator.getScreenRGB())
    assert len(screens[0]) == (250 if request.param == TALL else 210)
    return np.stack(screens)


def opencv(frames: np.ndarray, size: int = 84) -> np.ndarray:
    """What OpenCV makes of colour frames, one at a time."""
    greys = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames)
    return np.stack([cv2.resize(g, (size, size), interpolation=cv2.INTER_AREA) for g in greys])


def test_real_frames(frames):
    ours = resize_area(grey(torch.from_numpy(frames)))
    np.testing.assert_array_equal(ours.numpy(), opencv(frames))
    assert len(np.unique(ours)) > 3  # and the frames show something


def test_grey_of_every_colour_on_a_lattice():
    values = [*range(0, 256, 5), 1, 127, 128, 254]
    colours = np.array(list(product(values, repeat=3)), np.uint8)[None]
    expected = cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY)
    np.testing.assert_array_equal(grey(torch.from_numpy(colours)).numpy(), expected)


# the sizes of ale-py's screens, others that divide evenly in height or not at all, and no change
@pytest.mark.parametrize(
    "height, width", [(210, 160), (250, 160), (168, 160), (84, 160), (97, 131), (84, 84)]
)
def test_resize_of_random_images(height, width):
    images = np.random.default_rng(height).integers(0, 256, (12, height, width), np.uint8)
    expected = [cv2.resize(i, (84, 84), interpolation=cv2.INTER_AREA) for i in images]
    ours = resize_area(torch.from_numpy(images)).numpy()
    np.testing.assert_array_equal(ours, np.stack(expected))


@pytest.mark.parametrize("size", [21, 42, 64])
def test_other_sizes(size):
    images = np.random.default_rng(size).integers(0, 256, (4, 210, 160, 3), np.uint8)
    ours = resize_area(grey(torch.from_numpy(images)), size).numpy()
    np.testing.assert_array_equal(ours, opencv(images, size))


@pytest.mark.parametrize("value", [0, 1, 127, 254, 255])
def test_one_shade_stays_that_shade(value):
    flat = torch.full((210, 160), value, dtype=torch.uint8)
    assert (resize_area(flat) == value).all()


def test_leading_axes_are_kept():
    images = torch.randint(0, 256, (2, 3, 210, 160, 3), dtype=torch.uint8)
    together = resize_area(grey(images))
    assert together.shape == (2, 3, 84, 84)
    torch.testing.assert_close(together[1, 2], resize_area(grey(images[1, 2])), atol=0, rtol=0)
