"""Attribution by hiding parts of the screen, against loops over windows, cells and coalitions."""

from __future__ import annotations

import math
from itertools import chain, combinations

import numpy as np
import pytest
import small_networks
import torch
from small_networks import small_network
from torch.testing import assert_close

from atari_zoo.converters.network.heads import QHead
from atari_zoo.viz.attribution.attribution import attribute
from atari_zoo.viz.attribution.blurring import blurred
from atari_zoo.viz.attribution.masks import as_pixels, grid_cells

SIDE, ACTION = 12, 1


def network():
    return small_network(QHead, SIDE, width=6, units=12, actions=3)


def pixels(count=2):
    return small_networks.pixels(SIDE, count)


def output(net, one) -> float:
    with torch.no_grad():
        return net(one[None])[0, ACTION].double().item()


def cells_of(count, frames, together):
    """Each cell as a list of (frame, row, column)."""
    found = []
    for which in [range(frames)] if together else [[frame] for frame in range(frames)]:
        for i in range(count):
            for j in range(count):
                rows = [r for r in range(SIDE) if r * count // SIDE == i]
                columns = [c for c in range(SIDE) if c * count // SIDE == j]
                found.append([(f, r, c) for f in which for r in rows for c in columns])
    return found


def with_hidden(one, other, places):
    changed = one.clone()
    for place in places:
        changed[place] = other[place]
    return changed


@pytest.mark.parametrize("frames", ["together", "each"])
def test_occlusion_is_the_loop(frames):
    net, seen = network(), pixels()
    other = seen.mean(dim=0)
    found = attribute(
        net, seen, "occlusion", ACTION, "mean", size=4, stride=3, frames=frames
    ).values
    for one, maps in zip(seen, found, strict=True):
        for index, which in enumerate([range(2)] if frames == "together" else [[0], [1]]):
            total, count = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
            for top in range(0, SIDE - 4 + 3, 3):
                for left in range(0, SIDE - 4 + 3, 3):
                    rows = range(top, min(top + 4, SIDE))
                    columns = range(left, min(left + 4, SIDE))
                    places = [(f, r, c) for f in which for r in rows for c in columns]
                    fall = output(net, one) - output(net, with_hidden(one, other, places))
                    total[rows.start : rows.stop, columns.start : columns.stop] += fall
                    count[rows.start : rows.stop, columns.start : columns.stop] += 1
            expected = torch.from_numpy(total / count)
            assert_close(maps[index].double(), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("together", [True, False])
def test_feature_ablation_is_the_loop(together):
    net, seen = network(), pixels()
    frames = "together" if together else "each"
    found = attribute(net, seen, "feature_ablation", ACTION, cells=5, frames=frames).values
    for one, maps in zip(seen, found, strict=True):
        expected = torch.zeros_like(one)
        for places in cells_of(5, 2, together):
            fall = output(net, one) - output(net, with_hidden(one, torch.zeros_like(one), places))
            for place in places:
                expected[place] = fall / (len(places) / (2 if together else 1))
        assert_close(maps, expected[: len(maps)], atol=1e-5, rtol=1e-4)


def shapley(net, one, other, cells):
    """The formula: each cell's contribution, over all sets of the others."""
    everything = range(len(cells))
    known = {}
    for shown in chain.from_iterable(combinations(everything, n) for n in range(len(cells) + 1)):
        hidden = [place for i in everything if i not in shown for place in cells[i]]
        known[frozenset(shown)] = output(net, with_hidden(one, other, hidden))
    worths, n = [], len(cells)
    for i in everything:
        total = 0.0
        for size in range(n):
            for others in combinations([j for j in everything if j != i], size):
                ways = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
                total += ways * (known[frozenset((*others, i))] - known[frozenset(others)])
        worths.append(total)
    return worths


@pytest.mark.parametrize("together", [True, False])
def test_kernel_shap_of_few_cells_is_the_shapley_value(together):
    net, seen = network(), pixels(1)
    frames = "together" if together else "each"
    found = attribute(net, seen, "kernel_shap", ACTION, "blurred", cells=2, frames=frames)
    cells = cells_of(2, 2, together)
    worths = shapley(net, seen[0], blurred(seen)[0], cells)
    for worth, places in zip(worths, cells, strict=True):
        map_ = found.values[0]
        sums = sum(float(map_[place]) for place in places if place[0] < len(map_))
        assert sums == pytest.approx(worth, abs=1e-4)


def test_sampled_kernel_shap_nears_the_shapley_value():
    """9 cells: 510 sets, of which half are drawn."""
    net, seen = network(), pixels(1)
    exact = attribute(net, seen, "kernel_shap", ACTION, cells=3, samples=510).values
    sampled = attribute(net, seen, "kernel_shap", ACTION, cells=3, samples=250, seed=1)
    other = attribute(net, seen, "kernel_shap", ACTION, cells=3, samples=250, seed=2)
    assert not torch.equal(sampled.values, other.values)
    assert (sampled.values - exact).norm() < 0.15 * exact.norm()
    assert sampled.delta.abs().max() < 1e-5  # complete, however few are drawn


@pytest.mark.parametrize(("cells", "frames", "samples"), [(4, "together", 32), (3, "each", 41)])
def test_few_samples_of_a_linear_network_give_its_shapley_values(cells, frames, samples):
    """They are then the sums of weight x pixel; with fewer samples it is refused."""
    net, seen = network(), pixels(1)
    slope = torch.randn(2, SIDE, SIDE, generator=torch.Generator().manual_seed(7))
    net.forward = lambda given: (given * slope).sum(dim=(1, 2, 3))[:, None] * torch.ones(3)
    options = {"cells": cells, "frames": frames}
    found = attribute(net, seen, "kernel_shap", ACTION, samples=samples, **options).values[0]
    for places in cells_of(cells, 2, frames == "together"):
        right = sum(float((slope * seen[0])[place]) for place in places)
        shared = [place for place in places if place[0] < len(found)]
        assert sum(float(found[place]) for place in shared) == pytest.approx(right, abs=1e-3)
    least = 2 * cells**2 * (1 if frames == "together" else 2)
    with pytest.raises(ValueError, match=f"give at least {least}, or fewer cells"):
        attribute(net, seen, "kernel_shap", ACTION, samples=least - 1, **options)


def test_lime_is_ridge_regression():
    """Of the same sets: minimized by gradient descent on what the lime package minimizes."""
    net, seen = network(), pixels(1)
    found = attribute(net, seen, "lime", ACTION, seed=5, cells=3, samples=80).values[0, 0]
    shown = (torch.rand(80, 9, generator=torch.Generator().manual_seed(5)) < 0.5).double()
    shown[0] = 1
    cells = cells_of(3, 2, together=True)
    scores, weights = [], []
    for row in shown:
        hidden = [place for i, places in enumerate(cells) if not row[i] for place in places]
        scores.append(output(net, with_hidden(seen[0], torch.zeros_like(seen[0]), hidden)))
        cosine = row.sum() / (row.norm() * 3) if row.any() else torch.tensor(0.0)
        weights.append(math.sqrt(math.exp(-((1 - float(cosine)) ** 2) / 0.25**2)))
    # augmented least squares: an intercept that is not penalized, slopes that are by 1
    root = torch.tensor(weights).double().sqrt()[:, None]
    rows = torch.cat([torch.cat([shown, torch.ones(80, 1)], 1) * root, torch.eye(10)[:9]]).double()
    wanted = torch.cat([torch.tensor(scores).double()[:, None] * root, torch.zeros(9, 1)])
    slopes = torch.linalg.lstsq(rows, wanted).solution[:9, 0]
    for slope, places in zip(slopes, cells, strict=True):
        frames = [place for place in places if place[0] == 0]
        total = sum(float(found[r, c]) for _, r, c in frames)
        assert total == pytest.approx(float(slope), abs=1e-5)


@pytest.mark.parametrize("together", [True, False])
def test_cells_part_the_screen(together):
    features = grid_cells(5, torch.Size((2, SIDE, SIDE)), together)
    assert len(features) == (25 if together else 50)
    assert torch.equal(features.sum(0), torch.ones(1 if together else 2, SIDE, SIDE))
    worths = torch.arange(len(features)).float()
    map_ = as_pixels(worths, features)
    for worth, feature in zip(worths, features, strict=True):
        assert float((map_ * feature).sum()) == pytest.approx(float(worth), rel=1e-5)
