"""Saliency by perturbation against plain loops, written from the papers' formulas."""

from __future__ import annotations

import math

import architectures
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional as F
from torch.testing import assert_close

from atari_zoo.converters.network.heads import ActorCriticHead, DuelingHead
from atari_zoo.converters.network.networks import ConvShape, MnihNetwork, Trunk
from atari_zoo.viz.attribution.attribution import attribute
from atari_zoo.viz.attribution.blurring import blurred
from atari_zoo.viz.attribution.methods.perturbation import place_masks, spread
from atari_zoo.viz.attribution.methods.rise import rise_masks
from atari_zoo.viz.attribution.methods.sarfa import sarfa_scores

SIDE = 20


def network(head=ActorCriticHead):
    """Small and quick; outputs of a few units, so that probabilities differ."""
    torch.manual_seed(0)
    trunk = Trunk([ConvShape(8, (4, 4), (2, 2)), ConvShape(8, (3, 3), (1, 1))], 16, (3, SIDE, SIDE))
    made = MnihNetwork(trunk, head(16, 5)).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter *= 3
    return made


def pixels(count=2):
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def outputs(net, frames: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return net(torch.from_numpy(frames[None].astype(np.float32)))[0].double().numpy()


def mask_at(top, left, size, radius, disc=False):
    mask = np.zeros((size, size))
    for row in range(size):
        for column in range(size):
            distance = (row - top) ** 2 + (column - left) ** 2
            mask[row, column] = distance <= (radius**2 if disc else 1)
    if not disc:
        mask = gaussian_filter(mask, radius)
    return mask / mask.max()


def between(grid, size, step):
    """Bilinear from the scores at 0, step, 2 step ...; those of the last place beyond it."""
    found = np.zeros((size, size))
    for row in range(size):
        for column in range(size):
            y, x = (min(at / step, len(grid) - 1) for at in (row, column))
            top, left = int(y), int(x)
            down, right = min(top + 1, len(grid) - 1), min(left + 1, len(grid) - 1)
            v, h = y - top, x - left
            upper = grid[top, left] * (1 - h) + grid[top, right] * h
            lower = grid[down, left] * (1 - h) + grid[down, right] * h
            found[row, column] = upper * (1 - v) + lower * v
    return found


@pytest.mark.parametrize("sigma", [0.7, 3, 5, 11.5])
@pytest.mark.parametrize("shape", [(84, 84), (30, 17)])
def test_the_blur_is_scipys(shape, sigma):
    """11.5 reaches further than 30 pixels: mirrored twice."""
    picture = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    expected = np.stack([gaussian_filter(one.double().numpy(), sigma) for one in picture])
    assert_close(blurred(picture, sigma).double(), torch.from_numpy(expected), atol=1e-6, rtol=0)


def test_no_blur():
    picture = torch.rand(1, 4, 84, 84)
    assert torch.equal(blurred(picture, 0), picture)
    with pytest.raises(ValueError, match="sigma is -1"):
        blurred(picture, -1)


def test_there_are_289_masks_of_an_atari_screen():
    masks = place_masks(torch.zeros(1, 4, 84, 84))
    assert masks.shape == (289, 1, 84, 84)
    for index in (0, 16, 17 * 8 + 8, 288):
        expected = mask_at(index // 17 * 5, index % 17 * 5, 84, 5)
        assert_close(masks[index, 0].double(), torch.from_numpy(expected), atol=1e-6, rtol=0)


def test_sharp_masks_are_discs():
    masks = place_masks(torch.zeros(1, 4, 84, 84), step=2, radius=2, blurry=False)
    assert masks.shape == (42 * 42, 1, 84, 84)
    expected = mask_at(20, 8, 84, 2, disc=True)
    assert_close(masks[10 * 42 + 4, 0].double(), torch.from_numpy(expected))
    assert int(masks[10 * 42 + 4].sum()) == 13


@pytest.mark.parametrize("frames", ["together", "each"])
@pytest.mark.parametrize("side", ["actor", "critic"])
@pytest.mark.parametrize("head", [ActorCriticHead, DuelingHead])
def test_greydanus_is_the_loop(side, head, frames):
    net, seen = network(head), pixels()
    options = {"step": 4, "radius": 2.0, "blur": 1.5}
    found = attribute(net, seen, "greydanus", side=side, frames=frames, **options).values

    def respond(changed):
        if side == "actor":
            return outputs(net, changed)
        with torch.no_grad():
            features = net.trunk(torch.from_numpy(changed[None].astype(np.float32)))
            return net.head.value(features)[0].double().numpy()

    for one, maps in zip(seen.double().numpy(), found, strict=True):
        covered = [range(3)] if frames == "together" else [[0], [1], [2]]
        assert len(maps) == len(covered)
        for which, map_ in zip(covered, maps, strict=True):
            grid = np.zeros((5, 5))
            for i in range(5):
                for j in range(5):
                    mask, changed = mask_at(4 * i, 4 * j, SIDE, 2.0), one.copy()
                    for frame in which:
                        smooth = gaussian_filter(one[frame], 1.5)
                        changed[frame] = one[frame] * (1 - mask) + smooth * mask
                    grid[i, j] = 0.5 * ((respond(one) - respond(changed)) ** 2).sum()
            expected = between(grid, SIDE, 4)
            assert expected.max() > 1e-4
            assert_close(
                map_.double(), torch.from_numpy(expected), atol=1e-4 * expected.max(), rtol=1e-3
            )


def test_a_network_without_a_critic_has_no_critics_saliency():
    with pytest.raises(ValueError, match="no layer 'value', so no value"):
        attribute(architectures.network("q"), torch.zeros(1, 4, 84, 84), "greydanus", side="critic")


def test_scores_stay_at_their_places():
    scores = torch.zeros(289)
    scores[17 * 8 + 3] = 1
    (map_,) = spread(scores, torch.Size((4, 84, 84)), 5)
    assert map_[40, 15] == 1
    assert map_[42, 15] == pytest.approx(0.6)
    assert map_[40, 11] == pytest.approx(0.2)
    assert map_.sum() == pytest.approx(25)


def softmax(values):
    return np.exp(values) / np.exp(values).sum()


def sarfa_by_hand(before, after, action, variant, divergence):
    if variant == "library":  # it is given the policy, and takes a softmax again
        before, after = softmax(before), softmax(after)
    p, q = softmax(before), softmax(after)
    drop = p[action] - q[action]
    if drop <= 0:
        return 0.0
    if variant == "library":
        first = softmax(np.delete(before, action))
        second = softmax(np.delete(after, action))
    else:  # the Atari file: the policy without the action, renormalized
        first = np.delete(p, action) / (1 - p[action])
        second = np.delete(q, action) / (1 - q[action])
    if divergence == "paper":
        first, second = second, first
    kl = sum(f * math.log(f / s) for f, s in zip(first, second, strict=True))
    return 2 * drop / (1 + kl) / (drop + 1 / (1 + kl))


@pytest.mark.parametrize("divergence", ["code", "paper"])
@pytest.mark.parametrize("variant", ["renormalized", "library"])
def test_sarfas_formula_by_hand(variant, divergence):
    generator = torch.Generator().manual_seed(2)
    before = torch.randn(1, 6, generator=generator) * 2
    after = before + torch.randn(40, 6, generator=generator) * 2
    found = sarfa_scores(before, after, 3, variant, divergence)
    expected = [
        sarfa_by_hand(before[0].double().numpy(), one, 3, variant, divergence)
        for one in after.double().numpy()
    ]
    assert 5 < sum(one > 0 for one in expected) < 35
    assert_close(found.double(), torch.tensor(expected), atol=1e-6, rtol=1e-5)


def test_the_librarys_softmax_of_q_values_is_the_renormalized_policy():
    """Why there is no third variant: of unnormalized outputs the two are one function."""
    q = np.random.default_rng(0).normal(size=6)
    others = softmax(np.delete(q, 2))
    assert np.allclose(others, np.delete(softmax(q), 2) / (1 - softmax(q)[2]))


def test_sarfa_of_a_certain_policy_is_finite():
    before, after = (
        torch.tensor([[200.0, 0, -200]]),
        torch.tensor([[-200.0, 0, 200], [200, 0, -200]]),
    )
    found = sarfa_scores(before, after, 0)
    assert torch.isfinite(found).all()
    assert found[1] == 0


@pytest.mark.parametrize("target", ["chosen", "3"])
@pytest.mark.parametrize("blur", [1.5, 0])
def test_sarfa_is_the_loop(blur, target):
    net, seen = network(), pixels()
    found = attribute(net, seen, "sarfa", target, step=4, radius=2.0, blur=blur).values[:, 0]
    for one, map_ in zip(seen.double().numpy(), found, strict=True):
        before, grid = outputs(net, one), np.zeros((5, 5))
        action = int(before.argmax()) if target == "chosen" else 3
        for i in range(5):
            for j in range(5):
                mask = mask_at(4 * i, 4 * j, SIDE, 2.0, disc=blur == 0)
                instead = [gaussian_filter(frame, blur) if blur else 0 * frame for frame in one]
                after = outputs(net, one * (1 - mask) + np.stack(instead) * mask)
                grid[i, j] = sarfa_by_hand(before, after, action, "renormalized", "code")
        expected = between(grid, SIDE, 4)
        assert expected.max() > 1e-3
        assert_close(map_.double(), torch.from_numpy(expected), atol=1e-5, rtol=1e-3)


def test_rise_is_the_loop():
    net, seen = network(), pixels()
    options = {"masks": 30, "cells": 4, "keep": 0.3}
    found = attribute(net, seen, "rise", 2, "blurred", seed=9, **options).values[:, 0]
    masks = rise_masks(30, 4, 0.3, SIDE, SIDE, torch.Generator().manual_seed(9)).double().numpy()
    for one, map_ in zip(seen.double().numpy(), found, strict=True):
        hidden = np.stack([gaussian_filter(frame, 3) for frame in one])
        scores = [outputs(net, one * mask + hidden * (1 - mask))[2] for mask in masks]
        above = scores - np.mean(scores)
        expected = sum(s * m for s, m in zip(above, masks, strict=True)) / 30 / 0.3
        assert_close(map_.double(), torch.from_numpy(expected), atol=1e-4, rtol=1e-3)


def test_masks_of_rise():
    """0..1, of the mean that was asked for, smooth, and cut out at every offset within a cell."""
    masks = rise_masks(2000, 8, 0.5, 84, 84, torch.Generator().manual_seed(0))
    assert masks.shape == (2000, 84, 84)
    assert masks.min() >= 0 and masks.max() <= 1
    assert masks.mean() == pytest.approx(0.5, abs=0.01)
    assert float((masks[:, 1:] - masks[:, :-1]).abs().max()) < 0.15  # a cell is 11 pixels
    grid = (torch.rand(1, 1, 3, 3, generator=torch.Generator().manual_seed(4)) < 0.5).float()
    one = rise_masks(1, 3, 0.5, 9, 9, torch.Generator().manual_seed(4))[0]
    large = F.interpolate(grid, (12, 12), mode="bilinear")[0, 0]
    windows = [large[i : i + 9, j : j + 9] for i in range(3) for j in range(3)]
    assert sum(torch.equal(one, window) for window in windows) >= 1


def test_rise_is_blind_to_a_constant():
    net, shifted = network(), network()
    with torch.no_grad():
        shifted.head.output.bias += 100
    maps = [attribute(n, pixels(), "rise", 2, masks=40).values for n in (net, shifted)]
    assert_close(maps[1], maps[0], atol=2e-4, rtol=1e-3)  # float32 of 100: steps of 8e-6
    with torch.no_grad():
        shifted.head.output.weight.zero_()
    assert attribute(shifted, pixels(), "rise", 2, masks=40).values.abs().max() == 0


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("greydanus", {"step": 0}, f"step is 0 and radius 5.0; expected 1 to {SIDE - 1}"),
        ("greydanus", {"step": SIDE}, f"expected 1 to {SIDE - 1}, and above 0"),
        ("greydanus", {"radius": 0.0}, "radius 0.0; expected"),
        ("greydanus", {"blur": 0.0}, "it must be above 0, or nothing would change"),
        ("sarfa", {"blur": -1.0}, "blur is -1.0; expected 0 or more"),
        ("rise", {"masks": 1}, "masks is 1, cells 8 and keep 0.5; expected at least 2"),
    ],
)
def test_refuses_masks_that_tell_nothing(method, options, message):
    with pytest.raises(ValueError, match=message):
        attribute(network(), pixels(), method, **options)
