"""First-layer filters of agents: planted ones, random ones beside them, intervals over both."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from synthetic_subjects import tiny_network
from torch import nn

import atari_zoo as zoo
from atari_zoo.analysis.controls import untrained
from atari_zoo.analysis.filter_values import filter_values, shuffled_pixels
from atari_zoo.analysis.filters import first_layer_filters
from atari_zoo.models import as_networks

ROWS, COLUMNS = np.mgrid[:8, :8]


def planted(run: str, lean: float):
    """Even waves, in the past weaker by `lean`."""
    made = tiny_network(int(run), run=run)
    wave = np.cos((COLUMNS - 3.5) / 1.2) * np.exp(-((COLUMNS - 3.5) ** 2 + (ROWS - 3.5) ** 2) / 9)
    weights = np.stack([wave * (1 + filter) for filter in range(4)])[:, None]
    weights = weights * np.array([lean, lean, lean, 1])[None, :, None, None]
    made.trunk.conv1.conv.weight.data.copy_(torch.from_numpy(weights))
    return made


@pytest.fixture(scope="module")
def result():
    return first_layer_filters([planted("1", 0.5), planted("2", 0.25)], seed=3)


def value(result, agent: str, measure: str, frame: str, column: str = "value") -> float:
    table = result.table
    rows = table[(table["agent"] == agent) & (table["measure"] == measure)]
    return rows[rows["frame"] == frame][column].item()


def test_planted_filters_are_told(result) -> None:
    for run, lean in (("1", 0.5), ("2", 0.25)):
        agent = f"dqn/Pong/{run}"
        for frame in ("T-3", "T-2", "T-1", "Now"):
            past = 1 if frame == "Now" else lean
            assert value(result, agent, "relative_magnitude", frame) == pytest.approx(past)
            assert value(result, agent, "relative_square", frame) == pytest.approx(past**2)
            assert value(result, agent, "gabor_r2", frame) == pytest.approx(1, abs=1e-4)
        assert value(result, agent, "past_to_present", "all") == pytest.approx(lean)
        for mirror in ("left_right", "up_down", "point"):
            assert value(result, agent, mirror, "all") == pytest.approx(1, abs=1e-6)
            assert abs(value(result, agent, mirror, "all", "random")) < 0.3
            assert abs(value(result, agent, mirror, "all", "shuffled")) < 0.3
        assert value(result, agent, "gabor_r2", "all", "shuffled") < 0.6


def test_random_filters_are_those_of_untrained_networks(result) -> None:
    made = planted("1", 0.5)
    drawn = [untrained(made, 3 + i).trunk.conv1.conv.weight.detach().numpy() for i in (0, 1)]
    strengths = np.abs(np.concatenate(drawn).astype(float)).mean((0, 2, 3))
    for place, frame in enumerate(("T-3", "T-2", "T-1", "Now")):
        found = value(result, "dqn/Pong/1", "relative_magnitude", frame, "random")
        assert found == pytest.approx(strengths[place] / strengths[3])
        excess = value(result, "dqn/Pong/1", "relative_magnitude", frame, "excess")
        own = value(result, "dqn/Pong/1", "relative_magnitude", frame)
        assert excess == pytest.approx(own - found)
    table = result.table[result.table["of"] == "filters"]
    assert (table["excess_low"] <= table["excess"]).all()
    assert (table["excess"] <= table["excess_high"]).all()


def test_runs_of_an_algorithm_have_a_mean(result) -> None:
    rows = result.table[result.table["of"] == "runs"].set_index(["measure", "frame"])
    row = rows.loc[("past_to_present", "all")]
    assert (row["agent"], row["n"]) == ("dqn/Pong/*", 2)
    assert row["value"] == pytest.approx(0.375)
    assert (row["low"], row["high"]) == pytest.approx((0.25, 0.5))  # of two, they themselves


def test_arrays_have_every_filter(result) -> None:
    weights = planted("2", 0.25).trunk.conv1.conv.weight.detach().numpy()
    np.testing.assert_allclose(
        result.arrays["mean_square_1"], np.square(weights).mean((2, 3)), rtol=1e-6
    )
    assert result.arrays["gabor_r2_0"].shape == (4, 4)


def test_intervals_are_of_whole_filters() -> None:
    """Of one loud filter among quiet ones the mean is uncertain; of equal ones it is not."""
    made = planted("1", 0.5)
    equal = first_layer_filters([made]).table.set_index(["measure", "frame"])
    assert equal.loc[("past_to_present", "all"), "low"] == pytest.approx(0.5)
    made.trunk.conv1.conv.weight.data[0, :3] *= 40
    loud = first_layer_filters([made]).table.set_index(["measure", "frame"])
    row = loud.loc[("past_to_present", "all")]
    assert row["high"] - row["low"] > 1 and row["low"] <= row["value"] <= row["high"]


def test_a_silent_frame_and_a_small_kernel_are_missing() -> None:
    made = planted("1", 0.5)
    made.trunk.conv1.conv.weight.data[:, 3] = 0
    silent = first_layer_filters([made])
    assert np.isnan(value(silent, "dqn/Pong/1", "relative_square", "T-3"))
    assert np.isnan(value(silent, "dqn/Pong/1", "gabor_r2", "Now"))
    assert value(silent, "dqn/Pong/1", "gabor_r2", "all") == pytest.approx(1, abs=1e-4)
    assert "missing" in silent.uncertainty
    small = filter_values(np.random.default_rng(0).normal(size=(3, 4, 4, 4)))
    assert np.isnan(small.shapes["gabor_r2"]).all() and np.isfinite(small.shapes["point"]).all()


def test_shuffled_pixels_stay_in_their_filter_and_frame() -> None:
    weights = np.random.default_rng(0).normal(size=(3, 4, 8, 8))
    mixed = shuffled_pixels(weights, 1)
    assert not np.array_equal(mixed, weights)
    np.testing.assert_array_equal(
        np.sort(mixed.reshape(3, 4, -1)), np.sort(weights.reshape(3, 4, -1))
    )


def test_refusals() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(4 * 84 * 84, 6))
    flat = zoo.wrap(module, "Pong", input_range="0..1")
    with pytest.raises(ValueError, match="no convolution takes the frames; its layers are"):
        first_layer_filters([flat])
    wild = copy.deepcopy(planted("1", 0.5))
    wild.trunk.conv1.conv.weight.data[0] = float("inf")
    with pytest.raises(ValueError, match="not finite"):
        first_layer_filters([wild])


def test_networks_are_found_by_patterns() -> None:
    found = [network.card.name for network in as_networks("a2c/*/1")]
    assert found == ["a2c/Pong/1", "a2c/Seaquest/1"]
    made = planted("1", 0.5)
    assert as_networks(made) == [made] and as_networks([made, made]) == [made, made]
    with pytest.raises(ValueError, match="no agents"):
        as_networks([])
    with pytest.raises(zoo.UnknownModel, match="no model's name is like 'x/\\*'"):
        as_networks(["x/*"])


def test_the_picture_has_random_filters_in_grey(result) -> None:
    figure = result.picture()
    figure.draw_without_rendering()
    assert len(figure.axes) == 4
    table = result.table[result.table["agent"] == "dqn/Pong/1"]
    random = table[table["measure"] == "relative_square"]["random"].tolist()
    grey = [line for line in figure.axes[0].lines if line.get_color() == "#767676"]
    assert any(list(line.get_ydata()) == random for line in grey)
