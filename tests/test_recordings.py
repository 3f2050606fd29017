"""Recordings give back what the network saw and scored."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ale_py.vector_env import AtariVectorEnv

import atari_zoo as zoo
from atari_zoo.converters.cards import Preprocessing


@pytest.mark.parametrize("start", ["zeros", "copies"])
@pytest.mark.parametrize("max_pool", ["grey", "rgb"])
def test_observations_are_what_the_network_saw(random_agent, start, max_pool):
    network = random_agent("Pong")
    seen = []
    hook = network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    preprocessing = Preprocessing(stack_start=start, max_pool=max_pool, max_frames=80)
    recording = zoo.rollout(
        network, steps=50, envs=2, preprocessing=preprocessing, keep=["screens"]
    )
    hook.remove()
    assert recording.starts.sum() >= 6  # an episode lasts 20 steps here
    for env, observations in enumerate(torch.stack(seen).unbind(1)):
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
