"""Concepts: conditions in text, directions that were planted, TCAV's scores beside Captum's."""

from __future__ import annotations

import numpy as np
import planted_play
import pytest
import torch
from captum.concept import TCAV, Classifier, Concept
from captum.concept._core.cav import CAV
from captum.concept._utils.common import concepts_to_str
from sklearn.linear_model import RidgeClassifier

from atari_zoo.analysis.concept_vectors.concept_play import looked_at, shifted_in_time
from atari_zoo.analysis.concept_vectors.conditions import parse_condition
from atari_zoo.analysis.concept_vectors.derivatives import decision_target, layer_derivatives
from atari_zoo.analysis.concept_vectors.vectors import (
    PENALTY,
    Halves,
    concept_vectors,
    halves_in_time,
    halves_of_groups,
    random_halves,
)
from atari_zoo.analysis.concepts import concept_sensitivities, rank_p, tcav_scores
from atari_zoo.converters.network.heads import ActorCriticHead, DuelingHead
from atari_zoo.converters.network.networks import SAME, MnihNetwork, Trunk, mnih_convolutions
from atari_zoo.viz.objectives.directions import dot
from atari_zoo.viz.render.ascent import Settings
from atari_zoo.viz.render.rendering import render


@pytest.fixture(scope="module")
def played():
    """Its first output rises with fc's unit 3, the oxygen; nothing else does anything."""
    subject = planted_play.dense_play()
    output = subject.network.layers["output"]
    with torch.no_grad():
        output.weight.zero_()
        output.bias.zero_()
        output.weight[0, 3], output.bias[0] = 1, 10
    return subject


# --- conditions


@pytest.mark.parametrize(
    "text, expected",
    [
        ("oxygen<16", [1, 0, 0]),
        ("oxygen <= 16", [1, 1, 0]),
        ("oxygen>16", [0, 0, 1]),
        ("oxygen>=16.0", [0, 1, 1]),
        ("oxygen==16", [0, 1, 0]),
        (" oxygen = +16 ", [0, 1, 0]),
        ("oxygen!=16", [1, 0, 1]),
        ("oxygen>-1", [1, 1, 1]),
        ("oxygen<.5", [0, 0, 0]),
        ("oxygen", [1, 1, 1]),
    ],
)
def test_conditions(text, expected):
    condition = parse_condition(text)
    found = condition.holds(np.array([8.0, 16, 24, np.nan]))
    assert found[:3].tolist() == expected and condition.variable == "oxygen"
    assert found[3] == 0 if not condition.operator else np.isnan(found[3])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "oxygen<",
        "<16",
        "oxygen<16<20",
        "oxygen<x",
        "oxygen<16; 1",
        "16<oxygen",
        "a.b<1",
        "a()<1",
    ],
)
def test_what_is_no_condition_is_told(text):
    with pytest.raises(ValueError, match="is no condition: expected a variable"):
        parse_condition(text)


# --- vectors


@pytest.mark.parametrize("values", [6, 80])
def test_a_vector_is_scikit_learns(values):
    random = np.random.default_rng(0)
    rows = random.normal(size=(80, values)).astype(np.float32)
    holds = np.tile([0.0, 1], 40)
    half = Halves(np.arange(40), np.arange(40, 80), holds[:40] > 0, holds[40:] > 0)
    found = concept_vectors(rows, [half])
    spread = ((rows[:40] - rows[:40].mean(0)) ** 2).sum()
    theirs = RidgeClassifier(alpha=PENALTY * spread).fit(rows[:40].astype(float), holds[:40])
    normal = theirs.coef_.ravel() / np.linalg.norm(theirs.coef_)
    np.testing.assert_allclose(found.vectors[0], normal, atol=1e-6)
    assert found.accuracies[0] == theirs.score(rows[40:], holds[40:])


def test_halves_are_of_whole_groups_and_balanced():
    random = np.random.default_rng(0)
    groups, holds = np.repeat(np.arange(10), 50), (random.random(500) < 0.2).astype(float)
    holds[::11] = np.nan
    halves = random_halves(holds, halves_of_groups(groups), 6, seed=1)
    assert len({tuple(half.fit) for half in halves}) == 6
    for half in halves:
        assert not set(groups[half.fit]) & set(groups[half.test])
        np.testing.assert_array_equal(half.fit_holds, holds[half.fit])
        np.testing.assert_array_equal(half.test_holds, holds[half.test])
        for part in (half.fit, half.test):
            assert (holds[part] == 1).sum() == (holds[part] == 0).sum() == len(part) / 2 > 10
    rare = np.zeros(500)
    rare[:30] = 1  # in one group alone
    with pytest.raises(ValueError, match="in too few stretches"):
        random_halves(rare, halves_of_groups(groups), 2, seed=1)


