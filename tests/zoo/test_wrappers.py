"""Whole preprocessings in the real emulator, against the wrappers that agents were trained with:
Gymnasium's and Stable-Baselines3's own, and the others' written out plainly from their sources."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache, partial

import cv2
import gymnasium as gym
import numpy as np
import pytest
import tensorflow as tf
from ale_py import ALEInterface, AtariEnv, LoggerMode, roms
from gymnasium.spaces import Box
from gymnasium.wrappers import (
    AtariPreprocessing,
    FrameStackObservation,
    GrayscaleObservation,
    ResizeObservation,
    TransformObservation,
)
from PIL import Image
from stable_baselines3.common.atari_wrappers import (
    AtariWrapper,
    EpisodicLifeEnv,
    FireResetEnv,
    MaxAndSkipEnv,
    NoopResetEnv,
)
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack

from atari_zoo.catalog.published import published
from atari_zoo.converters.cards import PREPROCESSINGS
from atari_zoo.emulator.environments import Environments
from atari_zoo.emulator.resets import ale_draws

SEED = 3
FRAMES = 280  # 70 steps, the no-ops among them: episodes end by the time limit too
Played = tuple[np.ndarray, float, bool]  # the stack after a step, its reward, whether all restarts


class Wrapped:
    """One environment, wrapped: `begin` and `step` give the stack that the agent sees."""

    def begin(self, seed: int | None) -> np.ndarray:
        raise NotImplementedError

    def step(self, action: int) -> tuple[np.ndarray, float, bool]:
        raise NotImplementedError


def play(wrapped: Wrapped, actions: np.ndarray) -> Iterator[Played]:
    """The first stack, and then each step's: the next episode's first where one ended."""
    yield wrapped.begin(SEED), 0.0, False
    for action in actions:
        stack, reward, over = wrapped.step(int(action))
        yield (wrapped.begin(None) if over else stack), reward, over


def compare(
    rom: str,
    name: str,
    theirs: Wrapped,
    steps: int = 200,
    frames: int = FRAMES,
    raw: bool = False,
    atol: float = 0,
    at_ends: bool = True,
) -> int:
    """Plays ours and theirs side by side; returns how many episodes ended.

    at_ends: what is seen when an episode is over is compared, too; some show nothing then.
    """
    preprocessing = dataclasses.replace(PREPROCESSINGS[name], max_frames=frames)
    ends = 0
    with closing(Environments(rom, 1, preprocessing, raw=raw)) as ours:
        actions = np.random.default_rng(SEED).integers(len(ours.screen.actions), size=steps)
        plays = play(theirs, actions)
        expected = next(plays)[0]
        np.testing.assert_allclose(ours.reset(SEED)[0].numpy(), expected, rtol=0, atol=atol)
        for action, (stack, reward, over) in zip(actions, plays, strict=True):
            step = ours.step(action[None])
            if at_ends or not over:
                np.testing.assert_allclose(step.observations[0].numpy(), stack, rtol=0, atol=atol)
            assert step.observations.numpy().dtype == stack.dtype
            assert step.rewards[0] == reward
            assert (step.terminated | step.truncated | step.life_ended)[0] == over
            ends += over
    return ends


def atari(rom: str, sticky: float = 0.0, frames: int = FRAMES) -> gym.Env:
    return AtariEnv(
        rom,
        frameskip=1,
        repeat_action_probability=sticky,
        max_num_frames_per_episode=frames,
        render_mode="rgb_array",
    )


class Gymnasium(Wrapped):
    def __init__(self, rom: str) -> None:
        self.env = FrameStackObservation(AtariPreprocessing(atari(rom, sticky=0.25)), 4)

    def begin(self, seed: int | None) -> np.ndarray:
        return self.env.reset(seed=seed)[0].copy()

    def step(self, action: int) -> tuple[np.ndarray, float, bool]:
        stack, reward, terminated, truncated, _ = self.env.step(action)
        return stack.copy(), reward, terminated or truncated


# Breakout and Seaquest have FIRE, Ms. Pac-Man does not, Air Raid has 250 lines in PAL's colours
@pytest.mark.parametrize("rom", ["breakout", "ms_pacman", "air_raid"])
def test_modern_is_gymnasiums(rom):
    assert compare(rom, "modern", Gymnasium(rom), 140) >= 2


class StableBaselines(Wrapped):
    """SB3 begins the next episode itself: what it gives is handed on at `begin`."""

    def __init__(self, rom: str, frames: int) -> None:
        env = DummyVecEnv([lambda: AtariWrapper(atari(rom, frames=frames), clip_reward=False)])
        self.env = VecFrameStack(env, 4)

    def begin(self, seed: int | None) -> np.ndarray:
        if seed is None:
            return self.stack
        self.env.seed(seed)
        return self.env.reset()[0].transpose(2, 0, 1)

    def step(self, action: int) -> tuple[np.ndarray, float, bool]:
        stacks, rewards, ended, _ = self.env.step(np.array([action]))
        self.stack = stacks[0].transpose(2, 0, 1)
        return self.stack, rewards[0], ended[0]


# in Breakout all lives are lost before the limit, in the others none
@pytest.mark.parametrize(
    "rom, steps, frames, ends",
    [("breakout", 200, 400, 5), ("ms_pacman", 110, 200, 2), ("air_raid", 110, 200, 2)],
)
def test_deepmind_is_stable_baselines3s(rom, steps, frames, ends):
    theirs = StableBaselines(rom, frames)
    assert compare(rom, "deepmind", theirs, steps, frames) >= ends


class Torchbeast(Wrapped):
    """torchbeast's atari_wrappers.py: baselines' wrappers, as Stable-Baselines3 has them, and its
    own FrameStack, which a reset fills with copies."""

    def __init__(self, rom: str, frames: int) -> None:
        self.env = AtariWrapper(atari(rom, frames=frames), clip_reward=False)
        self.frames: deque[np.ndarray] = deque(maxlen=4)

    def begin(self, seed: int | None) -> np.ndarray:
        first = self.env.reset(seed=seed)[0][..., 0]
        self.frames.extend([first] * 4)
        return np.stack(self.frames)

    def step(self, action: int) -> tuple[np.ndarray, float, bool]:
        frame, reward, terminated, truncated, _ = self.env.step(action)
        self.frames.append(frame[..., 0])
        return np.stack(self.frames), reward, terminated or truncated


def test_torchbeast():
    assert compare("breakout", "torchbeast", Torchbeast("breakout", 400), 150, 400) >= 3


class DopaminePreprocessing(Wrapped):
    """dopamine/discrete_domains/atari_lib.py over the emulator, and the stack that follows it.

    The agent's own begins with zeros; the original zoo's FrameStack with copies.
    """

    def __init__(self, rom: str, sticky: float, copies: bool) -> None:
        ALEInterface.setLoggerMode(LoggerMode.Error)
        self.ale = ALEInterface()
        self.ale.setFloat("repeat_action_probability", sticky)
        self.rom, self.copies = roms.get_rom_path(rom), copies
        self.frames: deque[np.ndarray] = deque(maxlen=4)

    def begin(self, seed: int | None) -> np.ndarray:
        if seed is not None:
            self.ale.setInt("random_seed", seed)
            self.ale.loadROM(self.rom)
        self.ale.reset_game()
        self.played = 0
        self.buffer = [self.ale.getScreenGrayscale(), np.zeros(self.ale.getScreenDims(), np.uint8)]
        first = self.pooled()
        self.frames.extend([first if self.copies else np.zeros_like(first)] * 3 + [first])
        return np.stack(self.frames)

    def pooled(self) -> np.ndarray:
        np.maximum(self.buffer[0], self.buffer[1], out=self.buffer[0])
        return cv2.resize(self.buffer[0], (84, 84), interpolation=cv2.INTER_AREA)

    def step(self, action: int) -> tuple[np.ndarray, float, bool]:
        reward = 0.0
        for time_step in range(4):
            reward += self.ale.act(self.ale.getMinimalActionSet()[action])
            self.played += 1
            if self.ale.game_over():
                break
            if time_step >= 2:
                self.ale.getScreenGrayscale(self.buffer[time_step - 2])
        self.frames.append(self.pooled())
        return np.stack(self.frames), reward, self.ale.game_over() or self.played >= FRAMES


@pytest.mark.parametrize("raw", [False, True], ids=["vectorised", "pool"])
@pytest.mark.parametrize("name, sticky", [("dopamine", 0.25), ("dopamine-zoo", 0.0)])
def test_dopamine(name, sticky, raw):
    theirs = DopaminePreprocessing("breakout", sticky, copies=name == "dopamine-zoo")
    assert compare("breakout", name, theirs, 100, raw=raw) >= 1


class NoopReset(gym.Wrapper):
    def reset(self, **seed):
        screen, info = self.env.reset(**seed)
        for _ in range(self.unwrapped.np_random.integers(1, 31)):
            screen, _, terminated, truncated, info = self.env.step(0)
            assert not terminated and not truncated
        return screen, info


class MaxAndSkip(gym.Wrapper):
    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self.buffer: deque[np.ndarray] = deque(maxlen=2)

    def reset(self, **seed):
        self.buffer.clear()
        screen, info = self.env.reset(**seed)
        self.buffer.append(screen)
        return screen, info

    def step(self, action):
        total = 0.0
        for _ in range(4):
            screen, reward, terminated, truncated, info = self.env.step(action)
            self.buffer.append(screen)
            total += reward
            if terminated or truncated:
                break
        return np.max(np.stack(self.buffer), axis=0), total, terminated, truncated, info


class FireReset(gym.Wrapper):
    def reset(self, **seed):
        self.env.reset(**seed)
        for action in (1, 2):
            screen, _, terminated, truncated, info = self.env.step(action)
            assert not terminated and not truncated
        return screen, info


def zoo_grey(rgb: np.ndarray) -> np.ndarray:
    return np.dot(rgb.astype("float32"), np.array([0.299, 0.587, 0.114], "float32"))


def warp_tf(rgb: np.ndarray) -> np.ndarray:
    return tensorflow_resize(zoo_grey(rgb))


def warp_pil(rgb: np.ndarray) -> np.ndarray:
    small = Image.fromarray(zoo_grey(rgb)).resize((84, 84), resample=Image.Resampling.BILINEAR)
    return np.array(small, dtype=np.uint8)


@cache
def resizer() -> Callable[[np.ndarray], tf.Tensor]:
    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.float32)])
    def resize(frame):
        batch = frame[None, :, :, None]
        return tf.compat.v1.image.resize_bilinear(batch, (84, 84), align_corners=True)[0, :, :, 0]

    return resize


def tensorflow_resize(frame: np.ndarray) -> np.ndarray:
    return resizer()(frame).numpy()


class ZooChain(Wrapped):
    """atari_zoo/atari_wrappers.py of uber-research/atari-model-zoo: `wrap_deepmind` with
    preprocess_style "tf" or "np", FrameStack, and for "tf" ScaledFloatFrame."""

    def __init__(self, rom: str, warp: Callable[[np.ndarray], np.ndarray]) -> None:
        env = MaxAndSkip(NoopReset(atari(rom)))
        self.env = FireReset(env) if "FIRE" in env.unwrapped.get_action_meanings() else env
        self.warp, self.frames = warp, deque(maxlen=4)

    def stack(self) -> np.ndarray:
        stack = np.stack(self.frames)
        return stack * np.float32(1 / 255) if stack.dtype == np.float32 else stack

    def begin(self, seed: int | None) -> np.ndarray:
        first = self.warp(self.env.reset(seed=seed)[0])
        self.frames.extend([first] * 4)
        return self.stack()

    def step(self, action: int) -> tuple[np.ndarray, float, bool]:
        screen, reward, terminated, truncated, _ = self.env.step(action)
        self.frames.append(self.warp(screen))
        return self.stack(), reward, terminated or truncated


@pytest.mark.parametrize("rom", ["breakout", "ms_pacman", "air_raid"])
@pytest.mark.parametrize("name, warp", [("tf", warp_tf), ("np", warp_pil)])
def test_the_original_zoos(rom, name, warp):
    assert compare(rom, name, ZooChain(rom, warp), 80) >= 1


class GymTensorFlow(Wrapped):
    """gym_tensorflow/atari/tf_atari.cpp and tf_atari.py of uber-research/deep-neuroevolution."""

    def __init__(self, rom: str) -> None:
        self.env = atari(rom)
        self.frames: deque[np.ndarray] = deque(maxlen=4)

    def act(self, action: int) -> float:
        """One frame; the two frame buffers are as the emulator's are after it."""
        self.previous = self.current
        reward = self.env.ale.act(self.env.ale.getMinimalActionSet()[action])
        self.current = self.env.ale.getScreenRGB()
        return reward

    def four(self, action: int) -> float:
        reward = 0.0
        for _ in range(4):
            reward += self.act(action)
            self.played += 1
            if self.env.ale.game_over() or self.played >= FRAMES:
                break
        return reward

    def observation(self) -> np.ndarray:
        weights = np.array([0.299, 0.587, 0.114], np.float32)
        greys = [
            np.dot(rgb.astype(np.float32) * (1.0 / 255.0), weights)
            for rgb in (self.previous, self.current)
        ]
        return tensorflow_resize(np.maximum(*greys))

    def begin(self, seed: int | None) -> np.ndarray:
        if seed is not None:
            self.env = AtariEnv(self.env._game, frameskip=1, repeat_action_probability=0.0)
            self.env.reset(seed=seed)
        self.env.ale.reset_game()
        self.current, self.played = self.env.ale.getScreenRGB(), 0
        for _ in range(self.env.np_random.integers(1, 31)):
            self.act(0)
        if "FIRE" in self.env.get_action_meanings():
            for action in (1, 2):
                self.four(action)
        self.played = 0
        self.frames.extend([np.zeros((84, 84), np.float32)] * 3 + [self.observation()])
        return np.stack(self.frames)

    def step(self, action: int) -> tuple[np.ndarray, float, bool]:
        reward = self.four(action)
        self.frames.append(self.observation())
        over = self.env.ale.game_over() or self.played >= FRAMES
        return np.stack(self.frames), reward, over


