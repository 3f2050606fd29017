"""Minari's own loader gives back the recording's episodes."""

from __future__ import annotations

import sys
from itertools import pairwise

import minari
import numpy as np
import pytest
from raw_play import RawPlay, raw_play

import atari_zoo as zoo
from atari_zoo.converters.cards import PREPROCESSINGS, ModelCard
from atari_zoo.recordings.header import Header
from atari_zoo.recordings.recordings import Recording
from atari_zoo.recordings.writer import RecordingWriter

CARD = ModelCard("a2c", "Breakout")


@pytest.fixture(scope="module")
def play() -> RawPlay:
    return raw_play("breakout", 60, 2, longest=25)


def recording(play: RawPlay, path, name: str, **more) -> Recording:
    keep = ["frames", "ram", *more]
    header = Header(CARD, "Breakout", PREPROCESSINGS[name], seed=4, envs=2)
    with RecordingWriter(path, header, keep) as to:
        to.append(palette=play.palette, **play.arrays, **more)
    return zoo.open_recording(path)


@pytest.fixture
def datasets(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))


@pytest.mark.parametrize("name", ["vector", "tf"])
def test_episodes_are_the_recordings(play, tmp_path, datasets, name):
    of = recording(play, tmp_path / "play.zarr", name)
    of.to_minari("atari/breakout/test-v0", author="someone")
    loaded = minari.load_dataset("atari/breakout/test-v0")
    assert loaded.spec.total_steps == 120 and loaded.total_episodes == 6
    assert loaded.action_space.n == 4
    episodes = iter(loaded.iterate_episodes())
    for env in range(2):
        begins = [*np.flatnonzero(play.arrays["starts"][:, env]), 60]
        seen = of.observations(env).numpy()
        for start, stop in pairwise(begins):
            episode, steps = next(episodes), slice(start, stop)
            assert episode.observations.dtype == (np.float32 if name == "tf" else np.uint8)
            np.testing.assert_array_equal(episode.observations[:-1], seen[steps])
            np.testing.assert_array_equal(episode.observations[-1], seen[stop - 1])
            for theirs, ours in [
                (episode.actions, "actions"),
                (episode.rewards, "rewards"),
                (episode.terminations, "terminated"),
            ]:
                np.testing.assert_array_equal(theirs, play.arrays[ours][steps, env])
            ended = play.arrays["truncated"][stop - 1, env] or stop == 60
            assert episode.truncations.tolist() == [False] * (stop - start - 1) + [ended]
            assert loaded.observation_space.contains(episode.observations[0])
    assert next(episodes, None) is None


def test_actions_are_those_executed(play, tmp_path, datasets):
    executed = (play.arrays["actions"] + 1) % 4
    of = recording(play, tmp_path / "play.zarr", "vector", executed=executed)
    of.to_minari("breakout/test-v0")
    episodes = list(minari.load_dataset("breakout/test-v0"))
    np.testing.assert_array_equal(episodes[0].actions, executed[: len(episodes[0].actions), 0])


def test_a_name_is_taken_once(play, tmp_path, datasets):
    of = recording(play, tmp_path / "play.zarr", "vector")
    of.to_minari("breakout/test-v0")
    with pytest.raises(ValueError, match="choose another name"):
        of.to_minari("breakout/test-v0")


@pytest.mark.parametrize("name", ["pong/mine", "mine", "", "a b-v0", "../mine-v0", "pong/mine-v"])
def test_an_id_is_a_name_and_a_version(play, tmp_path, datasets, name):
    of = recording(play, tmp_path / "play.zarr", "vector")
    with pytest.raises(ValueError, match=r"no id of a Minari dataset; .* such as 'atari/pong/mine"):
        of.to_minari(name)
    assert not list(tmp_path.glob("datasets/*"))


def test_what_minari_needs_is_told(play, tmp_path, datasets, monkeypatch):
    header = Header(CARD, "Breakout", PREPROCESSINGS["vector"])
    of = Recording(header, {"starts": np.ones((1, 1), bool)})
    with pytest.raises(ValueError, match="no actions in this recording"):
        of.to_minari("breakout/test-v0")
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(ImportError, match=r"pip install 'atari-zoo\[minari\]'"):
        of.to_minari("breakout/test-v0")
