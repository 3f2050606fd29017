"""Peaks: the largest value of each unit's map, and its place, by plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from atari_zoo.analysis.peaks import (
    check_units,
    dead_units,
    peaks,
    recorded_peaks,
    unit_count,
)
from atari_zoo.converters.cards import ModelCard, Preprocessing
from atari_zoo.converters.network.heads import CategoricalHead, QHead
from atari_zoo.converters.network.networks import SAME, MnihNetwork, Trunk, mnih_convolutions
from atari_zoo.recordings.header import Header
from atari_zoo.recordings.recordings import Recording

STEPS, ENVS = 7, 3


def tiny(head=None) -> MnihNetwork:
    torch.manual_seed(0)
    trunk = Trunk(mnih_convolutions((4, 5, 6), SAME), units=9)
    return MnihNetwork(trunk, head or QHead(9, actions=3)).eval()


@pytest.fixture(scope="module")
def network() -> MnihNetwork:
    return tiny()


@pytest.fixture(scope="module")
def seen() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand((6, 4, 84, 84), generator=generator)


@pytest.fixture(scope="module")
def recording() -> Recording:
    random = np.random.default_rng(2)
    arrays = {
        "screens": random.integers(0, 256, (STEPS, ENVS, 84, 84), np.uint8),
        "starts": np.arange(STEPS)[:, None] % 4 == np.zeros(ENVS, int),
    }
    return Recording(Header(ModelCard(), "Seaquest", Preprocessing()), arrays)


def by_hand(network: MnihNetwork, seen: torch.Tensor, rectified: bool) -> dict[str, torch.Tensor]:
    """All layers, from the weights alone."""
    values, below = {}, seen
    for name, (left, right, top, bottom) in zip(("conv1", "conv2", "conv3"), SAME, strict=True):
        conv = network.layers[name].conv
        padded = functional.pad(below, (left, right, top, bottom))
        values[name] = functional.conv2d(padded, conv.weight, conv.bias, conv.stride)
        below = values[name].clamp(min=0)
        values[name] = below if rectified else values[name]
    linear = network.layers["fc"].linear
    values["fc"] = below.flatten(1) @ linear.weight.T + linear.bias
    below = values["fc"].clamp(min=0)
    values["fc"] = below if rectified else values["fc"]
    output = network.layers["output"]
    values["output"] = below @ output.weight.T + output.bias
    return values


@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("layer", ["conv1", "conv2", "conv3", "fc", "output"])
def test_are_the_largest_values_and_their_places(network, seen, layer, rectified):
    with torch.no_grad():
        maps = by_hand(network, seen, rectified)[layer]
    found = peaks(network, seen, layer, before_relu=not rectified, batch=4)
    assert found.values.shape == maps.shape[:2]
    for observation in range(maps.shape[0]):
        for unit in range(maps.shape[1]):
            plain = maps[observation, unit]
            rows, columns = plain.shape if plain.ndim else (1, 1)
            best = max(float(value) for value in plain.flatten())
            # another order of summing up to 256 terms
            assert float(found.values[observation, unit]) == pytest.approx(best, abs=1e-5)
            share = float((plain > 0).float().mean())  # in two bytes; a value near 0 may be either
            assert float(found.above[observation, unit]) == pytest.approx(
                share, abs=1e-3 + 1 / plain.numel() * (plain.abs().min() < 1e-5).item()
            )
            row, column = int(found.rows[observation, unit]), int(found.columns[observation, unit])
            assert float(plain.view(rows, columns)[row, column]) == pytest.approx(best, abs=1e-5)


def test_of_equal_places_the_first(network, seen):
    for part in (blank := tiny()).parameters():
        part.data.zero_()
    found = peaks(blank, seen, "conv2")
    assert not found.values.any()
    assert not found.rows.any()
    assert not found.columns.any()


def test_atoms_are_numbered_action_by_action(seen):
    made = tiny(CategoricalHead(9, actions=3, support=torch.linspace(-1, 1, 5)))
    found = peaks(made, seen, "atoms").values
    with torch.no_grad():
        logits = made.head.atoms(made.trunk(seen))
    assert_close(found.view(6, 3, 5), logits, atol=1e-6, rtol=0)


@pytest.mark.parametrize("units", [None, [5, 0, 2]])
def test_of_a_recording_are_numbered_step_by_step(network, recording, units):
    """Read 3 steps at a time; against all observations at once, one environment after another."""
    found = recorded_peaks(network, recording, "conv3", units, batch=3)
    whole = [peaks(network, recording.observations(env), "conv3") for env in range(ENVS)]
    for step in range(STEPS):
        for env in range(ENVS):
            for kind in ("values", "rows", "columns", "above"):
                expected = getattr(whole[env], kind)[step]
                expected = expected if units is None else expected[units]
                assert_close(getattr(found, kind)[step * ENVS + env], expected)


def test_progress_counts_observations(network, recording):
    ticks = []
    recorded_peaks(network, recording, "fc", batch=3, progress=lambda *tick: ticks.append(tick))
    assert ticks == [(9, 21), (18, 21), (21, 21)]


def test_units_are_counted(network):
    counts = {layer: unit_count(network, layer) for layer in network.layers}
    assert counts == {"conv1": 4, "conv2": 5, "conv3": 6, "fc": 9, "output": 3}


@pytest.mark.parametrize(
    ("layer", "units", "message"),
    [
        ("conv9", [0], "no layer 'conv9'; this network has conv1, conv2, conv3, fc, output"),
        ("conv3", [3, 6], "conv3 has no unit 6; its units are 0 to 5"),
        ("fc", [-1], "fc has no unit -1; its units are 0 to 8"),
    ],
)
def test_refuses_what_is_not_there(network, recording, layer, units, message):
    with pytest.raises(ValueError, match=message):
        check_units(network, layer, units)
    with pytest.raises(ValueError, match=message):
        recorded_peaks(network, recording, layer, units)


def test_refuses_an_empty_recording(network):
    nothing = Recording(Header(ModelCard(), "Seaquest", Preprocessing()), {})
    with pytest.raises(ValueError, match="no steps"):
        recorded_peaks(network, nothing, "conv1")


@pytest.mark.parametrize(
    ("layer", "values", "dead"),
    [
        ("conv3", [-2.0, -1.0, 0.0], True),  # never passes the ReLU
        ("conv3", [-2.0, -1.0, 0.1], False),
        ("fc", [3.0, 3.0, 3.0], True),  # passes, but says nothing
        ("output", [-2.0, -1.0, -0.5], False),  # has no ReLU
        ("output", [-2.0, -2.0, -2.0], True),
    ],
)
def test_dead_units(network, layer, values, dead):
    alive = [1.0, 2.0, 3.0]
    table = torch.tensor([alive, values]).T
    assert dead_units(network, layer, table).tolist() == [False, dead]
