"""Movies of the game alone: which steps, how fast, how large; picture k is step k."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from movie_files import EPISODE, movie_file, shown_play

from atari_zoo.arrays.lazy import LazyArray
from atari_zoo.converters.cards import Preprocessing
from atari_zoo.recordings.header import Header
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.images import enlarge
from atari_zoo.viz.movies import played as played_steps_module
from atari_zoo.viz.movies.clips import Clip
from atari_zoo.viz.movies.game import game_movie
from atari_zoo.viz.movies.played import played_steps, step_words


@pytest.fixture(scope="module")
def play() -> Recording:
    return shown_play(24, 2)


CLIPS = {
    "all": (Clip(scale=1), range(24), Fraction(15)),
    "some, twice as fast": (Clip(1, 5, 17, speed=2.0, scale=1), range(5, 17), Fraction(30)),
    "slow": (Clip(first=20, speed=0.1, scale=1), range(20, 24), Fraction(3, 2)),
    "an episode": (Clip(episode=1, scale=1), range(10, 20), Fraction(15)),
    "the last one, cut off": (Clip(episode=2, scale=1), range(20, 24), Fraction(15)),
}


@pytest.mark.parametrize("case", CLIPS)
def test_picture_k_is_step_k(play, tmp_path, case) -> None:
    """The right step is nearer than any other, and as near as H.264 leaves it."""
    clip, steps, rate = CLIPS[case]
    ticks: list[tuple[int, int]] = []
    game_movie(play, tmp_path / "a.mp4", clip, lambda *tick: ticks.append(tick))
    found = movie_file(tmp_path / "a.mp4")
    assert (found.codec, found.pixels, found.rate) == ("h264", "yuv420p", rate)
    assert found.count == len(found.pictures) == len(steps)
    assert found.seconds == pytest.approx(float(len(steps) / rate), rel=1e-3)
    assert ticks == [(done, len(steps)) for done in range(1, len(steps) + 1)]
    every = np.asarray(play.frames[:, clip.env]).astype(int)
    for picture, step in zip(found.pictures.astype(int), steps, strict=True):
        apart = np.abs(every - picture).mean(axis=(1, 2, 3))
        assert apart.argmin() == step and apart[step] < 4


@pytest.mark.parametrize("scale", [None, 2, 3])
def test_every_pixel_is_so_many_pixels(play, tmp_path, scale) -> None:
    game_movie(play, tmp_path / "a.mp4", Clip(stop=2, scale=scale))
    picture = movie_file(tmp_path / "a.mp4").pictures[0].astype(int)
    factor = scale or 4
    assert picture.shape == (210 * factor, 160 * factor, 3)
    crisp = enlarge(np.asarray(play.frames[0, 0]), factor).astype(int)
    assert np.abs(picture - crisp).mean() < 3
    # at an edge between two blocks of colour there is nothing in between
    smooth = (crisp + np.roll(crisp, factor, 1)) // 2
    edge = slice(20 * factor - 2, 20 * factor + 2)
    near, blurred = (np.abs(picture - other)[:, edge].mean() for other in (crisp, smooth))
    assert near < blurred / 2


def test_a_skip_of_other_frames_has_its_own_speed() -> None:
    for seen, rate in (
        (Preprocessing(frame_skip=5), Fraction(12)),
        (Preprocessing(frame_skip=4, frame_skip_least=2), Fraction(20)),
        (Preprocessing(frame_skip=7), Fraction(60, 7)),
    ):
        play = shown_play(2)
        other = Recording(Header(play.card, "Seaquest", seen), play.arrays)
        assert Clip().rate(other) == rate
        assert Clip(speed=0.5).rate(other) == rate / 2


def test_a_second_after_an_episode_its_score_is_told(play) -> None:
    found = list(played_steps(play, 0, range(24)))
    assert [step.ended for step in found[: EPISODE - 1]] == [None] * (EPISODE - 1)
    assert found[EPISODE - 1].ended == found[EPISODE + 3].ended == 80  # at 0, 3, 6 and 9
    assert found[2 * EPISODE].ended == 60  # at 12, 15 and 18
    names = play.action_names
    assert step_words(found[3], names) == f"step 3    score 20    {names[15]}"
    assert step_words(found[10], names, "it took ").endswith(
        f"it took {names[14]}    (game over: 80)"
    )
    bare = next(played_steps(shown_play(3, rewards=None, actions=None), 0, range(3)))
    assert step_words(bare, names) == "step 0"


class Counting(LazyArray):
    """Screens that are read from a file, and how many at once."""

    def __init__(self, steps: int) -> None:
        self.steps, self.read = steps, list[int]()
        self.screen = shown_play(1).frames[0, 0]

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.steps, 1, 210, 160, 3)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.uint8)

    def rows(self, steps, envs) -> np.ndarray:
        count = len(range(*steps.indices(self.steps)))
        self.read.append(count)
        return np.broadcast_to(self.screen, (count, *self.screen.shape)).copy()


def test_a_long_movie_takes_no_more_memory_than_a_short_one(tmp_path) -> None:
    peaks = []
    for steps in (96, 480):
        frames, starts = Counting(steps), np.arange(steps)[:, None] == 0
        play = Recording(
            Header(shown_play(1).card, "Seaquest", Preprocessing()),
            {"starts": starts, "colours": frames},
        )
        tracemalloc.start()
        game_movie(play, tmp_path / f"{steps}.mp4", Clip(scale=1))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert max(frames.read) <= played_steps_module.BLOCK and sum(frames.read) == steps
    assert peaks[1] < peaks[0] + 500_000  # 480 screens are 48 MB


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        ({"speed": 0}, r"speed is 0; expected 0\.01 to 60, where 1 is the game's"),
        ({"speed": float("nan")}, "speed is nan"),
        ({"scale": 0}, "scale is 0; expected 1 to 16"),
        ({"first": -1}, "steps -1 to None; expected a first one from 0 on"),
        ({"first": 5, "stop": 5}, "steps 5 to 5; .* and an end after it"),
        ({"episode": 0, "stop": 5}, "an episode and steps are two ways"),
        ({"episode": -1}, "episode is -1"),
        ({"first": 24}, "steps 24 to 24 are asked for, but the recording of .* has 0 to 24"),
        ({"stop": 25}, "steps 0 to 25 are asked for"),
        ({"episode": 3}, "no episode 3 in environment 0: the recording of .* has 0 to 2"),
        ({"env": 2}, "env is 2; the recording has environments 0 to 1"),
    ],
)
def test_what_is_not_there_is_refused(play, tmp_path, clip, message) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        game_movie(play, tmp_path / "a.mp4", Clip(**clip))
    assert not list(tmp_path.iterdir())


def test_what_can_be_no_movie_is_known_before_the_work(play, tmp_path) -> None:
    bare = shown_play(3, colours=None)
    none = Recording(play.header, {"starts": np.zeros((0, 1), bool), "colours": play.frames[:0]})
    (tmp_path / "folder.mp4").mkdir()
    for recording, name, message in (
        (bare, "a.mp4", r"no frames in this recording: record with keep=\['frames'\]"),
        (none, "a.mp4", "the recording has no steps"),
        (play, "a.gif", "a movie's name ends in .mp4"),
        (play, "none/a.mp4", "there is no folder"),
        (play, "folder.mp4", "is a folder"),
    ):
        with pytest.raises((ValueError, OSError), match=message):
            game_movie(recording, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.mp4"]
