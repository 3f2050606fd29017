"""Highlights: advantages and choices of moments against plain loops, and what the table tells."""

from __future__ import annotations

import numpy as np
import pandas
import pytest
from planted_play import tiny_network

from atari_zoo.analysis.highlights import highlights
from atari_zoo.analysis.measures.advantages import generalized_advantages
from atari_zoo.analysis.measures.critical_moments import (
    distance_quantile,
    importance,
    moments_apart,
)
from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.cards import ModelCard, Preprocessing
from atari_zoo.recordings.header import Header
from atari_zoo.recordings.recordings import Recording

STEPS, ENVS, EPISODE = 60, 2, 25
CARD = ModelCard("dqn", "Seaquest", "7")


@pytest.fixture(scope="module")
def agent() -> Subject:
    """A Q-network's play of random screens, with rewards of 20 now and then."""
    network, random = tiny_network(CARD), np.random.default_rng(3)
    step = np.arange(STEPS)[:, None] + np.zeros(ENVS, int)
    over = step % EPISODE == EPISODE - 1
    coarse = random.integers(0, 256, (STEPS, ENVS, 7, 7)).astype(np.uint8)
    arrays = {
        "screens": coarse.repeat(12, 2).repeat(12, 3),
        "colours": random.integers(0, 256, (STEPS, ENVS, 210, 160, 3)).astype(np.uint8),
        "starts": step % EPISODE == 0,
        "terminated": over,
        "truncated": np.zeros_like(over),
        "actions": random.integers(0, 18, (STEPS, ENVS)),
        "rewards": 20.0 * (random.random((STEPS, ENVS)) < 0.2),
    }
    return Subject(Recording(Header(CARD, "Seaquest", Preprocessing()), arrays), network)


def advantage(rewards, values, ends, gamma, trace, step, env) -> float:
    """By its definition: the discounted sum of the errors up to the episode's end."""
    total, factor = 0.0, 1.0
    for now in range(step, len(rewards)):
        last = ends[now, env]
        if not last and now + 1 == len(rewards):  # cut off: the next state is not known
            return float("nan") if now == step else total
        after = 0.0 if last else values[now + 1, env]
        total += factor * (rewards[now, env] + gamma * after - values[now, env])
        if last:
            break
        factor *= gamma * trace
    return total


