"""Similarity of agents' layers: known answers, controls, refusals, and the states they share."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from synthetic_subjects import subject_of, tiny_network

import atari_zoo as zoo
from atari_zoo.analysis.measures.comparisons import COMPARISONS
from atari_zoo.analysis.measures.kernel_alignment import linear_cka
from atari_zoo.analysis.shared_states import first_of_equals, shared_states
from atari_zoo.analysis.shown_layers import layer_rows
from atari_zoo.analysis.similarity import compare_layers

LAYERS = ["conv1", "conv2", "conv3", "fc", "output"]


@pytest.fixture(scope="module")
def agents():
    return [subject_of(tiny_network(seed), seed=seed) for seed in range(3)]


@pytest.fixture(scope="module")
def three(agents):
    return compare_layers(agents, states=90, seed=5)


def test_states_are_an_equal_share_of_each_agents_play(agents) -> None:
    states = shared_states(agents, 61, seed=1)
    assert np.bincount(states.players).tolist() == [21, 20, 20]
    for place, agent in enumerate(agents):
        own = agent.observations()
        for row in states.observations[states.players == place]:
            assert (own == row).flatten(1).all(1).any()
    # episodes of different agents are different ones
    for one, other in ((0, 1), (1, 2), (0, 2)):
        sets = [set(states.episodes[states.players == p]) for p in (one, other)]
        assert not sets[0] & sets[1]
    again = shared_states(agents, 61, seed=1)
    assert torch.equal(states.observations, again.observations)
    alone = shared_states(agents, 10, player=agents[1].name)
    assert set(alone.players) == {1} and len(alone.players) == 10


def test_what_was_seen_twice_counts_once(agents) -> None:
    doubled = [agents[0], agents[0]]
    states = shared_states(doubled, 160)
    assert len(states.players) == len(set(map(bytes, agents[0].observations().numpy())))
    a, b = torch.zeros(1, 4, 84, 84, dtype=torch.uint8), torch.ones(1, 4, 84, 84, dtype=torch.uint8)
    assert first_of_equals(torch.cat([a, b, a, b, b])).tolist() == [0, 1]


def test_a_network_is_like_itself_and_less_like_an_untrained_one(agents) -> None:
    """Also like a copy whose dense units were shuffled, layer by layer."""
    network = agents[0].network
    twin = copy.deepcopy(network)
    order = torch.randperm(9)
    with torch.no_grad():
        twin.trunk.fc.linear.weight.copy_(network.trunk.fc.linear.weight[order])
        twin.trunk.fc.linear.bias.copy_(network.trunk.fc.linear.bias[order])
        twin.head.output.weight.copy_(network.head.output.weight[:, order])
    twin.card = network.card.replace(run="twin")
    table = compare_layers([agents[0], subject_of(twin, seed=9)], states=100).table
    like = table[(table["layer_a"] == table["layer_b"])]
    assert set(like["measure"]) == {*COMPARISONS, "action_agreement"}
    np.testing.assert_allclose(like["value"], 1, atol=1e-6)
    assert (like["high"] <= 1).all() and (like["low"] > 0.9).all()
    kernels = like[like["measure"] == "cka"].set_index("layer_a")
    assert (kernels["one_untrained"] < 0.99).all() and (kernels["untrained"] < 0.99).all()
    assert (kernels["shuffled"].abs() < 0.2).all()
    other = table[(table["layer_a"] == "conv1") & (table["layer_b"] == "fc")]
    assert (other["value"] < 0.999).all()


def test_values_are_those_of_the_measures_on_the_same_states(agents, three) -> None:
    states = shared_states(agents, 90, seed=5)
    table = three.table[three.table["measure"] == "cka"]
    assert len(table) == 3 * len(LAYERS)
    for row in table.itertuples():
        a, b = (
            layer_rows(agent.network, states.observations, row.layer_a).astype(float)
            for agent in agents
            if agent.name in (row.agent_a, row.agent_b)
        )
        assert row.layer_a == row.layer_b
        assert row.value == pytest.approx(linear_cka(a, b), abs=1e-4)  # kernels are of float32
        assert row.low <= row.value <= row.high and row.high > row.low
    assert set(three.table["n"]) == {len(states.players)} and set(three.table["episodes"]) == {12}


def test_agreement_is_the_share_of_states_with_the_same_best_action(agents, three) -> None:
    seen = shared_states(agents, 90, seed=5).observations
    best = [zoo.activations(a.network, seen, "output")["output"].numpy().argmax(1) for a in agents]
    table = three.table[three.table["measure"] == "action_agreement"]
    expected = [np.mean(best[i] == best[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert table["value"].tolist() == pytest.approx(expected)
    assert table["untrained"].notna().all() and (table["low"] <= table["value"]).all()


def test_agreement_is_missing_where_actions_differ(agents) -> None:
    other = tiny_network(7)
    other.card = other.card.replace(action_meanings=other.card.action_meanings[::-1])
    result = compare_layers([agents[0], subject_of(other)], states=40, layers=["fc"])
    row = result.table[result.table["measure"] == "action_agreement"].iloc[0]
    assert np.isnan(row["value"]) and "action_agreement: missing" in result.uncertainty


def test_places_of_maps_can_be_drawn(agents) -> None:
    seen = shared_states(agents, 30).observations
    values = zoo.activations(agents[0].network, seen, "conv2")["conv2"].numpy()
    rows = layer_rows(agents[0].network, seen, "conv2", "sampled", seed=3)
    other = layer_rows(agents[1].network, seen, "conv2", "sampled", seed=3)
    theirs = zoo.activations(agents[1].network, seen, "conv2")["conv2"].numpy()
    places = set()
    for state in range(len(seen)):
        (same,) = np.nonzero((rows[state] == values[state].reshape(5, -1).T).all(1))[:1]
        assert len(same)
        assert any((theirs[state].reshape(5, -1).T[p] == other[state]).all() for p in same)
        places.add(int(same[0]))
    assert len(places) > 10
    table = compare_layers(agents[:2], states=60, places="sampled").table
    mixed = table[(table["layer_a"] == "conv1") & (table["layer_b"] == "conv2")]
    assert mixed["value"].isna().all()  # maps of other sizes have no place in common
    like = table[(table["layer_a"] == table["layer_b"])]
    assert like["value"].notna().all()


def test_one_agent_is_compared_with_itself_layer_by_layer(agents) -> None:
    table = compare_layers([agents[0]], states=60).table
    pairs = set(zip(table["layer_a"], table["layer_b"], strict=True))
    assert len(pairs) == 10 and ("conv1", "fc") in pairs


def test_of_one_episode_there_is_no_interval() -> None:
    subjects = [subject_of(tiny_network(seed), episodes=1) for seed in (0, 1)]
    for subject in subjects:
        subject.episodes[:] = 0
    result = compare_layers(subjects, states=60, layers=["fc"], player=subjects[0].name)
    assert result.table["low"].isna().all() and result.table["value"].notna().all()
    assert set(result.table["episodes"]) == {1}


def test_refusals(agents) -> None:
    elsewhere = subject_of(tiny_network(3, game="Seaquest"))
    for given, settings, message in (
        ([agents[0], elsewhere], {}, r"different games .*Pong: dqn/Pong/0; Seaquest: dqn/Seaquest"),
        (agents, {"states": 3}, "states is 3; debiased CKA needs at least 4"),
        (agents, {"layers": ["conv9"]}, "dqn/Pong/0: no layer 'conv9'; it has conv1, conv2"),
        (agents, {"player": "me"}, "no agent 'me' among those that are compared: dqn/Pong/0"),
        (agents, {"places": "all"}, "places is 'all'; expected 'flattened' or 'sampled'"),
        ([agents[0]], {"layers": ["fc"]}, "dqn/Pong/0 alone, of one layer"),
    ):
        with pytest.raises(ValueError, match=message):
            compare_layers(given, **settings)
    few = subject_of(tiny_network(0), steps=2, episodes=1)
    with pytest.raises(ValueError, match="2 different states"):
        compare_layers([few], states=50)


def test_pictures_draw_the_controls(agents, three) -> None:
    pair = compare_layers(agents[:2], states=60)
    for result, panels in ((three, 6), (pair, 3)):
        figure = result.picture()
        figure.draw_without_rendering()
        drawn = [panel for panel in figure.axes if panel.get_label() != "<colorbar>"]
        assert len(drawn) == panels
    fc = next(p for p in three.picture().axes if p.get_title(loc="left") == "fc, CKA")
    values = np.asarray(fc.images[0].get_array())
    rows = three.table[(three.table["measure"] == "cka") & (three.table["layer_a"] == "fc")]
    assert values[0, 1] == rows["value"].iloc[0] and values[1, 0] == rows["untrained"].iloc[0]


def test_progress_ends_at_the_whole(agents) -> None:
    ticks: list[tuple[int, int]] = []
    compare_layers(agents, states=20, layers=["fc"], progress=lambda *t: ticks.append(t))
    assert ticks == [(1, 3), (2, 3), (3, 3)]