def test_a_play_of_few_episodes_is_halved_in_time_with_gaps():
    order = np.random.default_rng(0).permutation(1000)
    when = np.argsort(order)
    holds = (when // 30 % 2).astype(float)
    for half in random_halves(holds, halves_in_time(order), 8, seed=1):
        apart = np.abs(when[half.fit][:, None] - when[half.test]) % 950  # the end is no neighbour
        assert apart.min() >= 50
        for part in (half.fit, half.test):  # without a break, but where the time begins anew
            assert (np.diff(np.sort(when[part])) > 30).sum() <= 1
    few = planted_play.dense_play(steps=300, envs=1, episode=300)
    assert "halves of its time, cut anywhere, with gaps" in looked_at(few).words


def test_a_random_concept_is_as_slow_as_the_real_one():
    holds = np.repeat([0.0, 1, 0, 1, 0], [90, 200, 110, 70, 130])
    holds[250:260] = np.nan
    order = np.roll(np.arange(600), 7)
    moved = shifted_in_time(holds, order, 133)
    assert np.array_equal(np.isnan(moved), np.isnan(holds))
    there = order[np.isfinite(holds[order])]
    own, other = holds[there], moved[there]
    assert own.sum() == other.sum() and not np.array_equal(own, other)
    assert np.abs(np.diff(own)).sum() == np.abs(np.diff(other)).sum() == 4


def test_p_is_small_by_chance_as_often_as_it_says():
    """Concepts that are random themselves, each with splits that differ less than concepts do."""
    random, found = np.random.default_rng(0), []
    for _ in range(2000):
        concepts = random.normal(size=21)
        own = concepts[0] + 0.3 * random.normal(size=20)
        found.append(rank_p(own.mean(), concepts[1:] + 0.3 * random.normal(size=20)))
    assert 0.02 < np.mean(np.array(found) < 0.05) < 0.06
    assert rank_p(9.0, np.arange(5.0)) == 1 / 6 and np.isnan(rank_p(np.nan, np.arange(5.0)))


# --- derivatives


@pytest.mark.parametrize("target", ["chosen", "value", "FIRE"])
def test_derivatives_are_finite_differences(played, target):
    """Along fc, in double precision."""
    subject = planted_play.dense_play(steps=12)
    network = subject.network.double()
    aim = decision_target(network, subject.recording.action_names, target)
    found = layer_derivatives(subject, ["fc"], target, np.arange(4))["fc"]
    with torch.no_grad():
        seen = subject.observations()[:4] / 255
        fc = network.trunk(seen.double())
        for unit in (0, 7):
            moved = fc.clone()
            moved[:, unit] += 1e-4
            ends = [aim(network.head(values), {}) for values in (moved, fc)]
            slope = (ends[0] - ends[1]) / 1e-4
            np.testing.assert_allclose(found[:, unit], slope, atol=1e-5)


def test_a_layer_that_the_choice_does_not_depend_on_has_no_derivative():
    """The state's value is in all Q-values alike: what is left of it is rounding."""
    torch.manual_seed(0)
    trunk = Trunk(mnih_convolutions((4, 5, 6), SAME), units=None)
    subject = planted_play.dense_play(steps=12)
    made = MnihNetwork(trunk, DuelingHead(trunk.features, 18, units=16)).eval()
    made.card = planted_play.CARD
    subject.network = made
    found = layer_derivatives(subject, list(made.layers), "chosen", np.arange(4))
    assert "advantage" in found and "conv3" in found and "value" not in found
    assert "value" in layer_derivatives(subject, list(made.layers), "value", np.arange(4))


def test_a_target_that_is_not_there_is_told(played):
    with pytest.raises(
        ValueError, match="no target 'JUMP'; there are chosen, value and the actions NOOP"
    ):
        concept_sensitivities([played], concept=["oxygen<20"], target="JUMP")


# --- TCAV


class Known(Classifier):
    """Captum asks for one; the vectors are given."""

    def __init__(self) -> None:
        pass

    def train_and_eval(self, dataloader, **kwargs):
        raise AssertionError("nothing is to be fitted")

    def weights(self):
        raise AssertionError

    def classes(self):
        raise AssertionError


@pytest.mark.parametrize("layer, module", [("conv3", "trunk.conv3"), ("fc", "trunk.fc")])
def test_scores_are_captums(layer, module, tmp_path):
    """The same vectors in both; the output of one action alone, as Captum has it."""
    subject = planted_play.dense_play(steps=16)
    network = subject.network
    with torch.no_grad():  # so that the outputs' mean is nothing
        output = network.layers["output"]
        output.weight[9:], output.bias[9:] = -output.weight[:9].clone(), -output.bias[:9].clone()
    seen = (subject.observations()[:20] / 255).requires_grad_()
    along = layer_derivatives(subject, [layer], "FIRE", np.arange(20))[layer]
    random = np.random.default_rng(0)
    vectors = random.normal(size=(3, along[0].size)).astype(np.float32)
    share, rise = tcav_scores(along, vectors)

    tcav = TCAV(network, [module], classifier=Known(), save_path=str(tmp_path))
    concepts = [Concept(number, f"c{number}", None) for number in range(6)]
    sets = [[concepts[2 * n], concepts[2 * n + 1]] for n in range(3)]
    for pair, vector in zip(sets, vectors, strict=True):
        weights = torch.from_numpy(np.stack([vector, -vector]))
        stats = {"weights": weights, "classes": [one.id for one in pair]}
        tcav.cavs[concepts_to_str(pair)][module] = CAV(pair, module, stats)
    action = subject.recording.action_names.index("FIRE")
    theirs = tcav.interpret(seen, sets, target=action)
    for number, pair in enumerate(sets):
        scores = theirs[concepts_to_str(pair)][module]
        assert share[number] == pytest.approx(float(scores["sign_count"][0]), abs=1e-6)
        assert rise[number] == pytest.approx(float(scores["magnitude"][0]), rel=1e-3, abs=1e-7)


def test_finds_the_planted_concept_and_no_random_one(played, monkeypatch):
    table = played.variables.assign(lives=np.random.default_rng(0).integers(0, 4, 480) * 1.0)
    monkeypatch.setitem(played.__dict__, "variables", table)
    wanted = ["oxygen<20", "lives<2"]
    result = concept_sensitivities([played], concept=wanted, layer=["fc"], splits=40)
    oxygen, elsewhere = (result.table.iloc[number] for number in range(2))
    assert oxygen["accuracy"] > 0.9 and elsewhere["accuracy"] < 0.7
    assert oxygen["random_accuracy"] < 0.7
    # more of "little oxygen" lowers the output that rises with it, always
    assert oxygen["score"] == 0 and oxygen["rise"] < 0 and oxygen["told"]
    # any direction with a little of that unit in it has a score of 0 or 1; hardly one, of oxygen
    # at other times, rises as much
    assert oxygen["smallest_p"] == 1 / 41 <= oxygen["rise_p"] < 0.1 and oxygen["p"] > 0.3
    assert not elsewhere["told"] and elsewhere["rise_p"] > 0.05
    assert elsewhere["accuracy"] < elsewhere["random_accuracy_high"] < oxygen["accuracy"]
    direction = result.arrays["dqn/Seaquest/7 fc oxygen<20"]
    assert direction.shape == (24,) and abs(direction[3]) > 0.95 and direction[3] < 0
    assert np.linalg.norm(direction) == pytest.approx(1)
    fc = played.activations("fc")
    spread = result.arrays["dqn/Seaquest/7 fc oxygen<20 spread"]
    assert spread == pytest.approx((fc @ direction).std(), rel=1e-3)


@pytest.mark.parametrize("pooled", [False, True])
def test_directions_are_objectives_for_maximize(pooled):
    subject = planted_play.sprite_play()
    result = concept_sensitivities(
        [subject], concept=["player_x<80"], layer=["conv3"], pooled=pooled, splits=3
    )
    direction = torch.from_numpy(result.arrays["a2c/Seaquest/3 conv3 player_x<80"])
    assert direction.shape == ((8,) if pooled else (8, 7, 7))
    aim = dot("conv3", direction if pooled else direction[None])
    wanted = render(subject.network, aim, Settings(steps=3))
    assert len(wanted.images) == 1
    if not pooled:  # where it is left, the map answers on the left
        assert direction[5, :, :3].sum() > 0 > direction[5, :, 4:].sum()
        assert result.table["accuracy"].iloc[0] > 0.8


def test_value_is_the_layer_of_that_name():
    made = MnihNetwork(
        Trunk(mnih_convolutions((4, 5, 6), SAME), units=9), ActorCriticHead(9, 18)
    ).eval()
    aim = decision_target(made, (), "value")
    value = torch.tensor([[1.0], [2.0]])
    assert aim(torch.zeros(2, 18), {"value": value}).tolist() == [1, 2]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({}, "no concept: give one or more"),
        ({"concept": ["oxygen<0"]}, "holds at 0 moments .* oxygen is 0 to 64 there"),
        ({"concept": ["oxigen<16"]}, "did you mean oxygen"),
        ({"concept": ["oxygen"]}, "holds at 480 moments of dqn/Seaquest/7's play and not at 0"),
        ({"concept": ["oxygen<20"], "splits": 1}, "splits is 1"),
        ({"concept": ["oxygen<20"], "layer": ["fc9"]}, "no layer 'fc9'"),
    ],
)
def test_bad_settings_are_told(played, settings, message):
    with pytest.raises(ValueError, match=message):
        concept_sensitivities([played], **settings)