@pytest.mark.parametrize("rom", ["breakout", "ms_pacman", "air_raid"])
def test_gym_tensorflow(rom):
    # it divides by 255 before it adds, which ours does last: both round to 24 bits
    assert compare(rom, "gym-tensorflow", GymTensorFlow(rom), 90, atol=3e-7) >= 1


class CleanRL(Wrapped):
    """`make_env` of cleanrl/*_atari.py (dqn, c51, ppo, rainbow, sac; torch and JAX alike).

    Its gym's wrappers, those before Gymnasium 1.0: ResizeObservation is cv2.resize with INTER_AREA
    of the colours, GrayScaleObservation cv2.cvtColor, FrameStack begins with copies. modern:
    Gymnasium's own wrappers, as they are now.
    """

    def __init__(self, rom: str, frames: int, modern: bool) -> None:
        env = EpisodicLifeEnv(MaxAndSkipEnv(NoopResetEnv(atari(rom, frames=frames), 30), 4))
        fires = "FIRE" in env.unwrapped.get_action_meanings()
        env = ResizeObservation(FireResetEnv(env) if fires else env, (84, 84))
        if not modern:
            grey = Box(0, 255, (84, 84), np.uint8)
            to_grey = partial(cv2.cvtColor, code=cv2.COLOR_RGB2GRAY)
        env = GrayscaleObservation(env) if modern else TransformObservation(env, to_grey, grey)
        self.env = FrameStackObservation(env, 4)

    def begin(self, seed: int | None) -> np.ndarray:
        return self.env.reset(seed=seed)[0].copy()

    def step(self, action: int) -> tuple[np.ndarray, float, bool]:
        stack, reward, terminated, truncated, _ = self.env.step(action)
        return stack.copy(), reward, terminated or truncated


