"""Recordings give back what the network saw and scored."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from ale_py.vector_env import AtariVectorEnv
from raw_play import RawPlay, raw_play

import atari_zoo as zoo
from atari_zoo.arrays.lazy import OneEnvironment
from atari_zoo.converters.cards import PREPROCESSINGS, ModelCard, Preprocessing
from atari_zoo.recordings.header import Header
from atari_zoo.recordings.recordings import Recording


@pytest.mark.parametrize("start", ["zeros", "copies"])
@pytest.mark.parametrize("max_pool", ["grey", "rgb"])
def test_observations_are_what_the_network_saw(random_agent, start, max_pool):
    network = random_agent("Pong")
    seen = []
    hook = network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    preprocessing = Preprocessing(stack_start=start, max_pool=max_pool, max_frames=80)
    recording = zoo.rollout(
        network, steps=50, envs=2, groups=1, preprocessing=preprocessing, keep=["screens"]
    )
    hook.remove()
    assert recording.starts.sum() >= 6  # an episode lasts 20 steps here
    # when the last step is done, one more has begun
    for env, observations in enumerate(torch.stack(seen[:50]).unbind(1)):
        torch.testing.assert_close(recording.observations(env), observations, atol=0, rtol=0)


def test_scores_are_those_before_each_step(random_agent):
    """Against a plain loop that plays the same actions in ale-py."""
    preprocessing = Preprocessing(max_frames=320)
    recording = zoo.rollout(
        random_agent("Breakout"), steps=180, envs=2, seed=3, preprocessing=preprocessing
    )
    emulator = AtariVectorEnv(
        "breakout",
        2,
        num_threads=1,
        max_num_frames_per_episode=320,
        reward_clipping=False,
        autoreset_mode="SameStep",
    )
    emulator.reset(seed=3)
    scores, running = [], [0, 0]
    for actions in recording.actions:
        scores.append(list(running))
        _, rewards, terminated, truncated, _ = emulator.step(actions)
        for env in range(2):
            over = terminated[env] or truncated[env]
            running[env] = 0 if over else running[env] + int(rewards[env])
    emulator.close()
    assert max(map(max, scores)) > 0
    np.testing.assert_array_equal(recording.scores, scores)


def test_screens_must_be_kept(random_agent):
    recording = zoo.rollout(random_agent("Pong"), steps=2, envs=1)
    with pytest.raises(ValueError, match=r"record with keep=\['screens'\]"):
        recording.observations()


@pytest.fixture(scope="module")
def play() -> RawPlay:
    return raw_play("seaquest", 60, 2, longest=23)


HEADER = Header(ModelCard("a2c", "Seaquest"), "Seaquest", Preprocessing())


def raw_recording(play: RawPlay, seconds: float = 0.0, **more) -> Recording:
    header = dataclasses.replace(HEADER, palette=play.palette, seconds=seconds)
    return Recording(header, play.arrays | more)


def opencv(play: RawPlay, env: int) -> np.ndarray:
    """84x84 frames by OpenCV from the colours that the emulator showed."""
    greys = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in play.colours[:, env])
    return np.stack([cv2.resize(g, (84, 84), interpolation=cv2.INTER_AREA) for g in greys])


def stacked(frames: np.ndarray, starts: np.ndarray, copies: bool) -> np.ndarray:
    """The plainest stacking: a list that is emptied where an episode begins."""
    stacks, seen = [], []
    for frame, start in zip(frames, starts, strict=True):
        before = frame if copies else np.zeros_like(frame)
        seen = [before] * 3 if start else seen
        seen = [*seen, frame][-4:]
        stacks.append(np.stack(seen))
    return np.stack(stacks)


@pytest.mark.parametrize("copies", [False, True])
def test_observations_are_rendered_from_raw_frames(play, copies):
    start = "copies" if copies else "zeros"
    of = Preprocessing("other", max_pool="rgb", stack_start=start)
    for env in range(2):
        expected = stacked(opencv(play, env), play.arrays["starts"][:, env], copies)
        seen = raw_recording(play).observations(env, preprocessing=of)
        np.testing.assert_array_equal(seen.numpy(), expected)


def test_screens_serve_their_own_preprocessing_alone(play):
    """The raw frames serve the others."""
    screens = np.full((60, 2, 84, 84), 9, np.uint8)
    recording = raw_recording(play, screens=screens)
    assert (recording.observations(0)[:, -1] == 9).all()
    dopamine = PREPROCESSINGS["dopamine"]
    assert (recording.observations(0, preprocessing=dopamine)[:, -1] != 9).any()
    recording.raw_frames = None
    with pytest.raises(ValueError, match=r"no raw frames in this recording: record with keep="):
        recording.observations(0, preprocessing=dopamine)


@pytest.mark.parametrize(
    "steps",
    [np.s_[5:9], np.s_[:1], np.s_[24:26], np.s_[-3:], np.s_[::7], np.s_[9:4], np.s_[40:0:-9]],
)
@pytest.mark.parametrize("variant", ["tf", "modern"])
def test_parts_of_observations_are_parts_of_the_whole(play, steps, variant):
    recording, of = raw_recording(play), PREPROCESSINGS[variant]
    whole = recording.observations(1, preprocessing=of)
    wanted = range(*steps.indices(60))
    part = recording.observations(1, steps, of)
    assert part.shape == (len(wanted), 4, 84, 84)
    torch.testing.assert_close(part, whole[list(wanted)], atol=0, rtol=0, check_dtype=bool(wanted))


def test_a_part_of_observations_needs_few_frames(play):
    asked = []

    class Counted(OneEnvironment):
        def rows(self, steps, envs):
            asked.append(steps)
            return super().rows(steps, envs)

    recording = raw_recording(play)
    recording.raw_frames = Counted(play.arrays["frames"][:, 0])
    recording.observations(0, slice(30, 40))
    assert asked == [slice(27, 40)]


def test_ram_bits_begin_with_the_most_significant(play):
    recording = raw_recording(play)
    bits, ram = np.asarray(recording.ram_bits), play.arrays["ram"]
    assert bits.shape == (60, 2, 1024)
    for step, env, byte in [(0, 0, 0), (7, 1, 5), (59, 0, 127)]:
        written = f"{ram[step, env, byte]:08b}"
        assert "".join(map(str, bits[step, env, 8 * byte : 8 * byte + 8])) == written
    with pytest.raises(ValueError, match=r"record with keep=\['ram'\]"):
        _ = Recording(HEADER, {}).ram_bits


def test_a_summary_tells_what_is_known(play):
    recording = raw_recording(play)
    told = recording.summary()
    assert told["episodes"] == len(recording.returns) == 4 and told["steps_per_second"] is None
    assert told["interval"][0] <= told["mean"] <= told["interval"][1]
    assert raw_recording(play, seconds=2.0).summary()["steps_per_second"] == 60
    assert raw_recording(play, seconds=float("nan")).summary()["steps_per_second"] is None
    empty = Recording(HEADER, {}).summary()
    assert empty["mean"] is None and empty["interval"] is None and empty["std"] == 0


def test_episodes_are_known_without_their_ends(play):
    """Recordings of old had starts alone."""
    recording = raw_recording(play)
    starts, rewards = play.arrays["starts"], play.arrays["rewards"]
    bare = Recording(HEADER, {"starts": starts, "rewards": rewards})
    assert bare.lengths.tolist() == recording.lengths.tolist() == [23, 23] * 2
    assert bare.returns.tolist() == recording.returns.tolist()


def test_what_was_played_in_memory_is_saved(random_agent, tmp_path):
    keep = ["screens", "frames", "outputs"]
    played = zoo.rollout(random_agent("Pong"), steps=70, envs=2, keep=keep)
    played.save(tmp_path / "pong.zarr")
    opened = zoo.open_recording(tmp_path / "pong.zarr")
    for name in ("screens", "frames", "outputs", "actions", "rewards", "lives", "starts", "scores"):
        np.testing.assert_array_equal(getattr(opened, name), getattr(played, name), err_msg=name)
    assert opened.returns.tolist() == played.returns.tolist()
    assert opened.seconds == played.seconds and opened.summary() == played.summary()
    torch.testing.assert_close(opened.observations(1), played.observations(1), atol=0, rtol=0)


def test_unknown_arrays_are_refused():
    with pytest.raises(ValueError, match="cannot keep 'sound'; there are actions, "):
        Recording(HEADER, {"sound": np.zeros((0, 0))})
    with pytest.raises(ValueError, match=r"'frames' is \(2, 1, 210, 160, 3\); expected steps, env"):
        Recording(HEADER, {"frames": np.zeros((2, 1, 210, 160, 3), np.uint8)})


def test_a_lost_life_may_begin_a_stack_but_no_game(play):
    """As SB3's EpisodicLifeEnv has it: the score goes on."""
    recording, arrays = raw_recording(play), dict(play.arrays)
    starts = arrays["starts"].copy()
    starts[10] = True
    lost = raw_recording(dataclasses.replace(play, arrays=arrays | {"starts": starts}))
    np.testing.assert_array_equal(lost.scores, recording.scores)
    assert lost.lengths.tolist() == recording.lengths.tolist()
    assert (lost.observations()[10, :3] == 0).all() and (recording.observations()[10, :3] > 0).any()