def test_advantages_against_their_definition() -> None:
    random = np.random.default_rng(0)
    rewards, values = random.normal(size=(2, 30, 3))
    ends = random.random((30, 3)) < 0.15
    found = generalized_advantages(rewards, values, ends, 0.9, 0.7)
    expected = [
        [advantage(rewards, values, ends, 0.9, 0.7, step, env) for env in range(3)]
        for step in range(30)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert np.isnan(found[-1]).sum() == (~ends[-1]).sum()
    # with nothing discounted and no values, what was still to come
    ends[:] = False
    ends[-1] = True
    whole = generalized_advantages(rewards, np.zeros((30, 3)), ends, 1.0, 1.0)
    np.testing.assert_allclose(whole, rewards[::-1].cumsum(0)[::-1])
    with pytest.raises(ValueError, match=r"gamma is 1\.5; expected 0 to 1"):
        generalized_advantages(rewards, values, ends, 1.5)


def test_importance_is_the_lead_over_another_action() -> None:
    outputs = np.array([[1.0, 4.0, 3.5], [2.0, 2.0, 2.0]])
    np.testing.assert_allclose(importance(outputs), [0.5, 0])
    np.testing.assert_allclose(importance(outputs, "worst"), [3.0, 0])
    with pytest.raises(ValueError, match="against is 'best'; expected 'second' or 'worst'"):
        importance(outputs, "best")
    with pytest.raises(ValueError, match="one action: no choice matters"):
        importance(outputs[:, :1])


def test_moments_are_apart_in_time_and_in_kind() -> None:
    """Chosen greedily; a signed sum of differences would call 2 and 6 alike."""
    rating = np.array([9.0, 8, 7, np.nan, 6, 5, 4])
    steps, episodes = np.array([0, 1, 10, 11, 20, 1, 30]), np.array([0, 0, 0, 0, 0, 1, 0])
    assert moments_apart(rating, steps, episodes, 9, 5) == [0, 2, 4, 5, 6]
    assert moments_apart(rating, steps, episodes, 3, 5) == [0, 2, 4]
    assert moments_apart(rating, steps, episodes, 9, 0) == [0, 1, 2, 4, 5, 6]
    features = np.array([[0, 0], [0, 0], [5, 0], [0, 0], [0.5, 0], [0, 9], [0, 5.0]])
    assert moments_apart(rating, steps, episodes, 9, 5, features, 1.0) == [0, 2, 5, 6]


def test_alike_is_a_quantile_of_euclidean_distances() -> None:
    features = np.random.default_rng(1).normal(size=(40, 3))
    pairs = [
        sum((a - b) ** 2 for a, b in zip(features[i], features[j], strict=True)) ** 0.5
        for i in range(40)
        for j in range(i)
    ]
    assert distance_quantile(features, 0.1) == pytest.approx(np.quantile(pairs, 0.1))
    assert distance_quantile(features[:1], 0.1) == 0
    many = np.random.default_rng(1).normal(size=(3000, 3))
    assert distance_quantile(many, 0.5, 1) == pytest.approx(distance_quantile(many, 0.5), rel=0.1)
    with pytest.raises(ValueError, match=r"a quantile of 10; expected 0 to 1"):
        distance_quantile(features, 10)


def test_the_table_against_loops(agent) -> None:
    result = highlights([agent], count=4, apart=6, gamma=0.9, trace=0.5)
    play, table = agent.recording, result.table
    q = np.stack([agent.network(play.observations(env)).detach() for env in range(ENVS)], 1)
    ordered = np.sort(q.astype(float), axis=2)
    values, lead = ordered[..., -1], ordered[..., -1] - ordered[..., -2]
    np.testing.assert_allclose(result.arrays["importance 0"], lead, atol=1e-5)
    np.testing.assert_allclose(result.arrays["value 0"], values, atol=1e-5)
    expected = [
        [
            advantage(np.sign(play.rewards), values, play.over, 0.9, 0.5, step, env)
            for env in range(ENVS)
        ]
        for step in range(STEPS)
    ]
    np.testing.assert_allclose(result.arrays["advantage 0"], expected, atol=1e-4)
    assert list(table["kind"]) == [
        k for k in ("critical", "gain", "loss", "random") for _ in "1234"
    ]
    best = table.set_index(["kind", "rank"]).loc
    critical, gain, loss = (best[kind, 0] for kind in ("critical", "gain", "loss"))
    assert critical["importance"] == pytest.approx(lead.max(), abs=1e-5)
    assert gain["advantage"] == pytest.approx(np.nanmax(expected), abs=1e-4)
    assert loss["advantage"] == pytest.approx(np.nanmin(expected), abs=1e-4)
    names = play.action_names
    for row, screen in zip(table.itertuples(), result.arrays["frames"], strict=True):
        at = row.step, row.env
        assert (row.action, row.second) == tuple(names[a] for a in np.argsort(-q[at])[:2])
        assert row.taken == names[play.actions[at]] and row.score == play.scores[at]
        assert row.share == pytest.approx((lead < lead[at]).mean(), abs=1e-3)
        np.testing.assert_array_equal(screen, play.frames[at])
    for _, part in table.groupby(["kind", "episode"]):
        steps = np.sort(part["step"])
        assert (np.diff(steps) >= 6).all()


def test_diverse_moments_are_less_alike(agent) -> None:
    plain, diverse = (
        highlights([agent], count=6, apart=0, diversity=d).table.query("kind == 'critical'")
        for d in (0, 0.5)
    )
    assert list(plain["importance"]) == sorted(plain["importance"], reverse=True)
    assert diverse["nearest"].min() >= 1 > plain["nearest"].min()  # the median pair is 1 apart


def test_the_picture_has_the_screens_and_the_marks(agent) -> None:
    result = highlights([agent], count=3, apart=5)
    figure = result.picture()
    figure.draw_without_rendering()
    images = [panel.images[0].get_array() for panel in figure.axes if panel.images]
    np.testing.assert_array_equal(images, result.arrays["frames"])
    curve = figure.axes[-1]
    critical = result.table[result.table["kind"] == "critical"]
    marks = next(line for line in curve.lines if line.get_label() == "critical choice")
    np.testing.assert_array_equal(marks.get_xdata(), critical["step"])


def test_an_agent_without_values_has_no_gains(agent) -> None:
    from atari_zoo.analysis.results import Result

    card = CARD.replace(algorithm="es")
    network = tiny_network(card)
    play = Recording(Header(card, "Seaquest", Preprocessing()), agent.recording.arrays)
    result: Result = highlights([Subject(play, network)], count=2)
    assert list(result.table["kind"]) == ["critical"] * 2 + ["random"] * 2
    assert "no gains and losses of es/Seaquest/7, which rates no states" in result.uncertainty
    result.picture().draw_without_rendering()


def test_what_is_not_there_is_left_out(agent) -> None:
    kept = {name: agent.recording.arrays[name] for name in ("screens", "starts")}
    bare = Subject(Recording(agent.recording.header, kept), agent.network)
    result = highlights([bare], count=2)
    assert "frames" not in result.arrays and (result.table["taken"] == "").all()
    assert set(result.table["kind"]) == {"critical", "random"}
    assert isinstance(result.table, pandas.DataFrame) and result.table["score"].isna().all()
    result.picture().draw_without_rendering()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"count": 0}, "0 moments, 20 steps apart; expected at least 1, and 0"),
        ({"apart": -1}, "5 moments, -1 steps apart"),
        ({"diversity": 2.0}, "a quantile of 2.0; expected 0 to 1"),
        ({"layer": "fc9"}, "fc9"),
        ({"trace": -0.1}, "trace is -0.1; expected 0 to 1"),
    ],
)
def test_bad_settings(agent, settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        highlights([agent], **settings)