@pytest.mark.parametrize("name", ["cleanrl", "cleanrl-gymnasium"])
@pytest.mark.parametrize("rom, steps, frames", [("breakout", 150, 400), ("air_raid", 80, 200)])
def test_cleanrl(name, rom, steps, frames):
    theirs = CleanRL(rom, frames, modern=name == "cleanrl-gymnasium")
    assert compare(rom, name, theirs, steps, frames) >= 1


class AtariAgents(Wrapped):
    """ale_env.py of floringogianu/atari-agents: ALEModern, and ALEClassic as it evaluates.

    Classic draws its no-ops from Python's generator; here they are told it.
    """

    def __init__(self, rom: str, sticky: float, noops: Callable[[], int]) -> None:
        ALEInterface.setLoggerMode(LoggerMode.Error)
        self.ale, self.noops = ALEInterface(), noops
        self.ale.setFloat("repeat_action_probability", sticky)
        self.rom = roms.get_rom_path(rom)
        self.frames: deque[np.ndarray] = deque(maxlen=4)

    interpolation = cv2.INTER_AREA

    def state(self) -> np.ndarray:
        grey = self.ale.getScreenGrayscale()
        return cv2.resize(grey, (84, 84), interpolation=self.interpolation)

    def begin(self, seed: int | None) -> np.ndarray:
        if seed is not None:
            self.ale.setInt("random_seed", seed)
            self.ale.loadROM(self.rom)
        self.frames.extend([np.zeros((84, 84), np.uint8)] * 4)
        self.ale.reset_game()
        for _ in range(self.noops()):
            self.ale.act(0)
        self.played = 0
        self.frames.append(self.state())
        return np.stack(self.frames)

    def step(self, action: int) -> tuple[np.ndarray, float, bool]:
        buffer, reward = np.zeros((2, 84, 84), np.uint8), 0.0
        for time_step in range(4):
            reward += self.ale.act(self.ale.getMinimalActionSet()[action])
            self.played += 1
            if time_step >= 2:
                buffer[time_step - 2] = self.state()
            if self.ale.game_over():
                break
        self.frames.append(buffer.max(0))
        return np.stack(self.frames), reward, self.ale.game_over() or self.played >= FRAMES


