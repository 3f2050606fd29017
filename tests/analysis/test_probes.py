"""Probes against scikit-learn, planted variables, and what must not be found."""

from __future__ import annotations

import numpy as np
import planted_play
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import balanced_accuracy_score, f1_score, r2_score

from atari_zoo.analysis.controls import untrained_or_none
from atari_zoo.analysis.measures.predictions import (
    balanced_accuracy,
    class_rows,
    quantity_rows,
    r_squared,
    weighted_f1,
)
from atari_zoo.analysis.measures.resampling import episode_sums, measure_interval, resample_counts
from atari_zoo.analysis.measures.thinning import thinned
from atari_zoo.analysis.probes import variable_probes
from atari_zoo.analysis.probing.features import coordinates, features
from atari_zoo.analysis.probing.hidden import hidden_probe
from atari_zoo.analysis.probing.labels import VariableLabel, check_names, entropy, labels_of
from atari_zoo.analysis.probing.layer_values import untrained_values
from atari_zoo.analysis.probing.questions import questions
from atari_zoo.analysis.probing.ridge import ridge_predictions, ridge_probe
from atari_zoo.analysis.probing.scores import summed
from atari_zoo.analysis.probing.splits import FoldMoments, observed_twins, split_play
from atari_zoo.analysis.probing.targets import (
    ProbeTarget,
    control_task,
    shuffled_in_blocks,
    target_of,
)
from atari_zoo.analysis.ram_edits import _moments
from atari_zoo.analysis.responses import states_of
from atari_zoo.analysis.subjects import Subject
from atari_zoo.analysis.units import unit_variables
from atari_zoo.recordings.recordings import Recording


@pytest.fixture(scope="module")
def played():
    return planted_play.dense_play()


def one(table, **facts):
    for name, value in facts.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


# --- the closed form


@pytest.mark.parametrize("values", [7, 90])  # fewer than moments, and more
def test_ridge_is_scikit_learns(values):
    random = np.random.default_rng(0)
    rows = random.normal(size=(60, values)) + 5
    wanted = random.normal(size=(60, 3))
    fit, others = np.arange(0, 60, 2), np.arange(1, 60, 2)
    penalties = (1e-6, 1e-3, 0.1)
    told = ridge_predictions(features(rows), fit, others, wanted[fit], penalties)
    spread = ((rows[fit] - rows[fit].mean(0)) ** 2).sum()
    for penalty, ours in zip(penalties, told, strict=True):
        theirs = Ridge(alpha=penalty * spread).fit(rows[fit], wanted[fit]).predict(rows[others])
        np.testing.assert_allclose(ours, theirs, atol=1e-8)


def test_a_layer_that_never_changes_tells_the_mean():
    wanted = np.arange(10.0)[:, None]
    told = ridge_predictions(
        features(np.ones((10, 4))), np.arange(6), np.arange(6, 10), wanted[:6], [1]
    )
    np.testing.assert_allclose(told, 2.5)


def test_coordinates_keep_all_products():
    """A convolution's many values, turned into as many axes as there are moments."""
    rows = np.random.default_rng(1).normal(size=(20, 300))
    fit, others = np.arange(12), np.arange(12, 20)
    inner, outer = coordinates(features(rows), fit, others)
    own = rows - rows[fit].mean(0)
    scale = np.square(own[fit]).sum() / 12
    np.testing.assert_allclose(inner @ inner.T, own[fit] @ own[fit].T / scale, atol=1e-9)
    np.testing.assert_allclose(outer @ inner.T, own[others] @ own[fit].T / scale, atol=1e-9)


def test_the_penalty_is_the_best_on_the_moments_for_that():
    """Of noise a large one, of a clear line a small one."""
    random = np.random.default_rng(2)
    rows = random.normal(size=(90, 40))
    fold = FoldMoments(np.arange(40), np.arange(40, 60), np.arange(60, 90))
    noise, line = (
        ProbeTarget("noise", random.normal(size=90)),
        ProbeTarget("line", rows @ np.ones(40)),
    )
    (first, second) = ridge_probe(features(rows), [noise, line], fold)
    assert first.penalty >= 0.1 and second.penalty <= 1e-6


