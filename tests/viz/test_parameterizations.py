"""Parameterizations: what each makes of its numbers, and that it can be ascended."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from architectures import network as make_network
from torch.testing import assert_close

from atari_zoo.viz.parameterizations.cppn import Cppn, pixel_places
from atari_zoo.viz.parameterizations.fourier import Fourier, wave_scale
from atari_zoo.viz.parameterizations.frames import FromObservation, LearnedFrames
from atari_zoo.viz.parameterizations.maco import MaCo, magnitude
from atari_zoo.viz.parameterizations.parameterizations import Pixels, Pyramid, Shared
from atari_zoo.viz.render.ascent import ORIGINAL
from atari_zoo.viz.render.rendering import render
from atari_zoo.viz.render.seeds import generators

SHAPE = (4, 84, 84)
SEEN = torch.randint(
    0, 256, (6, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(7)
)
KINDS = {
    "pixels": Pixels(),
    "fourier": Fourier(),
    "fourier without decay": Fourier(decay=0.0),
    "cppn": Cppn(width=8, depth=4, rate=0.01),
    "pyramid": Pyramid(),
    "shared": Shared(),
    "shared by all samples": Shared(samples=True),
    "maco": MaCo(magnitude(SEEN)),
    "present, others black": LearnedFrames(),
    "present, others frozen": LearnedFrames(others=SEEN[0]),
    "present, others copies": LearnedFrames(others="copies"),
    "two frames of waves": LearnedFrames(Fourier(), learned=(1, 3)),
    "from an observation": FromObservation(SEEN[1]),
    "waves from an observation": FromObservation(SEEN[1], Fourier()),
}


@pytest.fixture(scope="module")
def network():
    return make_network("actor-critic")


def made(how, names=("fc:1", "fc:2", "fc:3"), seed: int = 0) -> torch.Tensor:
    tensors = how.start(SHAPE, generators(seed, names, "start"))
    return how.squashed(how.raw(tensors, SHAPE))


@pytest.mark.parametrize("kind", KINDS)
def test_images_are_in_range(kind):
    images = made(KINDS[kind])
    assert images.shape == (3, *SHAPE)
    assert 0 <= float(images.min()) <= float(images.max()) <= 1


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "shared by all samples"])
def test_a_start_depends_on_the_seed_and_the_name_alone(kind):
    how = KINDS[kind]
    together, alone = made(how), made(how, names=["fc:2"])
    assert_close(together[1:2], alone, atol=1e-6, rtol=0)
    if kind != "cppn":  # whose last layer begins at zero, for all
        assert not torch.equal(together[0], together[1])
        assert not torch.equal(made(how, seed=1), together)


@pytest.mark.parametrize("kind", KINDS)
def test_ten_steps_raise_the_objective(kind, network):
    settings = replace(ORIGINAL, parameterization=KINDS[kind], steps=10, transforms=())
    rendered = render(network, ["fc:5", "conv2:3"], settings)
    assert (rendered.objective > rendered.curve[0]).all()


def test_waves_are_numpys():
    how = Fourier(decay=1.5)
    (numbers,) = how.start(SHAPE, generators(0, ["a", "b"], "start"))
    spectrum = numbers[..., 0].numpy() + 1j * numbers[..., 1].numpy()
    scale = np.empty((84, 43))
    for row in range(84):
        for column in range(43):
            down = row if row <= 42 else row - 84
            frequency = math.hypot(down, column) / 84
            scale[row, column] = 84 / max(frequency, 1 / 84) ** 1.5
    assert_close(wave_scale(SHAPE, 1.5).numpy(), scale.astype(np.float32), rtol=1e-5, atol=0)
    expected = np.fft.irfft2(spectrum * scale, s=(84, 84)) / 4
    raw = how.raw([numbers], SHAPE)
    # sums of 7056 waves, the slow ones with factors of thousands
    assert_close(raw.numpy(), expected.astype(np.float32), atol=1e-4, rtol=1e-4)
    assert_close(how.squashed(raw), 1 / (1 + (-raw).exp()))


def test_a_pyramid_is_the_sum_of_its_levels():
    how = Pyramid(levels=3)
    levels = how.start(SHAPE, generators(0, ["a"], "start"))
    assert [tuple(level.shape[2:]) for level in levels] == [(84, 84), (42, 42), (21, 21)]
    flat = [
        torch.full_like(level, value) for level, value in zip(levels, (1, 20, 300), strict=True)
    ]
    assert_close(how.raw(flat, SHAPE), torch.full((1, *SHAPE), 321.0))
    only_coarse = [torch.zeros_like(levels[0]), torch.zeros_like(levels[1]), levels[2]]
    raw = how.raw(only_coarse, SHAPE)
    # bilinear, pixel centres: 4 fine pixels a coarse one, the fine ones' mean of weights is 1
    assert_close(raw[0, 0, 4:8, 4:8].mean(), _bilinear_mean(levels[2][0, 0], 1, 1))


def _bilinear_mean(coarse: torch.Tensor, row: int, column: int) -> torch.Tensor:
    """The mean of the 4x4 fine pixels of a coarse one: by 5/32, 22/32, 5/32 along each axis,
    since fine centres are at -3/8, -1/8, 1/8, 3/8 of it."""
    near, own = sum((3 / 8, 1 / 8)) / 4, 1 - 2 * sum((3 / 8, 1 / 8)) / 4
    weights = torch.tensor([near, own, near])
    return weights @ coarse[row - 1 : row + 2, column - 1 : column + 2] @ weights


def test_frames_share_the_coarse_image():
    how = Shared(coarse=4)
    own, shared = how.start(SHAPE, generators(0, ["a", "b"], "start"))
    assert tuple(shared.shape) == (2, 1, 21, 21)
    raw = how.raw([torch.zeros_like(own), shared], SHAPE)
    assert all(torch.equal(raw[:, frame], raw[:, 0]) for frame in range(4))
    of_all = Shared(samples=True).start(SHAPE, generators(0, ["a", "b"], "start"))[1]
    assert len(of_all) == 1


def test_a_painting_network_is_a_plain_network():
    how = Cppn(width=3, depth=3)
    generator = torch.Generator().manual_seed(0)
    tensors = [
        torch.randn(t.shape, generator=generator)
        for t in how.start(SHAPE, generators(0, ["a", "b"], "start"))
    ]
    raw = how.raw(tensors, SHAPE)
    row, column, sample = 10, 70, 1
    values = [-math.sqrt(3) + 2 * math.sqrt(3) * at / 83 for at in (row, column)]
    for layer in (0, 2):
        weight, bias = tensors[layer][sample], tensors[layer + 1][sample, 0]
        bent = [
            math.atan(
                sum(v * float(w) for v, w in zip(values, weight[:, unit], strict=True)) + bias[unit]
            )
            for unit in range(3)
        ]
        values = [b / 0.67 for b in bent] + [b * b / 0.6 for b in bent]
    last, bias = tensors[4][sample], tensors[5][sample, 0]
    for frame in range(4):
        expected = sum(v * float(w) for v, w in zip(values, last[:, frame], strict=True))
        assert float(raw[sample, frame, row, column]) == pytest.approx(
            expected + float(bias[frame]), abs=1e-4
        )
    assert pixel_places(SHAPE).shape == (84 * 84, 2)


def test_the_spectrum_of_maco_stays_fixed(network):
    how = MaCo(magnitude(SEEN))
    tensors = [t.requires_grad_() for t in how.start(SHAPE, generators(0, ["a", "b"], "start"))]
    optimizer = torch.optim.NAdam(tensors, lr=1.0)
    first = how.raw(tensors, SHAPE).detach()
    for _ in range(5):
        (-network(how.squashed(how.raw(tensors, SHAPE)))[:, 1].sum()).backward()
        optimizer.step()
        optimizer.zero_grad()
    waves = how.waves(tensors, SHAPE).detach()
    expected = np.abs(np.fft.rfft2(SEEN.numpy() / 255.0)).mean(axis=0)
    found = torch.fft.rfft2(waves).abs()
    # of magnitudes of 10 to 4000, by float32 transforms: every wave, also those of real weights
    assert_close(found[0].numpy(), expected.astype(np.float32), atol=2e-2, rtol=1e-4)
    raw = how.raw(tensors, SHAPE).detach()
    assert not torch.allclose(raw, first, atol=0.1)  # while the phases have moved
    assert_close(raw.flatten(1).mean(dim=1), torch.zeros(2), atol=1e-5, rtol=0)
    assert_close(raw.flatten(1).std(dim=1), torch.ones(2), atol=1e-3, rtol=0)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_frozen_frames_stay_equal_bit_for_bit(network, dtype):
    seen = SEEN[2] if dtype == torch.uint8 else SEEN[2].float() / 300
    settings = replace(ORIGINAL, parameterization=LearnedFrames(others=seen), steps=10)
    rendered = render(network, ["fc:5", "fc:6"], settings)
    expected = seen[:3].float() / 255 if dtype == torch.uint8 else seen[:3]
    for image in rendered.images:
        assert torch.equal(image[:3], expected)
        assert not torch.equal(image[3], expected[2])
    if dtype == torch.uint8:
        assert torch.equal(rendered.bytes[0, :3], SEEN[2, :3])


def test_black_and_copied_frames(network):
    for others in ("zero", "copies"):
        settings = replace(ORIGINAL, parameterization=LearnedFrames(others=others), steps=3)
        (image,) = render(network, "fc:5", settings).images
        expected = image[3] if others == "copies" else torch.zeros(84, 84)
        assert all(torch.equal(image[frame], expected) for frame in range(3))


def test_of_several_learned_frames_the_newest_is_copied():
    (image,) = made(LearnedFrames(others="copies", learned=(1, 3)), names=["fc:1"])
    assert torch.equal(image[0], image[3]) and torch.equal(image[2], image[3])
    assert not torch.equal(image[1], image[3])


def test_what_starts_from_an_observation_starts_there():
    images = made(FromObservation(SEEN[3], Pixels(deviation=0.0)))
    seen = (SEEN[3].float() / 255).clamp(0.02, 0.98)
    assert_close(images[0], seen, atol=1e-5, rtol=0)


WRONG = {
    "levels": (lambda: Pyramid(levels=0), "levels is 0; expected 1 or more"),
    "coarse": (lambda: Shared(coarse=0), "coarse is 0"),
    "depth": (lambda: Cppn(depth=1), "depth 1"),
    "others": (lambda: LearnedFrames(others="white"), "no frames 'white'; there are zero, copies"),
    "learned": (lambda: LearnedFrames(learned=(4,)), "expected some of 0 to 3"),
    "others of 255": (
        lambda: LearnedFrames(others=torch.full((4, 84, 84), 200.0)),
        r"the observation's numbers are in 200\.\.200; expected 0\.\.1: divide bytes by 255",
    ),
    "NaN": (
        lambda: FromObservation(torch.full((4, 84, 84), torch.nan)),
        "are not finite; expected",
    ),
    "several": (lambda: FromObservation(SEEN), r"expected \(frames, height, width\)"),
    "spectrum of 255": (
        lambda: magnitude(torch.full((2, 4, 84, 84), 200.0)),
        r"observations are in 200\.\.200; expected 0\.\.1",
    ),
    "nothing learned": (lambda: LearnedFrames(learned=()), "expected some of 0 to 3"),
    "spectrum": (lambda: made(MaCo(torch.ones(4, 60, 31))), "make it from observations"),
    "observation": (lambda: made(FromObservation(SEEN[0, :3])), "the network takes"),
    "no observations": (lambda: magnitude(SEEN[:0]), "needs at least one"),
}


@pytest.mark.parametrize("what", WRONG)
def test_refuses(what):
    call, message = WRONG[what]
    with pytest.raises(ValueError, match=message):
        call()