@pytest.mark.parametrize("name, sticky", [("atari-agents", 0.25), ("atari-agents-classic", 0.0)])
def test_atari_agents(name, sticky):
    drawn = ale_draws(SEED).below
    theirs = AtariAgents("seaquest", sticky, lambda: drawn(30) if not sticky else 0)
    assert compare("seaquest", name, theirs, 100) >= 1


class Kaixhin(AtariAgents):
    """env.py of Kaixhin/Rainbow as it evaluates, which ale_env.py came from."""

    interpolation = cv2.INTER_LINEAR


def test_kaixhin():
    drawn = ale_draws(SEED).below
    assert compare("seaquest", "kaixhin", Kaixhin("seaquest", 0.0, lambda: drawn(30)), 100) >= 1


class AsyncRL(AtariAgents):
    """`initialize`, `receive_action` and `current_screen` of muupan/async-rl's ale.py, as it
    evaluates (treat_life_lost_as_terminal=False). Its no-ops, drawn by NumPy, are told it."""

    def current_screen(self) -> np.ndarray:
        rgb = np.maximum(self.ale.getScreenRGB(), self.last_raw_screen)
        grey = rgb[:, :, 0] * 0.2126 + rgb[:, :, 1] * 0.0722 + rgb[:, :, 2] * 0.7152
        return cv2.resize(grey.astype(np.uint8), (84, 84), interpolation=cv2.INTER_LINEAR)

    def state(self) -> np.ndarray:
        self.last_raw_screen = self.ale.getScreenRGB()
        return self.current_screen()

    def step(self, action: int) -> tuple[np.ndarray, float, bool]:
        reward, over = 0.0, False
        for number in range(4):
            if number == 3:
                self.last_raw_screen = self.ale.getScreenRGB()
            reward += self.ale.act(self.ale.getMinimalActionSet()[action])
            self.played += 1
            over = self.ale.game_over() or self.played >= FRAMES
            if over:
                break
        if not over:
            self.frames.append(self.current_screen())
        return np.stack(self.frames), reward, over


