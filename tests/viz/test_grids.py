"""Grids of play: who is where, in step with each other; ended episodes marked."""

from __future__ import annotations

import numpy as np
import pytest
from movie_files import movie_file, shown_play

from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.cards import ModelCard
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.images import CHOSEN, LINE
from atari_zoo.viz.movies import boards, grids
from atari_zoo.viz.movies.clips import Clip
from atari_zoo.viz.movies.grids import FRAME, grid_movie


def play_of(algorithm: str, run: str, steps: int = 24, game: str = "Seaquest", tag: str = ""):
    """Play whose screens differ from those of other runs."""
    play = shown_play(steps, card=ModelCard(algorithm, game, run, tag=tag))
    shade = (sum(f"{algorithm}{run}{tag}".encode()) * 37) % 120
    colours = np.asarray(play.frames) // 2 + np.uint8(shade)
    return Recording(play.header, play.arrays | {"colours": colours})


@pytest.fixture(scope="module")
def agents() -> list[Subject]:
    several = (("rainbow", "1"), ("a2c", "10"), ("dqn", "2"), ("a2c", "2"), ("rainbow", "10"))
    return [Subject(play_of(*name)) for name in several]


@pytest.fixture
def games(monkeypatch) -> list[list]:
    """Every game drawn, picture by picture: its place, step and whether it is over."""
    pictures: list[list] = []
    board, draw = boards.Board.picture, grids._draw

    def drawing(canvas, place, played, scale, over):
        pictures[-1].append((place, played.step, over))
        draw(canvas, place, played, scale, over)

    monkeypatch.setattr(
        boards.Board, "picture", lambda self, now: (pictures.append([]), board(self, now))[1]
    )
    monkeypatch.setattr(grids, "_draw", drawing)
    return pictures


def shown_at(picture: np.ndarray, place: tuple[int, int]) -> np.ndarray:
    left, top = place[0] + FRAME, place[1] + FRAME
    return picture[top : top + 210, left : left + 160].astype(int)


def test_algorithms_are_across_and_runs_down(agents, tmp_path, games) -> None:
    ticks: list[tuple[int, int]] = []
    clip = Clip(first=3, stop=20, scale=1, speed=4.0)
    grid_movie(agents, tmp_path / "g.mp4", clip, lambda *tick: ticks.append(tick))
    found = movie_file(tmp_path / "g.mp4")
    assert (found.codec, found.rate, found.count) == ("h264", 60, 17)
    assert ticks[-1] == (17, 17)
    places = {agent.name: game[0] for agent, game in zip(agents, games[0], strict=True)}
    assert [[game[1] for game in picture] for picture in games] == [
        [step] * 5 for step in range(3, 20)
    ]
    # from left to right as the zoo lists algorithms; run 2 above run 10
    across = sorted({left for left, _ in places.values()})
    down = sorted({top for _, top in places.values()})
    assert places == {
        "rainbow/Seaquest/1": (across[2], down[0]),
        "a2c/Seaquest/10": (across[0], down[2]),
        "dqn/Seaquest/2": (across[1], down[1]),
        "a2c/Seaquest/2": (across[0], down[1]),
        "rainbow/Seaquest/10": (across[2], down[2]),
    }
    for number, picture in enumerate(found.pictures):
        for agent in agents:
            game = shown_at(picture, places[agent.name])
            apart = [
                np.abs(np.asarray(other.recording.frames[3 + number, 0]) - game).mean()
                for other in agents
            ]
            assert np.argmin(apart) == agents.index(agent) and min(apart) < 5


def frame_of(picture: np.ndarray, place: tuple[int, int]) -> np.ndarray:
    """The colour around a game."""
    return picture[place[1] + 50 : place[1] + 150, place[0] + 1].mean(axis=0)


def test_ended_episodes_are_marked(agents, tmp_path, games) -> None:
    """For a second; and what ends before the others stays, darkened."""
    short = Subject(play_of("impala", "1", steps=14))
    grid_movie([agents[0], short], tmp_path / "g.mp4", Clip(scale=1))
    found = movie_file(tmp_path / "g.mp4")
    assert found.count == 24
    (long_place, *_), (short_place, *_) = games[0]
    for step, lit in ((5, LINE), (9, CHOSEN), (20, CHOSEN)):
        np.testing.assert_allclose(frame_of(found.pictures[step], long_place), lit, atol=25)
    assert [game[1:] for game in games[13]] == [(13, False), (13, False)]
    assert [game[1:] for game in games[14]] == [(14, False), (13, True)]
    np.testing.assert_allclose(frame_of(found.pictures[18], short_place), CHOSEN, atol=25)
    last = np.asarray(short.recording.frames[13, 0])
    game = shown_at(found.pictures[20], short_place)
    assert np.abs(game - last * grids.DIM).mean() < 5


def test_of_each_its_own_episode(agents, tmp_path, games) -> None:
    grid_movie(agents[:2], tmp_path / "g.mp4", Clip(episode=1, scale=1))
    assert [[game[1] for game in picture] for picture in games] == [
        [step] * 2 for step in range(10, 20)
    ]


def test_runs_of_one_algorithm_stand_side_by_side(tmp_path, games) -> None:
    several = [("1", ""), ("1", "2M"), ("2", "")]
    runs = [Subject(play_of("dqn", run, 4, tag=tag)) for run, tag in several]
    grid_movie(runs, tmp_path / "g.mp4", Clip())
    places = [game[0] for game in games[0]]
    assert len({top for _, top in places}) == 1
    assert [left for left, _ in places] == sorted({left for left, _ in places})
    assert movie_file(tmp_path / "g.mp4").pictures.shape[2] < 1700  # as large as fits


def test_what_makes_no_grid_is_known_before_the_work(agents, tmp_path) -> None:
    pong = Subject(play_of("a2c", "1", game="Pong"))
    bare = Subject(shown_play(4, colours=None))
    for several, clip, message in (
        ([*agents, pong], Clip(), "rainbow/Seaquest/1 plays Seaquest, a2c/Pong/1 plays Pong: give"),
        ([agents[0], bare], Clip(), "dqn/Seaquest/7: no frames in this recording"),
        (agents, Clip(stop=99), "steps 0 to 99 are asked for, but the recording of"),
        (agents, Clip(episode=7), "no episode 7 in environment 0"),
        ([], Clip(), "no agents"),
    ):
        with pytest.raises(ValueError, match=message):
            grid_movie(several, tmp_path / "g.mp4", clip)
    with pytest.raises(OSError, match="there is no folder"):
        grid_movie(agents, tmp_path / "none" / "g.mp4")
    assert not list(tmp_path.iterdir())
