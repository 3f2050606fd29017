"""Health of networks: planted dormant units, drift by hand, and what its controls are."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from synthetic_subjects import subject_of, tiny_network

import atari_zoo as zoo
from atari_zoo.analysis import beginnings
from atari_zoo.analysis.beginnings import training_start
from atari_zoo.analysis.controls import untrained
from atari_zoo.analysis.health import network_health
from atari_zoo.analysis.measures.ranks import feature_ranks
from atari_zoo.analysis.shared_states import shared_states

STATES = 70


def checkpoint(network, tag: str, frames: int, silent: int):
    """Its first so many dense units never answer, and the next one always does."""
    made = copy.deepcopy(network)
    with torch.no_grad():
        made.trunk.fc.linear.bias.copy_(network.trunk.fc.linear.bias.abs() + 0.5)
        made.trunk.fc.linear.weight[: silent + 1] = 0
        made.trunk.fc.linear.bias[:silent] = -1
        made.trunk.fc.linear.bias[silent] = 1
    made.card = network.card.replace(tag=tag, frames=frames)
    return made


@pytest.fixture(scope="module")
def start():
    made = tiny_network(0, run="1")
    made.card = made.card.replace(tag="initial")
    return made


@pytest.fixture(scope="module")
def agents(start):
    networks = [start, checkpoint(start, "1M", 10**6, 2), checkpoint(start, "", 2 * 10**6, 4)]
    return [subject_of(network, seed=place) for place, network in enumerate(networks)]


@pytest.fixture(scope="module")
def result(agents):
    return network_health(agents[::-1], states=STATES, seed=1)


def rows(result, **wanted):
    table = result.table
    for name, value in wanted.items():
        table = table[table[name] == value]
    return table


def test_dormant_units_are_those_that_were_planted(result, agents) -> None:
    for agent, silent in zip(agents[1:], (2, 4), strict=True):
        for kind in ("own", "shared"):
            found = rows(result, agent=agent.name, states=kind, layer="fc", measure="dormant")
            assert found["threshold"].tolist() == [0, 0.025, 0.1]
            assert (found["value"] >= silent / 9).all() and found["value"].is_monotonic_increasing
            assert found["value"].iloc[0] == pytest.approx(silent / 9)
            assert set(found["n"]) == {9}
            lit = rows(result, agent=agent.name, states=kind, layer="fc", measure="always_on")
            assert lit["value"].item() >= 1 / 9


def test_dormancy_by_loops_and_over_all_layers(result, agents) -> None:
    shown = {"own": shared_states([agents[1]], STATES, 1), "shared": None}
    shown["shared"] = shared_states(agents[::-1], STATES, 1)
    for kind, states in shown.items():
        values = zoo.activations(agents[1].network, states.observations)
        for threshold in (0, 0.025, 0.1):
            dormant, units = 0, 0
            for layer in ("conv1", "conv2", "conv3", "fc"):
                strength = values[layer].transpose(0, 1).flatten(1).abs().mean(1)
                few = (strength / (strength.mean() + 1e-9) <= threshold).sum().item()
                found = rows(result, agent=agents[1].name, states=kind, layer=layer)
                found = found[(found["measure"] == "dormant") & (found["threshold"] == threshold)]
                assert found["value"].item() == pytest.approx(few / len(strength))
                dormant, units = dormant + few, units + len(strength)
            found = rows(result, agent=agents[1].name, states=kind, layer="all")
            found = found[(found["measure"] == "dormant") & (found["threshold"] == threshold)]
            assert found["value"].item() == pytest.approx(dormant / units)
        for place, measure in enumerate(("srank", "entropy_rank", "participation_ratio")):
            found = rows(result, agent=agents[1].name, states=kind, layer="fc", measure=measure)
            expected = feature_ranks(values["fc"].numpy())[place]
            assert found["value"].item() == pytest.approx(expected)
            assert found["low"].item() <= expected <= found["high"].item()


def test_the_control_is_the_runs_beginning(result, agents) -> None:
    first = rows(result, agent=agents[0].name, states="shared")
    last = rows(result, agent=agents[2].name, states="shared")
    for measure in ("dormant", "always_on", "srank", "participation_ratio"):
        own = first[first["measure"] == measure]
        np.testing.assert_allclose(own["value"], own["control"])
        then = last[last["measure"] == measure]
        np.testing.assert_allclose(then["control"], own["value"])


def test_drift_is_by_hand(result, agents) -> None:
    assert (rows(result, agent=agents[0].name, measure="drift")["value"] == 0).all()
    for layer in ("conv1", "fc"):
        now, then = (
            np.concatenate(
                [p.detach().numpy().ravel() for p in a.network.layers[layer].parameters()]
            )
            for a in (agents[2], agents[0])
        )
        found = rows(result, agent=agents[2].name, measure="drift", layer=layer)
        expected = np.linalg.norm(now - then) / np.linalg.norm(then)
        assert found["value"].item() == pytest.approx(expected, abs=1e-6)
        assert found["n"].item() == len(then)
        assert 1 < found["control"].item() < 2  # of independent weights: about the root of 2


def test_units_that_are_still_dormant(result, agents) -> None:
    found = rows(result, measure="still_dormant", layer="fc")
    assert found["agent"].tolist() == [agents[1].name, agents[2].name]
    assert found["value"].iloc[1] == 1  # the two of before are among the four
    assert found["n"].iloc[1] >= 2 and found["control"].iloc[1] >= 4 / 9


def test_where_the_beginning_is_not_known_drift_is_missing(agents) -> None:
    result = network_health([agents[2]], states=40)
    drift = rows(result, measure="drift")
    assert drift["value"].isna().all() and drift["control"].isna().all()
    assert f"drift: missing of {agents[2].name}" in result.uncertainty
    assert rows(result, measure="dormant")["control"].notna().all()  # another untrained network
    assert set(result.table["states"]) == {"own", ""}  # nobody to share with


def test_the_zoos_beginnings_are_of_the_zoos_weights_only(agents, monkeypatch, start) -> None:
    """Not of whatever is called as an agent of the zoo's."""
    known = {agents[2].name: agents[2].network, "dqn/Pong/1@initial": start}

    def load(name: str):
        if name not in known:
            raise zoo.UnknownModel(name)
        return known[name]

    monkeypatch.setattr(beginnings, "load", load)
    found = training_start(agents[2])
    assert found.own and found.network is start
    other = copy.deepcopy(agents[2].network)
    other.trunk.fc.linear.bias.data += 1
    found = training_start(subject_of(other))
    assert not found.own and found.network is not start
    expected = untrained(other, 0).trunk.fc.linear.weight
    assert torch.equal(found.network.trunk.fc.linear.weight, expected)


def test_the_packages_agents_have_theirs() -> None:
    found = training_start(subject_of(zoo.load("ga/Seaquest/1"), steps=8))
    assert found.own and found.network is not None and found.network.card.tag == "initial"


def test_refusals(agents) -> None:
    with pytest.raises(ValueError, match="states is 0; expected at least 1"):
        network_health(agents, states=0)
    wild = copy.deepcopy(agents[1].network)
    wild.trunk.fc.linear.bias.data[0] = float("nan")
    with pytest.raises(ValueError, match="not finite"):
        network_health([subject_of(wild)])


def test_the_picture_draws_where_training_began(result) -> None:
    figure = result.picture()
    figure.draw_without_rendering()
    titles = [panel.get_title(loc="left") for panel in figure.axes]
    assert titles[0] == "dormant, all layers" and len(titles) == 6
    table = rows(result, measure="srank", states="shared").sort_values("frames")
    (panel,) = [p for p in figure.axes if p.get_title(loc="left").startswith("rank, 99")]
    lines = [line.get_ydata().tolist() for line in panel.lines]
    assert [table["control"].iloc[0]] in lines  # the grey point at 0 frames
    assert table["value"].tolist()[1:] in lines