@pytest.mark.parametrize("rom", ["breakout", "seaquest"])
def test_async_rl(rom):
    drawn = ale_draws(SEED).below
    theirs = AsyncRL(rom, 0.0, lambda: drawn(31))
    assert compare(rom, "async-rl", theirs, 120, at_ends=False) >= 1


class BabyA3C(Wrapped):
    """`prepro` of greydanus/baby-a3c over gym's Game-v4: an action lasts 2 to 4 frames, of which
    the last is seen. scipy.misc.imresize, gone since SciPy 1.3, stretched a float image to bytes
    and had Pillow resize it. What gym drew is drawn here as the vectorised emulator draws no-ops.
    """

    def __init__(self, rom: str) -> None:
        ALEInterface.setLoggerMode(LoggerMode.Error)
        self.ale, self.rom = ALEInterface(), roms.get_rom_path(rom)
        self.ale.setFloat("repeat_action_probability", 0.0)

    def seen(self) -> np.ndarray:
        image = self.ale.getScreenRGB()[35:195].mean(2)
        least, most = image.min(), image.max()
        scaled = (image - least) * (255.0 / ((most - least) or 1))
        stretched = Image.fromarray((scaled.clip(0, 255) + 0.5).astype(np.uint8))
        return np.asarray(stretched.resize((80, 80), Image.Resampling.BILINEAR))[None]

    def begin(self, seed: int | None) -> np.ndarray:
        if seed is not None:
            self.draw = ale_draws(seed).below
            self.ale.setInt("random_seed", seed)
            self.ale.loadROM(self.rom)
        self.ale.reset_game()
        self.draw(1)  # of no-ops there are none
        self.played = 0
        return self.seen()

    def step(self, action: int) -> tuple[np.ndarray, float, bool]:
        reward = 0.0
        for _ in range(2 + self.draw(3)):
            reward += self.ale.act(self.ale.getMinimalActionSet()[action])
            self.played += 1
            if self.ale.game_over() or self.played >= FRAMES:
                break
        return self.seen(), reward, self.ale.game_over() or self.played >= FRAMES


