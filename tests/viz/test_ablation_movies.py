"""Movies of an ablated agent beside itself: one start, parting where they act otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from movie_files import movie_file

import atari_zoo as zoo
from atari_zoo.viz.movies import ablation, boards
from atari_zoo.viz.movies.ablation import FRAME, LABEL, ablation_movie, play_twins
from atari_zoo.viz.movies.clips import Clip

STEPS = 24


@pytest.fixture(scope="module")
def agent(random_agent):
    """Draws its actions, so that the same draws must be had by both."""
    return random_agent("Pong")


def test_units_that_do_nothing_change_nothing(agent, tmp_path) -> None:
    """Scaling by 1 is no change: the same draws, the same screens to the end."""
    nothing = zoo.Intervention("fc", "scale", amount=1.0)
    twins = play_twins(agent, [nothing], STEPS, 3, tmp_path)
    assert twins.parting is None
    np.testing.assert_array_equal(twins.intact.frames[:], twins.changed.frames[:])
    assert len(np.unique(twins.intact.actions)) > 2  # it did not act alike at every step


def test_they_are_the_same_until_they_part(agent, tmp_path) -> None:
    before = agent.card
    ticks: list[tuple[int, int]] = []
    twins = play_twins(agent, ["fc:0..255"], STEPS, 3, tmp_path, lambda *tick: ticks.append(tick))
    parting = twins.parting
    assert parting is not None
    first, second = (np.asarray(each.frames[:, 0]) for each in twins[:2])
    assert (first[: parting + 1] == second[: parting + 1]).all()  # what is seen before it acts
    actions = twins.intact.actions[:, 0], twins.changed.actions[:, 0]
    assert (actions[0][:parting] == actions[1][:parting]).all()
    assert actions[0][parting] != actions[1][parting]
    assert agent.card == before and twins.changed.card.tag == "fc:0..255=0"
    # as the same agent plays alone, and as the units are silenced elsewhere
    alone = zoo.rollout(agent, steps=STEPS, envs=1, seed=3)
    np.testing.assert_array_equal(alone.actions, twins.intact.actions)
    with zoo.ablated(agent, "fc:0..255"):
        silent = zoo.rollout(agent, steps=STEPS, envs=1, seed=3)
    np.testing.assert_array_equal(silent.actions, twins.changed.actions)
    assert ticks[-1][0] == 2 * STEPS


def test_the_movie_shows_both_and_marks_where_they_part(agent, tmp_path, monkeypatch) -> None:
    (tmp_path / "play").mkdir()
    twins = play_twins(agent, ["fc:0..255"], STEPS, 3, tmp_path / "play")
    words, picture = [], boards.Board.picture
    monkeypatch.setattr(
        boards.Board, "picture", lambda self, now: (words.append(now), picture(self, now))[1]
    )
    ticks: list[tuple[int, int]] = []
    clip = Clip(first=2, stop=STEPS, speed=2.0)
    parting = ablation_movie(
        agent, ["fc:0..255"], tmp_path / "a.mp4", clip, 3, lambda *tick: ticks.append(tick)
    )
    assert parting == twins.parting
    names = twins.intact.action_names
    taken = [names[each.actions[parting, 0]] for each in twins[:2]]
    expected = [
        f"step {step}    the same so far"
        if step < parting
        else f"step {step}    apart since step {parting}: {taken[0]} when intact, "
        f"{taken[1]} when changed"
        for step in range(2, STEPS)
    ]
    assert words == expected
    found = movie_file(tmp_path / "a.mp4")
    assert (found.codec, found.rate, found.count) == ("h264", 30, STEPS - 2)
    top = boards.MARGIN + boards.HEAD + LABEL + FRAME
    column = 320 + 2 * FRAME + 2 * boards.MARGIN
    for step in (2, parting, STEPS - 1):
        for side, each in enumerate(twins[:2]):
            left = boards.MARGIN + side * column + FRAME
            game = found.pictures[step - 2][top : top + 420, left : left + 320].astype(float)
            blocks = game.reshape(210, 2, 160, 2, 3).mean(axis=(1, 3))
            apart = np.abs(np.asarray(each.frames[:, 0]) - blocks).mean(axis=(1, 2, 3))
            assert apart[step] < 4 and apart[step] == apart.min()
    assert ticks[-1] == (3 * STEPS - 2, 3 * STEPS - 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "play"]


@pytest.mark.parametrize(
    ("units", "clip", "message"),
    [
        ([], Clip(), "no units to silence; name some"),
        (["fc:999"], Clip(stop=2), "no unit 999 in fc"),
        (["conv9"], Clip(stop=2), "conv9"),
        (["fc:1"], Clip(episode=0), "both play anew from one start: give steps"),
        (["fc:1"], Clip(env=1), "both play anew from one start"),
    ],
)
def test_what_cannot_be_is_known_before_the_play(agent, tmp_path, units, clip, message) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ablation, "rollout", lambda *given, **more: pytest.fail("it was played"))
        with pytest.raises(ValueError, match=message):
            ablation_movie(agent, units, tmp_path / "a.mp4", clip)
        with pytest.raises(OSError, match="there is no folder"):
            ablation_movie(agent, ["fc:1"], tmp_path / "none" / "a.mp4")
    assert not list(tmp_path.iterdir())