def test_absent_moments_are_neither_fitted_nor_tested():
    random = np.random.default_rng(3)
    rows, values = random.normal(size=(60, 5)), np.arange(60.0)
    values[::3] = np.nan
    fold = FoldMoments(np.arange(30), np.arange(30, 40), np.arange(40, 60))
    (found,) = ridge_probe(features(rows), [ProbeTarget("some", values)], fold)
    assert found.moments.tolist() == [m for m in range(40, 60) if m % 3]
    there = [m for m in range(30) if m % 3]
    spread = ((rows[there] - rows[there].mean(0)) ** 2).sum()
    theirs = Ridge(alpha=found.penalty * spread).fit(rows[there], values[there])
    np.testing.assert_allclose(found.values[:, 0], theirs.predict(rows[found.moments]), atol=1e-8)


# --- measures


def test_measures_are_scikit_learns():
    random = np.random.default_rng(4)
    values, told = random.normal(size=(2, 200))
    assert r_squared(quantity_rows(values, told).sum(0)) == pytest.approx(r2_score(values, told))
    classes, said = random.integers(0, 4, 200), random.integers(0, 5, 200)
    sums = class_rows(classes, said, 5).sum(0)
    assert balanced_accuracy(sums) == pytest.approx(
        np.mean([(said[classes == c] == c).mean() for c in range(4)])
    )
    assert weighted_f1(sums) == pytest.approx(f1_score(classes, said, average="weighted"))
    both = np.where(said == 4, 0, said)
    assert balanced_accuracy(class_rows(classes, both, 4).sum(0)) == pytest.approx(
        balanced_accuracy_score(classes, both)
    )


def test_an_interval_resamples_whole_episodes(monkeypatch):
    random = np.random.default_rng(5)
    episodes = np.repeat(np.arange(6), 30)
    values, told = random.normal(size=(2, 180))
    sums = episode_sums(quantity_rows(values, told), episodes)
    found = []
    some = resample_counts(6, 3)[:50]
    for drawn in some:  # moments of each episode, as often as it was drawn
        chosen = np.repeat(np.arange(6), drawn.astype(int))
        moments = np.concatenate([np.flatnonzero(episodes == each) for each in chosen])
        found.append(r2_score(values[moments], told[moments]))
    monkeypatch.setattr("atari_zoo.analysis.measures.resampling.resample_counts", lambda *_: some)
    low, high = measure_interval(sums, r_squared, seed=3)
    assert (low, high) == pytest.approx(tuple(np.percentile(found, [2.5, 97.5])))


def test_one_episode_has_no_interval():
    low, high = measure_interval(np.ones((1, 4)), r_squared)
    assert np.isnan(low) and np.isnan(high)


# --- splits


def test_no_episode_is_on_both_sides():
    episodes = np.repeat(np.arange(11), 20)
    split = split_play(episodes, np.zeros(220, int))
    tested = np.concatenate([fold.test for fold in split.folds])
    assert sorted(tested) == list(range(220))
    for fold in split.folds:
        parts = [set(episodes[part]) for part in (fold.fit, fold.choose, fold.test)]
        assert all(parts)
        assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]


