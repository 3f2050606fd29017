"""Transforms keep the size, move each sample on its own, and have the right gradient."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from atari_zoo.viz.render.transforms import (
    Jitter,
    Pad,
    Rotate,
    Scale,
    check_transforms,
    draws_for,
    transformed,
)

IMAGES = torch.rand(5, 4, 84, 84, generator=torch.Generator().manual_seed(0))
ALL = {
    "jitter": Jitter(3),
    "jitter on grey": Jitter(5, border=0.5),
    "pad": Pad(4),
    "scale": Scale(0.8, 1.2),
    "rotate": Rotate(20),
}
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA here"
))]  # fmt: skip


def draws(transform, count: int = 5, seed: int = 1) -> torch.Tensor:
    return torch.rand(count, transform.numbers, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ALL)
def test_keeps_the_size_and_treats_each_sample_alone(name, device):
    transform, images = ALL[name], IMAGES.to(device)
    numbers = draws(transform).to(device)
    moved = transform(images, numbers)
    assert moved.shape == images.shape
    for index in range(5):
        part = slice(index, index + 1)
        assert_close(transform(images[part], numbers[part]), moved[part], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ALL)
def test_its_gradient_is_the_one_of_differences(name):
    small = IMAGES[:2, :1, :12, :12].double().requires_grad_()
    transform = ALL[name]
    numbers = draws(transform, 2).double()
    assert torch.autograd.gradcheck(lambda images: transform(images, numbers), small)


@pytest.mark.parametrize("border", [None, 0.25])
@pytest.mark.parametrize("device", DEVICES)
def test_jitter_moves_by_all_whole_pixels(border, device):
    """Every shift from -3 to 3 in both directions, the edge mirrored as numpy mirrors it."""
    numbers = torch.tensor([[(i + 0.5) / 7, (j + 0.5) / 7] for i in range(7) for j in range(7)])
    image = IMAGES[:1].expand(49, -1, -1, -1).to(device)
    moved = Jitter(3, border)(image, numbers.to(device)).cpu().numpy()
    options = {"mode": "reflect"} if border is None else {"constant_values": border}
    padded = np.pad(IMAGES[0].numpy(), ((0, 0), (3, 3), (3, 3)), **options)
    for index in range(49):
        row, column = divmod(index, 7)
        assert np.array_equal(moved[index], padded[:, row : row + 84, column : column + 84])


def test_jitter_draws_every_shift_alike():
    numbers = torch.rand(700, 2, generator=torch.Generator().manual_seed(0))
    image = torch.arange(84.0)[:, None].expand(700, 1, 84, 84)  # every pixel is its row
    shifts = Jitter(3)(image, numbers)[:, 0, 40, 40] - 40
    counts = torch.bincount((shifts + 3).long(), minlength=7)
    assert len(counts) == 7
    assert counts.min() > 60  # of 100 expected: five deviations away


def test_scale_enlarges_about_the_centre():
    rows = torch.arange(84.0).sub(41.5).reshape(1, 1, 84, 1).expand(1, 1, 84, 84)
    enlarged = Scale(2.0, 2.0)(rows, torch.zeros(1, 1))
    assert_close(enlarged, rows / 2, atol=1e-3, rtol=0)  # a linear ramp, twice as flat
    drawn = Scale(0.5, 1.5)(rows, torch.tensor([[0.9]]))
    assert_close(drawn[..., 30:54, :], rows[..., 30:54, :] / 1.4, atol=1e-3, rtol=0)


def test_rotate_turns_about_the_centre():
    image = IMAGES[:1]
    quarter = Rotate(90)(image, torch.tensor([[1.0]]))  # the end of its range
    assert_close(quarter, torch.rot90(image, 1, (2, 3)), atol=1e-3, rtol=0)
    assert_close(Rotate(30)(image, torch.tensor([[0.5]])), image, atol=1e-5, rtol=0)


def test_pad_shrinks_the_image_into_a_grey_frame():
    white = torch.ones(1, 4, 84, 84)
    padded = Pad(12, grey=0.25)(white, torch.zeros(1, 0))
    frame = 12 * 84 / 108  # of 108 pixels, shown as 84
    assert_close(padded[..., : math.floor(frame) - 1, :], torch.full((1, 4, 8, 84), 0.25))
    assert_close(padded[..., 12:72, 12:72], torch.ones(1, 4, 60, 60))


def test_several_share_the_numbers_in_order():
    transforms = (Jitter(2), Scale(0.9, 1.1), Rotate(5))
    numbers = draws_for(transforms, seed=3, names=["a", "b"], steps=4)
    assert numbers.shape == (4, 2, 4)
    alone = draws_for(transforms, seed=3, names=["b"], steps=4)
    assert torch.equal(numbers[:, 1:], alone)
    assert not torch.equal(draws_for(transforms, seed=4, names=["b"], steps=4), alone)
    expected = transforms[0](IMAGES[:2], numbers[0, :, :2])
    expected = transforms[2](transforms[1](expected, numbers[0, :, 2:3]), numbers[0, :, 3:])
    assert_close(transformed(IMAGES[:2], transforms, numbers[0]), expected)


def test_the_largest_jitter_is_taken():
    moved = Jitter(83)(IMAGES, torch.ones(len(IMAGES), 2))
    assert moved.shape == IMAGES.shape
    check_transforms((Jitter(83), Pad(2), Scale(), Rotate()), (4, 84, 84))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Jitter(-1), "jitter is -1; expected 0 or more"),
        (lambda: Pad(-2), "padding is -2"),
        (lambda: Rotate(-5), "rotation is -5"),
        (lambda: Scale(0, 1), "expected 0 < least <= most"),
        (lambda: Scale(1.2, 1.1), "expected 0 < least <= most"),
        (lambda: Scale(1.0, math.inf), "expected 0 < least <= most"),
        (lambda: Jitter(True), "jitter is True; expected 0 or more, a whole number of pixels"),
        (lambda: Jitter(2, border=math.nan), "jitter's border is nan; expected 0 to 1"),
        (lambda: Pad(2, grey=1.5), "padding's grey is 1.5; expected 0 to 1"),
        (lambda: Rotate(math.nan), "rotation is nan; expected 0 to 360 degrees"),
        (
            lambda: Jitter(84)(IMAGES, torch.rand(len(IMAGES), 2)),
            "images of this size take 0 to 83",
        ),
        (lambda: Pad(84)(IMAGES, torch.rand(len(IMAGES), 0)), "images of this size take 0 to 83"),
        (lambda: check_transforms((Jitter(90),), (4, 84, 84)), "jitter is 90; images of this size"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()
