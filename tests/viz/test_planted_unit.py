"""A unit whose taste is known: its patches show the sprite that it was set to detect."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from planted_unit import PADDINGS, UNIT, entering, planted_network, with_sprite
from torch.testing import assert_close

import atari_zoo as zoo
from atari_zoo.analysis.peaks import peaks
from atari_zoo.converters.network.receptive_fields import receptive_field
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.attribution.attribution import attribute
from atari_zoo.viz.objectives.units import neuron
from atari_zoo.viz.patches.finding import patches
from atari_zoo.viz.patches.moments import Selection
from atari_zoo.viz.render.ascent import ORIGINAL
from atari_zoo.viz.render.rendering import render

SHOWN = (11, 40, 77)  # steps of play on which the sprite is drawn


@pytest.fixture(scope="module", params=PADDINGS)
def planted(request):
    return planted_network(request.param)


@pytest.fixture(scope="module")
def play() -> Recording:
    """Real play of another agent, which knows nothing of the sprite."""
    agent = zoo.load("a2c/Seaquest/1")
    return zoo.rollout(agent, steps=90, envs=1, seed=0, keep=["screens"])


def test_is_as_it_says(planted):
    """1 at the sprite on black, -1 at black, and in between linear in the pixels."""
    network, sprite, place = planted
    black = torch.zeros(4, 84, 84)
    shown = with_sprite(black, sprite, place.top, place.left)
    grey = torch.rand(4, 84, 84, generator=torch.Generator().manual_seed(0))
    four = torch.stack([black, shown, grey, (shown + grey) / 2])
    values = entering(network, four).detach()[:, place.row, place.column]
    assert_close(values[:2], torch.tensor([-1.0, 1.0]), atol=1e-5, rtol=0)
    assert_close(values[3], (values[1] + values[2]) / 2, atol=1e-5, rtol=0)
    with torch.no_grad():
        output = network(four)[:, 0]
    assert_close(output, values.clamp(min=0), atol=1e-6, rtol=0)


def test_its_field_is_the_whole_of_the_third_layers(planted):
    network, _, place = planted
    pixels = torch.ones(1, 4, 84, 84, requires_grad=True)
    value = entering(network, pixels)[0, place.row, place.column]
    (gradient,) = torch.autograd.grad(value, pixels)
    rows, columns = gradient[0, 3].nonzero().T
    field = receptive_field(network, "conv3", place.row, place.column).seen
    assert (rows.min(), columns.min()) == (field.top, field.left)
    assert (rows.max(), columns.max()) == (field.bottom - 1, field.right - 1)
    assert not gradient[0, :3].any()


def test_the_top_patches_show_the_sprite(planted, play):
    network, sprite, place = planted
    screens = np.array(play.screens)
    spots = []
    for index, step in enumerate(SHOWN):
        top, left = place.top + 8 * (index - 1), place.left - 16 * (index - 1)
        observation = torch.from_numpy(screens[step, 0]).expand(4, 84, 84)
        screens[step, 0] = with_sprite(observation, sprite, top, left)[3].numpy()
        spots.append((top, left))
    arrays = {"rewards": play.rewards, "starts": play.starts, "screens": screens}
    planted = Recording(play.header, arrays)
    (found,) = patches(network, planted, "conv3", [UNIT], Selection(3))
    assert not found.dead
    assert sorted(patch.step for patch in found.patches) == list(SHOWN)
    for patch in found.patches:
        top, left = spots[SHOWN.index(patch.step)]
        field = patch.field.seen
        assert field.top <= top and top + 8 <= field.bottom
        assert field.left <= left and left + 8 <= field.right
        inside = top - patch.field.whole.top, left - patch.field.whole.left
        cut = patch.pixels[3, inside[0] : inside[0] + 8, inside[1] : inside[1] + 8]
        assert_close(cut, (sprite * 255).to(torch.uint8))
        # the sprite's own part is 2 above black's -1, less what the bright sea takes off
        assert patch.value == pytest.approx(1, abs=0.75)
    others = peaks(network, play.observations(), "conv3").values[:, UNIT]
    assert float(others.max()) < min(patch.value for patch in found.patches)


def test_the_image_made_for_it_is_the_sprite(planted):
    """On the whole receptive field: the sprite where it belongs, and black around it."""
    network, sprite, place = planted
    asked = neuron("conv3", UNIT, (place.row, place.column))
    rendered = render(network, asked, replace(ORIGINAL, transforms=(), steps=96))
    field = receptive_field(network, "conv3", place.row, place.column).seen
    wanted = with_sprite(torch.zeros(4, 84, 84), sprite, place.top, place.left)
    assert correlation(rendered.images[0, 3][field.slices], wanted[3][field.slices]) > 0.9
    # the older frames are nothing to it
    assert abs(correlation(rendered.images[0, 0][field.slices], wanted[3][field.slices])) < 0.2


def correlation(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])


@pytest.mark.parametrize("method", ["input_x_gradient", "integrated_gradients", "deeplift", "lrp"])
def test_attribution_falls_on_the_sprite(planted, play, method):
    """Of output 0, which reads the unit, on a screen of real play with the sprite in it."""
    network, sprite, place = planted
    seen = play.observations()[40].float() / 255
    shown = with_sprite(seen, sprite, place.top, place.left)[None]
    values = attribute(network, shown, method, target=0).values[0].abs().sum(0)
    on_sprite = values[place.top : place.top + 8, place.left : place.left + 8].sum()
    assert float(on_sprite / values.sum()) >= 0.9