def test_of_several_environments_none_is_on_both_sides():
    environments = np.tile(np.arange(4), 50)
    episodes = environments * 10 + np.repeat(np.arange(50) // 10, 4)
    split = split_play(episodes, environments)
    assert "4 folds of whole environments" in split.words
    for fold in split.folds:
        assert not set(environments[fold.fit]) & set(environments[fold.test])
        assert not set(environments[fold.choose]) & set(environments[fold.test])


def test_a_single_episode_is_split_in_time_with_gaps():
    split = split_play(np.zeros(1000, int), np.zeros(1000, int))
    (fold,) = split.folds
    assert "one episode" in split.words
    assert fold.fit[-1] + 50 <= fold.choose[0] and fold.choose[-1] + 50 <= fold.test[0]
    with pytest.raises(ValueError, match="one episode of 300 moments; a single one needs 400"):
        split_play(np.zeros(300, int), np.zeros(300, int))


def test_what_was_fitted_on_is_not_tested_on():
    """Two episodes of a deterministic agent that are the same but for their last half."""
    episodes = np.repeat(np.arange(2), 100)
    twins = np.concatenate([np.arange(100), np.arange(50), np.arange(200, 250)])
    split = split_play(episodes, np.zeros(200, int), twins=twins)
    for fold in split.folds:
        assert not set(twins[fold.fit]) & set(twins[fold.test])
    assert "are not tested on" in split.words


def test_twins_are_equal_observations(played):
    seen = played.observations()[:10].clone()
    seen[7] = seen[2]
    twins = observed_twins(seen)
    assert twins[7] == twins[2] and len(set(twins)) == 9


def test_thinning_keeps_every_environment_all_the_time():
    """Of 4,000 steps of 8 environments 4,000 moments: the same steps of each, from end to end."""
    moments = np.arange(4000 * 8)
    kept = thinned(moments // 8, 4000)
    assert len(kept) == 4000
    for env in range(8):
        own = kept[kept % 8 == env] // 8
        assert own.tolist() == list(range(0, 4000, 8))
    assert thinned(np.arange(10), 20).tolist() == list(range(10))
    # five steps of four moments, of which a stride of 2 would leave 12
    assert thinned(np.repeat(np.arange(5), 4), 10).tolist() == [0, 1, 2, 3, 12, 13, 14, 15]
    assert len(thinned(np.repeat(np.arange(5), 4), 3)) == 3  # fewer than environments


def test_what_is_looked_at_is_of_every_environment(monkeypatch):
    subject = planted_play.dense_play(steps=80, envs=4)
    monkeypatch.setattr("atari_zoo.analysis.probing.questions.MOST", 80)
    asked = questions(subject, ["oxygen"], False, 4, 0).kept
    edited = _moments(subject, 80).moments
    for moments in (asked, states_of(subject, 80).moments, edited):
        assert 40 <= len(moments) <= 80
        spans = [np.ptp(moments[moments % 4 == env] // 4) for env in range(4)]
        assert min(spans) > 60


# --- controls


def test_shuffled_blocks_keep_values_and_neighbours():
    target = ProbeTarget("walk", np.where(np.arange(800) % 7 == 0, np.nan, np.arange(800.0)))
    found = shuffled_in_blocks(target, np.arange(800), seed=1)
    assert np.array_equal(found.there, target.there)
    own, moved = target.values[target.there], found.values[target.there]
    assert sorted(own) == sorted(moved) and not np.array_equal(own, moved)
    assert (np.diff(moved) < 3).mean() > 0.97  # within a block they follow each other as before


def test_the_control_task_is_a_fixed_random_label_of_each_value():
    values = np.random.default_rng(0).integers(0, 30, 500).astype(float)
    found = control_task(ProbeTarget("x", values), values, seed=2).values
    pairs = set(zip(values, found, strict=True))
    assert len(pairs) == 30 and len({b for _, b in pairs}) == 30
    assert sum(a == b for a, b in pairs) < 10


def test_the_control_task_of_a_category_is_of_its_value_and_anothers():
    random = np.random.default_rng(0)
    values, identity = random.integers(0, 3, 3000).astype(float), random.integers(0, 40, 3000)
    target = ProbeTarget("kind", values, np.array([0.0, 8, 9]))
    found = control_task(target, identity.astype(float), seed=2).values
    table = {}
    for key, label in zip(zip(values, identity, strict=True), found, strict=True):
        assert table.setdefault(key, label) == label
    assert set(found) == {0, 1, 2}
    assert abs((found == values).mean() - 1 / 3) < 0.15  # knowing the value does not tell it


# --- labels


def test_what_is_left_out_and_said(played):
    labels = labels_of(played)
    assert [label.name for label in labels.labels] == [
        "player_x", "player_y", "player_missile_x", "oxygen", "player_direction",
    ]  # fmt: skip
    assert "lives (always 1 in this play)" in labels.said()
    (direction,) = labels_of(played, ["player_direction"]).labels
    assert direction.category and set(direction.values) == {0, 8}
    with pytest.raises(ValueError, match=r"no variable of Seaquest changes .*always 0"):
        labels_of(played, ["level"])


def test_entropy_is_in_nats():
    assert entropy(np.array([0, 0, 1, 1, np.nan])) == pytest.approx(np.log(2))


def test_a_name_that_is_not_there_is_told_in_one_line(played):
    with pytest.raises(ValueError, match="no variable 'oxigen' of Seaquest; did you mean oxygen"):
        labels_of(played, ["oxigen"])
    with pytest.raises(ValueError, match="no variables: give names"):
        check_names([], ["oxygen"], "Seaquest")


def test_bytes_serve_where_nothing_is_named(played, monkeypatch):
    monkeypatch.setattr("atari_zoo.analysis.probing.labels.variables_of", lambda game: [])
    labels = labels_of(played)
    assert {f"ram_{planted_play.OXYGEN}", f"ram_{planted_play.PLAYER_X}"} <= {
        label.name for label in labels.labels
    }
    assert "no named variables: its bytes serve" in labels.said()


def test_a_category_is_numbered_by_its_values():
    target = target_of(VariableLabel("kind", np.array([8.0, np.nan, 0, 8]), True))
    assert target.classes.tolist() == [0, 8]
    np.testing.assert_array_equal(target.values, [1, np.nan, 0, 1])
    np.testing.assert_array_equal(target.columns()[0], [0, 1])
    assert np.isnan(target.columns()[1]).all()


# --- the whole


def test_finds_what_was_planted_and_no_control(played):
    result = variable_probes([played], layer=["fc"])
    oxygen = one(result.table, variable="oxygen")
    assert oxygen["value"] > 0.99 and oxygen["low"] > 0.98
    assert oxygen["untrained"] < 0.3 and oxygen["shuffled"] < 0.2 and oxygen["control"] < 0.3
    assert oxygen["gain"] > 0.7 and oxygen["gain_low"] > 0.6 and oxygen["selectivity"] > 0.7
    direction = one(result.table, variable="player_direction", measure="balanced_accuracy")
    assert direction["value"] > 0.97 and direction["shuffled"] < 0.75
    assert direction["control"] < 0.75
    missing = one(result.table, variable="player_x")
    assert missing["value"] < 0.3
    assert "5 folds of whole episodes" in result.uncertainty
    assert oxygen["n"] == 480 and oxygen["episodes"] == 12


@pytest.mark.parametrize("probe, least", [("softmax", 0.95), ("hidden", 0.85)])
def test_other_probes_find_it_too(played, probe, least, monkeypatch):
    monkeypatch.setattr("atari_zoo.analysis.probing.hidden.EPOCHS", 60)
    names = ["oxygen", "player_direction"]
    table = variable_probes([played], layer=["fc"], variable=names, probe=probe, folds=3).table
    direction = one(table, variable="player_direction", measure="weighted_f1")
    assert direction["value"] > least and direction["probe"] == probe
    assert direction["shuffled"] < 0.75
    assert one(table, variable="oxygen")["value"] > 0.8


def test_a_hidden_layer_finds_what_no_direction_tells():
    """Whether two signs agree."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(900, 2))
    target = target_of(VariableLabel("same", (rows[:, 0] * rows[:, 1] > 0).astype(float), True))
    fold = FoldMoments(np.arange(500), np.arange(500, 700), np.arange(700, 900))
    scores = {}
    for probe in (ridge_probe, hidden_probe):
        (found,) = probe(features(rows), [target], fold, 0)
        sums = summed(target, [found], np.zeros(900, int))["balanced_accuracy"]
        scores[probe.__name__] = balanced_accuracy(sums.sum(0))
    assert scores["ridge_probe"] < 0.65 and scores["hidden_probe"] > 0.9


def test_a_leak_between_neighbours_does_not_raise_the_score():
    """Units that only tell the episode and the time, and a variable that neighbours share: a split
    by frames takes them for knowledge."""
    random = np.random.default_rng(0)
    count, length = 12, 40
    episodes = np.repeat(np.arange(count), length)
    rows = np.eye(count)[episodes] + 0.01 * random.normal(size=(count * length, count))
    target = ProbeTarget("level", random.normal(size=count)[episodes])
    split = split_play(episodes, np.zeros(count * length, int))
    ours = [ridge_probe(features(rows), [target], fold)[0] for fold in split.folds]
    value = r_squared(summed(target, ours, episodes)["r2"].sum(0))
    by_frame = random.permutation(count * length)
    fold = FoldMoments(*(np.sort(part) for part in np.split(by_frame, [300, 380])))
    (theirs,) = ridge_probe(features(rows), [target], fold)
    leaky = r_squared(summed(target, [theirs], episodes)["r2"].sum(0))
    assert leaky > 0.99 and value < 0.1


def test_recomputes_a_layer_that_was_not_recorded_and_tells_pixels(played):
    table = variable_probes([played], layer=["conv3"], variable=["oxygen"], pixels=True).table
    assert list(table["layer"]) == ["conv3", "pixels"]
    assert np.isfinite(table["untrained"].iloc[0]) and np.isnan(table["untrained"].iloc[1])


def test_one_episode_has_no_interval_and_says_so():
    alone = planted_play.dense_play(steps=500, envs=1, episode=500)
    result = variable_probes([alone], layer=["fc"], variable=["oxygen"])
    row = result.table.iloc[0]
    assert row["value"] > 0.5 and np.isnan(row["low"]) and np.isnan(row["gain_high"])
    assert "one episode: it is split in time" in result.uncertainty


def test_a_network_that_cannot_be_begun_again_has_no_control():
    subject = planted_play.dense_play()
    subject.network.register_parameter("scale", torch.nn.Parameter(torch.ones(1)))
    subject.network.card = subject.card.replace(algorithm="own")
    assert untrained_or_none(subject.network) is None
    asked = np.arange(20)
    assert untrained_values(subject, ["fc"], asked, 0) == {}
    result = variable_probes([subject], layer=["fc"], variable=["oxygen"])
    row = result.table.iloc[0]
    assert row["value"] > 0.9 and np.isnan(row["untrained"]) and np.isnan(row["gain"])
    assert "untrained: missing where torch" in result.uncertainty
    units = unit_variables([subject], layer=["fc"], variable=["oxygen"]).table
    assert len(units) and units["untrained"].isna().all()


def test_the_control_is_rounded_as_what_was_recorded():
    subject = planted_play.dense_play(steps=20)
    exact = untrained_values(subject, ["fc", "conv3"], np.arange(20), 0)
    header, arrays = subject.recording.header, dict(subject.recording.arrays)
    arrays["activations/fc"] = arrays["activations/fc"].astype(np.float16)
    subject = Subject(Recording(header, arrays), subject.network)
    found = untrained_values(subject, ["fc", "conv3"], np.arange(20), 0)
    np.testing.assert_array_equal(found["fc"], exact["fc"].astype(np.float16).astype(np.float32))
    assert found["fc"].dtype == np.float32 and (found["fc"] != exact["fc"]).any()
    np.testing.assert_array_equal(found["conv3"], exact["conv3"])  # its own were not recorded


def test_what_is_worse_than_the_mean_is_not_selective():
    """A layer of noise, of which the probe and its control both know nothing."""
    subject = planted_play.dense_play()
    header, arrays = subject.recording.header, dict(subject.recording.arrays)
    arrays["activations/fc"] = np.random.default_rng(0).normal(size=(240, 2, 24))
    subject = Subject(Recording(header, arrays), subject.network)
    names = ["player_x", "player_y", "oxygen"]
    table = variable_probes([subject], layer=["fc"], variable=names).table
    for row in table.itertuples():
        assert row.selectivity == pytest.approx(max(row.value, 0) - max(row.control, 0))
    assert table["value"].min() < 0


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"probe": "tree"}, "no probe 'tree'; there are ridge, softmax, hidden"),
        ({"layer": ["fcc"]}, "no layer 'fcc'; did you mean fc\\? there are conv1"),
        ({"layer": []}, "no layers"),
        ({"folds": 1}, "folds is 1; expected at least 2"),
        ({"variable": ["oxigen"]}, "did you mean oxygen"),
    ],
)
def test_bad_settings_are_told(played, settings, message):
    with pytest.raises(ValueError, match=message):
        variable_probes([played], **settings)


def test_the_same_seed_gives_the_same(played):
    first, second = (
        variable_probes([played], layer=["fc"], variable=["oxygen"], seed=5).table for _ in range(2)
    )
    assert first.equals(second)
