"""Rollouts: repeatable, counted as a plain loop counts, actions drawn as the rule says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ale_py.vector_env import AtariVectorEnv

import atari_zoo as zoo
from atari_zoo.converters.cards import Preprocessing
from atari_zoo.rollouts import Chooser

SHORT = Preprocessing(max_frames=320)  # 80 steps


def played(recording) -> list[np.ndarray]:
    names = ("actions", "rewards", "lives", "starts", "returns", "lengths", "outputs")
    return [getattr(recording, name) for name in names]


@pytest.mark.parametrize("envs", [1, 8])
def test_a_seed_repeats_the_play(random_agent, envs):
    network = random_agent("Breakout")
    options = {"steps": 30, "envs": envs, "keep": ["outputs"]}
    first, again = (zoo.rollout(network, seed=3, **options) for _ in range(2))
    for one, two in zip(played(first), played(again), strict=True):
        np.testing.assert_array_equal(one, two)
    assert first.steps == 30 * envs


def test_another_seed_plays_otherwise(random_agent):
    network = random_agent("Breakout")
    first, other = (zoo.rollout(network, steps=30, envs=1, seed=seed) for seed in (3, 4))
    assert not np.array_equal(first.actions, other.actions)


def plain_loop(network, quotas: list[int], seed: int) -> tuple[list[float], list[int]]:
    """Returns and lengths of Kangaroo's first episodes: one environment after the other, ale-py's
    own stack, the largest output."""
    returns, lengths = [], []
    for env, quota in enumerate(quotas):
        emulator = AtariVectorEnv(
            "kangaroo", 1, num_threads=1, max_num_frames_per_episode=320, reward_clipping=False
        )
        observation, _ = emulator.reset(seed=seed + env)
        score, length, ended = 0, 0, 0
        while ended < quota:
            action = network(torch.from_numpy(observation)).argmax(1).numpy()
            observation, reward, terminated, truncated, _ = emulator.step(action)
            score, length = score + reward[0], length + 1
            if terminated[0] or truncated[0]:
                returns, lengths = [*returns, float(score)], [*lengths, length]
                score, length, ended = 0, 0, ended + 1
                # in this mode the next action is passed over and begins the next episode
                observation, *_ = emulator.step(action)
        emulator.close()
    return returns, lengths


@pytest.mark.parametrize("episodes, envs, quotas", [(5, 3, [2, 2, 1]), (1, 4, [1]), (3, 1, [3])])
def test_episodes_are_shared_out_and_counted(random_agent, episodes, envs, quotas):
    network = random_agent("Kangaroo", rule="argmax")
    recording = zoo.rollout(network, episodes=episodes, envs=envs, seed=3, preprocessing=SHORT)
    with torch.inference_mode():
        returns, lengths = plain_loop(network, quotas, seed=3)
    assert recording.lengths.tolist() == lengths
    assert recording.returns.tolist() == returns
    assert len(np.unique(recording.actions)) > 1  # it did look at the screen
    assert recording.actions.shape[1] == len(quotas)


def test_steps_count_every_episode_that_ended(random_agent):
    recording = zoo.rollout(
        random_agent("Breakout"), steps=170, envs=2, seed=3, preprocessing=SHORT
    )
    assert recording.returns.shape == recording.lengths.shape == (4,)
    assert recording.lengths.tolist() == [80] * 4


def test_sampling_follows_the_softmax():
    logits = torch.tensor([[2.0, 0.0, -1.0, 1.0, -30.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    count = 20_000
    actions = Chooser("sample", 0.0, 1, torch.device("cpu"))(logits.repeat(count, 1))
    drawn = actions.reshape(count, 2)
    for column, expected in enumerate(logits.double().softmax(1).numpy()):
        frequencies = np.bincount(drawn[:, column], minlength=5) / count
        # five standard deviations of a binomial frequency
        assert (np.abs(frequencies - expected) <= 5 * np.sqrt(expected / count)).all()


@pytest.mark.parametrize("epsilon", [0.0, 0.25, 1.0])
def test_epsilon_greedy(epsilon):
    count, actions = 20_000, 6
    outputs = torch.zeros(count, actions)
    outputs[:, 4] = 1
    chosen = Chooser("epsilon-greedy", epsilon, 1, torch.device("cpu"))(outputs)
    frequencies = np.bincount(chosen, minlength=actions) / count
    expected = np.full(actions, epsilon / actions)
    expected[4] += 1 - epsilon
    assert (np.abs(frequencies - expected) <= 5 * np.sqrt(expected * (1 - expected) / count)).all()


def test_argmax_needs_no_chance():
    outputs = torch.tensor([[0.0, 3.0, 2.0], [5.0, 4.0, 1.0]])
    choose = Chooser("argmax", 1.0, 1, torch.device("cpu"))
    assert choose(outputs).tolist() == [1, 0]


def test_the_rule_and_epsilon_reach_the_games(random_agent):
    network = random_agent("Breakout", rule="argmax")
    options = {"steps": 60, "envs": 2, "seed": 2, "keep": ["outputs"]}
    greedy = zoo.rollout(network, **options)
    np.testing.assert_array_equal(greedy.actions, greedy.outputs.argmax(-1))
    uniform = zoo.rollout(network, action="epsilon-greedy", epsilon=1.0, **options)
    assert (np.bincount(uniform.actions.ravel(), minlength=4) / 120 > 0.1).all()
    assert (uniform.actions != uniform.outputs.argmax(-1)).mean() > 0.5


def test_what_was_kept_is_of_the_steps_own_moment(random_agent):
    network = random_agent("Breakout")
    seen = []
    hook = network.register_forward_hook(lambda _, inputs, output: seen.append((inputs, output)))
    recording = zoo.rollout(network, steps=30, envs=2, keep=["outputs", "screens"])
    hook.remove()
    for step, ((observations,), outputs) in enumerate(seen):
        np.testing.assert_array_equal(recording.screens[step], observations[:, -1])
        np.testing.assert_array_equal(recording.outputs[step], outputs)


def test_progress_is_told_every_step(random_agent):
    told = []
    zoo.rollout(random_agent(), steps=5, envs=1, progress=lambda *counts: told.append(counts))
    assert told == [(step, 5) for step in range(1, 6)]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "either steps= or episodes="),
        ({"steps": 1, "episodes": 1}, "either steps= or episodes="),
        ({"steps": 1, "envs": 0}, "envs is 0; it must be at least 1"),
        ({"steps": 0}, "steps is 0; it must be at least 1"),
        ({"episodes": -1}, "episodes is -1; it must be at least 1"),
        ({"steps": 1, "action": "best"}, "no action rule 'best'; there are argmax, sample"),
        ({"steps": 1, "keep": ["movie"]}, "cannot keep 'movie'; there are screens, frames"),
        ({"steps": 1, "game": "Breakout"}, "6 actions, but Breakout has 4 .*another game's"),
        ({"steps": 1, "game": "Pnog"}, "no game 'Pnog'; did you mean Pong"),
        ({"steps": 1, "epsilon": 1.5}, "epsilon is 1.5; it must be from 0 to 1"),
    ],
)
def test_mistakes_are_explained(random_agent, arguments, message):
    with pytest.raises(ValueError, match=message):
        zoo.rollout(random_agent("Pong"), **arguments)


def test_a_network_of_no_game_asks_for_one(random_agent):
    network = random_agent("Pong")
    network.card = network.card.replace(game="")
    with pytest.raises(ValueError, match="say which with game="):
        zoo.rollout(network, steps=1)