@pytest.mark.parametrize("rom", ["breakout", "pong"])
def test_baby_a3c(rom):
    assert compare(rom, "baby-a3c", BabyA3C(rom), 150) >= 1


class EnvPool(Wrapped):
    """envpool/atari/atari_env.h (`Reset`, `Step`, `PushStack`) with episodic_life; its std::mt19937
    and no-ops are drawn as the vectorised emulator draws, which came from it.

    After an episode's end it takes one action more, and resets in its place. Where the game is
    over, ours does without.
    """

    def __init__(self, rom: str) -> None:
        ALEInterface.setLoggerMode(LoggerMode.Error)
        self.ale, self.rom = ALEInterface(), roms.get_rom_path(rom)
        self.ale.setFloat("repeat_action_probability", 0.0)
        self.stack: deque[np.ndarray] = deque(maxlen=4)
        self.resets = 0  # after lives

    def begin(self, seed: int | None) -> np.ndarray:
        if seed is not None:
            self.draw = ale_draws(seed).below
            self.ale.setInt("random_seed", seed)
            self.ale.loadROM(self.rom)
            self.actions = self.ale.getMinimalActionSet()
            self.fires = "FIRE" in [action.name for action in self.actions]
        self.ale.reset_game()
        self.elapsed, self.done = 0, False
        return self.reset(push_all=True)

    def reset(self, push_all: bool) -> np.ndarray:
        for _ in range(self.draw(30) + 1 - self.fires):
            self.ale.act(0)
        if self.fires:
            self.ale.act(1)
        self.push(self.ale.getScreenGrayscale(), push_all)
        self.done, self.lives = False, self.ale.lives()
        return np.stack(self.stack)

    def push(self, grey: np.ndarray, push_all: bool = False) -> None:
        frame = cv2.resize(grey, (84, 84), interpolation=cv2.INTER_AREA)
        self.stack.extend([frame] * (4 if push_all else 1))

    def step(self, action: int) -> tuple[np.ndarray, float, bool]:
        if self.done:
            self.resets += 1
            return self.reset(push_all=False), 0.0, False
        reward, greys = 0.0, []
        for _ in range(4):
            reward += self.ale.act(self.actions[action])
            greys.append(self.ale.getScreenGrayscale())
            if self.ale.game_over():
                break
        self.push(np.maximum(*greys[-2:]) if len(greys) > 1 else greys[0])
        self.elapsed += 1
        over = self.ale.game_over() or self.elapsed >= FRAMES // 4
        self.done = 0 < self.ale.lives() < self.lives
        self.lives = self.ale.lives()
        return np.stack(self.stack), reward, over


# Breakout has FIRE, Ms. Pac-Man does not
@pytest.mark.parametrize("rom", ["breakout", "ms_pacman"])
def test_envpool(rom):
    theirs = EnvPool(rom)
    assert compare(rom, "envpool", theirs, 150) >= 1
    assert rom != "breakout" or theirs.resets


# with the library that trained the agents, or its wrappers written out: by the tests above
COMPARED = "modern deepmind dopamine dopamine-zoo tf np gym-tensorflow cleanrl atari-agents"
COMPARED_TOO = "atari-agents-classic envpool cleanrl-gymnasium torchbeast kaixhin baby-a3c async-rl"


def test_what_every_collections_agents_saw_was_compared_frame_by_frame():
    compared = {*COMPARED.split(), *COMPARED_TOO.split()}
    assert compared | {"vector"} == set(PREPROCESSINGS)
    assert {group.preprocessing for group in published()} <= compared
