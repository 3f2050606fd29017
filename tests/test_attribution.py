"""Integrated Gradients: complete, of the action asked for, and put where the pixels are."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import atari_zoo as zoo
from atari_zoo.viz.attribution import frame_strip, integrated_gradients, overlay

unchecked = integrated_gradients.__wrapped__  # as users have it: without the tests' shape checks


@pytest.fixture(scope="module")
def seen(random_agent):
    """An agent, and three observations of its game as floats."""
    network = random_agent("Pong")
    recording = zoo.rollout(network, steps=40, envs=1, keep=["screens"])
    return network, recording.observations()[[5, 20, 39]].float() / 255


def rise(network, observations, actions) -> torch.Tensor:
    """output(x) - output(black), from two plain forward passes."""
    black = torch.zeros_like(observations)
    with torch.no_grad():
        return (network(observations) - network(black))[torch.arange(len(observations)), actions]


@pytest.mark.parametrize("actions", [4, torch.tensor([0, 5, 2])], ids=["one", "each"])
def test_attributions_sum_to_what_the_output_rises_from_black(seen, actions):
    network, observations = seen
    values, delta = integrated_gradients(network, observations, actions, steps=200)
    assert values.shape == observations.shape
    expected = rise(network, observations, actions)
    sums = values.sum(dim=(1, 2, 3))
    # the path crosses some thousand ReLU kinks: with 200 points the integral is right to percents
    assert_close(sums, expected, atol=0.05 * float(expected.abs().max()), rtol=0)
    assert_close(delta, sums - expected, atol=1e-3, rtol=0)  # float32 sums of 28224 terms


def test_of_a_linear_network_are_weight_times_pixel(seen):
    """Where ReLUs are taken out, the integral has a closed form: gradient times input."""
    network, observations = seen
    linear = without_relu(network)
    pixels = observations.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(linear(pixels)[:, 3].sum(), pixels)
    values, _ = integrated_gradients(linear, observations, 3, steps=5)
    assert_close(values, gradient * observations, atol=1e-4, rtol=1e-3)


def without_relu(network):
    linear = deepcopy(network)
    for module in linear.modules():
        if hasattr(module, "relu"):
            module.relu = torch.nn.Identity()
    return linear


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (6, "action is 6; expected 0 to 5"),
        (-1, "action is -1; expected 0 to 5"),
        (torch.tensor([0, 9, 1]), "action is 9; expected 0 to 5"),
        (torch.tensor([0, 1]), "actions for 3 observations"),
    ],
)
def test_refuses_actions_that_are_not_there(seen, actions, message):
    with pytest.raises(ValueError, match=message):
        unchecked(*seen, actions)


def test_refuses_observations_out_of_range(seen):
    network, observations = seen
    with pytest.raises(ValueError, match=r"expected 0\.\.1: divide bytes by 255"):
        integrated_gradients(network, observations * 255, 0)


def test_refuses_bytes(seen):
    network, observations = seen
    with pytest.raises(ValueError, match=r"torch\.uint8; gradients need floats"):
        unchecked(network, (observations * 255).to(torch.uint8), 0)


@pytest.mark.parametrize("height", [210, 250])
def test_the_overlay_lights_up_where_the_attributions_are(height):
    frame = np.full((height, 160, 3), 60, np.uint8)
    values = np.zeros((4, 84, 84), np.float32)
    values[3, 60:66, 20:26], values[0, 60:66, 20:26] = 1, -1  # opposite signs do not cancel
    picture = overlay(frame, values, factor=2).astype(int)
    assert picture.shape == (height * 2, 320, 3)
    lit = picture.sum(axis=2) > picture[0, 0].sum() + 60
    rows, columns = np.nonzero(lit)
    # the middle of the square, carried over to the frame: 1 pixel of 84 is at most 6 of these
    assert rows.mean() == pytest.approx(63 / 84 * height * 2, abs=6)
    assert columns.mean() == pytest.approx(23 / 84 * 320, abs=6)
    assert lit.mean() < 0.02


def test_the_strip_shows_signs_frame_by_frame():
    observation = np.full((4, 84, 84), 100, np.uint8)
    values = np.zeros((4, 84, 84), np.float32)
    values[1, 30:40, 30:40], values[3, 30:40, 30:40] = 1, -1
    picture = frame_strip(observation, values, factor=1).astype(int)
    assert picture.shape == (84, 4 * 84 + 3 * 2, 3)
    warmth = [
        int(picture[34, 34 + frame * 86, 0] - picture[34, 34 + frame * 86, 2]) for frame in range(4)
    ]
    assert warmth[1] > 60 > warmth[0] == warmth[2] == 0 > -60 > warmth[3]


def test_nothing_attributed_is_nothing_lit():
    frame, values = np.full((210, 160, 3), 60, np.uint8), np.zeros((4, 84, 84), np.float32)
    picture = overlay(frame, values)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 1
