"""Sparse features of an agent: each number against one worked out by hand."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from scipy.stats import entropy
from sklearn.metrics import r2_score
from torch.testing import assert_close

from atari_zoo import rollout
from atari_zoo.analysis.dictionaries.autoencoders import LearningSettings
from atari_zoo.analysis.dictionaries.correlates import strongest_correlates
from atari_zoo.analysis.dictionaries.dictionaries import DRAWN, SPARSE
from atari_zoo.analysis.dictionaries.feature_facts import ablation_facts, top_moments
from atari_zoo.analysis.dictionaries.held_out import (
    HeldOut,
    play_held_out,
    returns_with,
    without_repeats,
)
from atari_zoo.analysis.dictionaries.layer_changes import (
    decides_actions,
    unchanged,
    with_layer_changed,
)
from atari_zoo.analysis.dictionaries.reconstruction import (
    active_count,
    between,
    dead_share,
    outputs_to_policy,
    ratio_over_episodes,
    squared_errors,
)
from atari_zoo.analysis.dictionaries.studies import learn_dictionary
from atari_zoo.analysis.results import Result, open_result
from atari_zoo.analysis.sparse_features import dictionary_of, learned_features
from atari_zoo.converters.cards import ModelCard, Preprocessing
from atari_zoo.converters.network.heads import ActorCriticHead, DuelingHead
from atari_zoo.converters.network.networks import MnihNetwork, Trunk, mnih_convolutions
from atari_zoo.games import game

UNITS, ACTIONS = 20, 18


@pytest.fixture(scope="module")
def network() -> MnihNetwork:
    """Of random weights that answer to what they see, in episodes of 60 steps at most."""
    torch.manual_seed(0)
    made = MnihNetwork(
        Trunk(mnih_convolutions((4, 5, 6)), units=UNITS), ActorCriticHead(UNITS, ACTIONS)
    )
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(2)
    made.card = ModelCard(
        "a2c",
        "Seaquest",
        action_meanings=game("Seaquest").actions,
        action_rule="sample",
        preprocessing=Preprocessing(max_frames=240),
    )
    return made.eval()


@pytest.fixture(scope="module")
def held(network) -> HeldOut:
    return play_held_out(network, "fc", episodes=2, seed=5)


@pytest.fixture(scope="module")
def result(network) -> Result:
    played = rollout(network, steps=80, envs=2, seed=0, keep=["screens", "ram"])
    quick = partial(LearningSettings, steps=30, epochs=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("atari_zoo.analysis.sparse_features.LearningSettings", quick)
        patch.setattr("atari_zoo.analysis.dictionaries.studies.SHOWN", 5)
        return learned_features([(network, played)], k=3, expansion=2, episodes=2)


def rows(result: Result, **wanted: object) -> pandas.DataFrame:
    table = result.table
    for name, value in wanted.items():
        table = table[table[name] == value]
    return table


def test_a_layer_is_changed_while_it_lasts(network, held) -> None:
    seen = held.seen[:3]
    with torch.no_grad():
        before = network(seen)
        with with_layer_changed(network, "fc", lambda values: 2 * values):
            changed = network(seen)
        features = network.trunk(seen)
        assert_close(changed, network.head(2 * features))
        assert torch.equal(network(seen), before)
    assert not torch.equal(changed, before)
    with pytest.raises(ValueError, match="no layer 'fcc'; this network has conv1"):
        play_held_out(network, "fcc", 1, 0).values  # noqa: B018


def test_a_stream_of_the_value_alone_decides_no_action() -> None:
    torch.manual_seed(1)
    trunk = Trunk(mnih_convolutions((4, 5, 6)), units=None)
    dueling = MnihNetwork(trunk, DuelingHead(294, ACTIONS, UNITS), ModelCard("apex", "Seaquest"))
    seen = torch.randint(0, 256, (8, 4, 84, 84), dtype=torch.uint8)
    decides = {name: decides_actions(dueling, name, seen) for name in dueling.layers}
    without = {"fc", "value"}
    assert {name for name, found in decides.items() if not found} == without


def test_play_with_the_layer_as_it_is_ends_as_before(network, held) -> None:
    same = returns_with(network, "fc", unchanged, 2, seed=5)
    np.testing.assert_array_equal(same, held.returns)
    assert len(held.values) == len(held.episodes) == len(held.variables) == len(held.seen)
    assert "player_x" in held.variables.columns and len(np.unique(held.episodes)) >= 2


def test_what_was_learned_from_is_not_tested_on(network, held) -> None:
    options = {"envs": 2, "keep": ["screens", "ram"]}
    same = rollout(network, steps=10, seed=5, **options)  # the first 10 steps of its games
    left = without_repeats(held, same)
    known = torch.cat([same.observations(env) for env in range(2)])
    expected = [not bool((known == row).flatten(1).all(dim=1).any()) for row in held.seen]
    assert 0 < sum(expected) < len(held.seen) and len(left.seen) == sum(expected)
    assert torch.equal(left.seen, held.seen[torch.tensor(expected)])
    assert len(left.episodes) == len(left.variables) == len(left.values) == len(left.seen)
    with pytest.raises(ValueError, match="every moment of the new play is in the play"):
        without_repeats(held, rollout(network, steps=70, seed=5, **options))


def test_held_out_games_are_others_than_those_learned_from(network, monkeypatch) -> None:
    played = rollout(network, steps=30, envs=8, seed=0, keep=["screens", "ram"])
    seeds = []

    def spy(network, layer, episodes, seed):
        seeds.append(seed)
        raise InterruptedError

    monkeypatch.setattr("atari_zoo.analysis.dictionaries.studies.play_held_out", spy)
    with pytest.raises(InterruptedError):
        learned_features([(network, played)], k=3, expansion=2, episodes=8)
    assert not set(range(8)) & set(range(seeds[0], seeds[0] + 8))


def test_fvu_is_what_r_squared_leaves() -> None:
    random = np.random.default_rng(0)
    values, noise = random.normal(size=(50, 4)) * [1, 2, 3, 4], random.normal(size=(50, 4))
    parts = squared_errors(
        torch.from_numpy(values).float(), torch.from_numpy(values + noise).float()
    )
    whole = r2_score(values, values + noise, multioutput="variance_weighted")
    assert parts[0].sum() / parts[1].sum() == pytest.approx(1 - whole, rel=1e-5)


@pytest.mark.parametrize("rule", ["sample", "argmax"])
def test_policies_are_compared_as_by_scipy(rule: str) -> None:
    random = np.random.default_rng(1)
    intact, changed = random.normal(size=(2, 30, 6)) * 7
    tensors = torch.from_numpy(intact), torch.from_numpy(changed)
    same, kl = between(*tensors, outputs_to_policy(tensors[0], rule))
    scale = 1 if rule == "sample" else np.std(intact, axis=1).mean()
    for moment in range(30):
        p, q = (np.exp(part[moment] / scale) for part in (intact, changed))
        assert kl[moment] == pytest.approx(entropy(p, q, base=2), rel=1e-9)
        assert same[moment] == (np.argmax(intact[moment]) == np.argmax(changed[moment]))


def test_intervals_resample_whole_episodes() -> None:
    episodes = np.repeat(np.arange(6), 10)
    parts = np.repeat([0.0, 0, 0, 1, 1, 1], 10)
    found = ratio_over_episodes(parts, np.ones(60), episodes)
    assert found.value == 0.5 and found.n == 6
    # of frames it would be .37 to .63
    assert found.low < 0.2 and found.high > 0.8
    assert np.isnan(ratio_over_episodes(parts, np.ones(60), 0 * episodes).low)
    few = ratio_over_episodes(parts, np.ones(60), episodes // 2)
    assert (few.low, few.high, few.n) == (0, 1, 3)


def test_codes_are_counted() -> None:
    codes = torch.tensor([[0.0, 0.5, 0.0, 1e-4], [0.0, 0.2, 3.0, 0.0]])
    assert active_count(codes).tolist() == [1, 2] and dead_share(codes) == 0.5


def test_a_planted_correlate_is_found_and_noise_has_none() -> None:
    random = np.random.default_rng(0)
    variables = random.normal(size=(2, 400, 30))
    values = random.normal(size=(2, 400, 2))
    values[..., 0] -= 2 * variables[..., 11]
    planted, noise = strongest_correlates(values[0], variables[0], values[1], variables[1])
    assert planted.variable == 11 and planted.correlation < -0.8 and planted.chance < 0.2
    # the best of 30 by chance is about .15 where it was chosen, and nothing elsewhere
    assert abs(noise.correlation) < 0.15
    rare = variables.copy()
    rare[:, 15:, 11] = np.nan  # at 15 moments alone: too few to tell
    pairs = zip(values, rare, strict=True)
    assert strongest_correlates(*(part for pair in pairs for part in pair))[0].variable != 11
    none = strongest_correlates(*(np.zeros((50, 1)), variables[0, :50]) * 2)[0]
    assert none.variable == -1 and np.isnan(none.correlation)


def test_top_moments_are_apart_and_of_any_episode() -> None:
    random = np.random.default_rng(0)
    activity, episodes = random.random(200), np.repeat([0, 1, 2, 3], 50)
    found = top_moments(activity, episodes, 2, 5)
    plain: list[int] = []
    for moment in np.argsort(-activity, kind="stable"):
        near = [m for m in plain if abs(m // 2 - moment // 2) < 15]
        if not any(episodes[m] == episodes[moment] for m in near):
            plain.append(int(moment))
    assert found == plain[:5]
    assert top_moments(np.zeros(200), episodes, 2, 5) == []


def test_a_features_effect_is_its_direction_through_the_head(network, held) -> None:
    dictionary = learn_dictionary(held.values, LearningSettings(k=3, expansion=1, steps=20))
    codes = dictionary.codes(held.values)
    feature = int(codes.mean(dim=0).argmax())
    facts = ablation_facts([feature], dictionary, held, network.card.action_meanings, 0)
    active = codes[:, feature] > 1e-3
    with torch.no_grad():
        wanted = codes[active, feature, None] * (
            network.head.output.weight @ dictionary.directions[feature]
        )
    wanted = (wanted - wanted.mean(dim=1, keepdim=True)).mean(dim=0)
    told = {(fact.dictionary, fact.measure): fact for fact in facts}
    effect = told[SPARSE, "effect"]
    assert effect.estimate.value == pytest.approx(float(wanted.max()), rel=1e-3)
    assert effect.what == network.card.action_meanings[int(wanted.argmax())]
    assert set(told) == {(d, m) for d in (SPARSE, DRAWN) for m in ("effect", "agreement", "kl")}


def test_the_table_has_the_dictionary_beside_its_controls(result) -> None:
    whole = rows(result, feature=-1)
    for measure in ("fvu", "l0", "dead", "agreement", "kl"):
        of = whole[whole["measure"] == measure]["dictionary"].tolist()
        assert of == [SPARSE, "principal components", DRAWN, "untrained network"]
    scores = whole[whole["measure"] == "score"]
    assert scores["dictionary"].tolist() == [
        "intact",
        SPARSE,
        "principal components",
        DRAWN,
    ]
    l0 = whole[whole["measure"] == "l0"].set_index("dictionary")["value"]
    assert 0 < l0[SPARSE] <= 3 and l0[DRAWN] == 3
    features = result.arrays["a2c/Seaquest/1/features"]
    assert len(rows(result, measure="active")) == len(features) > 0


def test_without_an_untrained_network_the_rest_is_told(network, monkeypatch) -> None:
    def refuse(network, seed):
        raise ValueError("torch does not know how 'gain' is initialised")

    played = rollout(network, steps=60, envs=2, seed=0, keep=["screens", "ram"])
    quick = partial(LearningSettings, steps=10, epochs=1)
    monkeypatch.setattr("atari_zoo.analysis.responses.untrained", refuse)
    monkeypatch.setattr("atari_zoo.analysis.sparse_features.LearningSettings", quick)
    monkeypatch.setattr("atari_zoo.analysis.dictionaries.studies.SHOWN", 1)
    found = learned_features([(network, played)], k=2, expansion=1, episodes=1)
    assert "untrained network" not in set(found.table["dictionary"])
    assert "No untrained control: torch does not know how 'gain'" in found.uncertainty
    found.picture().draw_without_rendering()


def test_arrays_tell_where_features_are_active(result, network) -> None:
    part = {name.rpartition("/")[2]: array for name, array in result.arrays.items()}
    assert part["activations"].shape == (160, len(part["decoder"]))
    for number, feature in enumerate(part["features"]):
        step, env = part["top_moments"][number, 0]
        own = part["activations"][:, feature]
        assert own[step * 2 + env] == own.max() > 0
        assert part["screens"][number, 0].any()
    first = rows(result, feature=int(part["features"][0]), measure="activity")["value"].iloc[0]
    assert first == pytest.approx(part["activations"].astype(float).mean(axis=0).max(), rel=1e-2)


def test_the_dictionary_comes_back_from_a_saved_result(result, tmp_path: Path, held) -> None:
    result.save(tmp_path)
    again = open_result(tmp_path)
    pandas.testing.assert_frame_equal(again.table, result.table)
    found = dictionary_of(again)
    assert torch.equal(found(held.values), dictionary_of(result)(held.values))
    assert found.k == 3
    with pytest.raises(ValueError, match="no features of 'dqn/Pong/1' in this result; there are"):
        dictionary_of(again, "dqn/Pong/1")


def test_the_picture_draws(result) -> None:
    result.picture().draw_without_rendering()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layer": "fcc"}, "no layer 'fcc'; this network has conv1"),
        ({"layer": "conv3"}, "conv3 has maps of 6x7x7; features are learned of layers of plain"),
        ({"episodes": 0}, "episodes is 0; expected at least 1"),
        ({"k": 0}, "k is 0; expected at least 1"),
        ({"expansion": -1}, "expansion is -1; expected at least 1"),
    ],
)
def test_what_cannot_be_learned_is_refused(network, settings, message) -> None:
    played = partial(rollout, network, envs=1, seed=0, keep=["screens", "ram"])
    with pytest.raises(ValueError, match=message):
        learned_features([(network, played(steps=5))], **settings)
