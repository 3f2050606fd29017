"""What the agent sees, step by step, against ale-py's own stack and against plain loops with
OpenCV over the emulator."""

from __future__ import annotations

import dataclasses
from collections import deque
from contextlib import closing

import cv2
import numpy as np
import pytest
import torch
from ale_py import ALEInterface, LoggerMode, roms
from ale_py.vector_env import AtariVectorEnv

from atari_zoo.converters.cards import PREPROCESSINGS, Preprocessing
from atari_zoo.emulator.cartridges import Cartridge
from atari_zoo.emulator.environments import Environments
from atari_zoo.preprocessing.colours import colours
from atari_zoo.preprocessing.renderer import rendered_screens

SEED = 5
# what cards of "deepmind" said before they had the wrappers' own resets
CLASSIC = Preprocessing(name="deepmind", max_pool="rgb", fire_after_life_loss=True)
SHORT = {"max_frames": 300}  # 75 steps: episodes end by the time limit too
BARE = Preprocessing(noops=0, fire_reset=False)


def random_actions(count: int, steps: int, choices: int) -> np.ndarray:
    return np.random.default_rng(SEED).integers(choices, size=(steps, count)).astype(np.int32)


def opencv(rgb: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (84, 84), interpolation=cv2.INTER_AREA)


def ale_vector(rom: str, count: int, preprocessing: Preprocessing, **options) -> AtariVectorEnv:
    return AtariVectorEnv(
        rom,
        count,
        num_threads=1,
        frameskip=preprocessing.frame_skip,
        noop_max=preprocessing.noops,
        use_fire_reset=preprocessing.fire_reset,
        repeat_action_probability=preprocessing.sticky,
        max_num_frames_per_episode=preprocessing.max_frames,
        reward_clipping=False,
        autoreset_mode="SameStep",
        **options,
    )


# few copies in all this file: each takes 0.4 s to make and reset. Breakout's games end of
# themselves in about 170 random steps, the others by the time limit
@pytest.mark.parametrize("raw", [False, True], ids=["vectorised", "pool"])
@pytest.mark.parametrize(
    "rom, name, changes",
    [
        ("breakout", "vector", {}),
        ("air_raid", "vector", SHORT | {"sticky": 0.25, "frame_skip": 3}),
        ("pong", "dopamine", SHORT | {"size": (64, 72), "stack": 3}),
    ],
)
def test_grey_frames_are_stacked_as_ale_stacks_them(rom, name, changes, raw):
    preprocessing = dataclasses.replace(PREPROCESSINGS[name], **changes)
    height, width = preprocessing.size
    size = {"img_height": height, "img_width": width, "stack_num": preprocessing.stack}
    theirs = ale_vector(rom, 2, preprocessing, **size)
    with closing(Environments(rom, 2, preprocessing, raw=raw)) as ours, closing(theirs):
        np.testing.assert_array_equal(ours.reset(SEED).numpy(), theirs.reset(seed=SEED)[0])
        ended = 0
        for actions in random_actions(2, 100 if changes else 210, len(ours.screen.actions)):
            step = ours.step(actions)
            observations, rewards, terminated, truncated, info = theirs.step(actions)
            np.testing.assert_array_equal(step.observations.numpy(), observations)
            np.testing.assert_array_equal(step.rewards, rewards)
            np.testing.assert_array_equal(step.terminated, terminated)
            np.testing.assert_array_equal(step.truncated, truncated)
            np.testing.assert_array_equal(step.lives, info["lives"])
            np.testing.assert_array_equal(step.actions, actions)
            ended += int((terminated | truncated).sum())
    assert ended >= 2


class PlainLoop:
    """DeepMind's wrapping of one environment, in the plainest way: a deque and OpenCV."""

    def __init__(self, rom: str, height: int, preprocessing: Preprocessing) -> None:
        size = {"img_height": height, "img_width": 160}
        self.emulator = ale_vector(rom, 1, preprocessing, stack_num=1, grayscale=False, **size)
        self.frames: deque[np.ndarray] = deque(maxlen=4)
        self.copies = preprocessing.stack_start == "copies"

    def begin(self, rgb: np.ndarray) -> np.ndarray:
        first = opencv(rgb)
        self.frames.extend([first if self.copies else np.zeros_like(first)] * 3 + [first])
        return np.stack(self.frames)

    def reset(self, seed: int) -> np.ndarray:
        raw, info = self.emulator.reset(seed=seed)
        self.lives, self.must_fire = info["lives"][0], False
        return self.begin(raw[0, 0])

    def step(self, action: int) -> tuple[np.ndarray, float, bool, int]:
        """Presses FIRE (action 1) instead of `action` where a life has just been lost."""
        action = 1 if self.must_fire else action
        raw, reward, terminated, truncated, info = self.emulator.step(np.array([action]))
        over, lives = bool(terminated[0] or truncated[0]), info["lives"][0]
        self.must_fire = not over and lives < self.lives
        self.lives = lives
        if over:
            return self.begin(raw[0, 0]), reward[0], over, action
        self.frames.append(opencv(raw[0, 0]))
        return np.stack(self.frames), reward[0], over, action


@pytest.mark.parametrize(
    "rom, height, changes",
    [
        ("breakout", 210, {"stack_start": "copies", "max_frames": 500}),
        ("air_raid", 250, SHORT),
    ],
)
def test_colour_frames_are_wrapped_as_deepmind_wraps_them(rom, height, changes):
    preprocessing = dataclasses.replace(CLASSIC, **changes)
    loops = [PlainLoop(rom, height, preprocessing) for _ in range(2)]
    with closing(Environments(rom, 2, preprocessing, threads=1)) as ours:
        theirs = np.stack([loop.reset(SEED + i) for i, loop in enumerate(loops)])
        np.testing.assert_array_equal(ours.reset(SEED).numpy(), theirs)
        ended = 0
        for actions in random_actions(2, 130, len(ours.screen.actions)):
            step = ours.step(actions)
            results = [loop.step(int(a)) for loop, a in zip(loops, actions, strict=True)]
            observations, rewards, over, executed = map(np.stack, zip(*results, strict=True))
            np.testing.assert_array_equal(step.observations.numpy(), observations)
            np.testing.assert_array_equal(step.rewards, rewards)
            np.testing.assert_array_equal(step.terminated | step.truncated, over)
            np.testing.assert_array_equal(step.actions, executed)
            ended += int(over.sum())
    for loop in loops:
        loop.emulator.close()
    assert ended >= 2


def shown(games: Environments) -> np.ndarray:
    """The raw screens in colour."""
    return colours(games.palette)(games.raw().screens)


def bare_emulator(rom: str) -> ALEInterface:
    ALEInterface.setLoggerMode(LoggerMode.Error)
    emulator = ALEInterface()
    emulator.setInt("random_seed", SEED)
    emulator.setFloat("repeat_action_probability", 0.0)
    emulator.loadROM(roms.get_rom_path(rom))
    return emulator


@pytest.mark.parametrize("rom", ["seaquest", "air_raid"])
@pytest.mark.parametrize("max_pool", ["grey", "rgb"])
def test_the_newest_frame_is_the_maximum_of_two_screens(rom, max_pool):
    """Against the emulator itself: four frames an action, the larger of the last two."""
    emulator = bare_emulator(rom)
    preprocessing = dataclasses.replace(BARE, max_pool=max_pool)
    with closing(Environments(rom, 1, preprocessing, raw=True, threads=1)) as ours:
        ours.reset(SEED)
        for (action,) in random_actions(1, 60, len(ours.screen.actions)):
            greys, rgb = [], []
            for _ in range(4):
                emulator.act(emulator.getMinimalActionSet()[action])
                greys.append(emulator.getScreenGrayscale())
                rgb.append(emulator.getScreenRGB())
            assert not emulator.game_over()
            colour = np.maximum(*rgb[-2:])
            grey = np.maximum(*greys[-2:])
            small = cv2.resize(grey, (84, 84), interpolation=cv2.INTER_AREA)
            expected = small if max_pool == "grey" else opencv(colour)
            newest = ours.step(np.array([action])).observations[0, -1].numpy()
            np.testing.assert_array_equal(newest, expected)
            np.testing.assert_array_equal(shown(ours)[0], colour)


@pytest.mark.parametrize("name", ["vector", "dopamine"])
def test_colour_screens_belong_to_the_observations(name):
    """With no-ops, sticky actions and episodes' ends.

    Nothing flickers in Breakout and almost everything moves before black, so the maximum in
    grey is the grey of the maximum; ALE's grey palette is within 1 of OpenCV's.
    """
    preprocessing = dataclasses.replace(PREPROCESSINGS[name], max_frames=400)
    with closing(Environments("breakout", 2, preprocessing, raw=True, threads=1)) as games:
        observations, ended = games.reset(SEED), 0
        for actions in random_actions(2, 105, 4):
            for stack, colour in zip(observations.numpy(), shown(games), strict=True):
                wrong = np.abs(stack[-1].astype(int) - opencv(colour)) > 2
                assert wrong.sum() <= 12  # of 7056: where the ball is drawn over a brick
            step = games.step(actions)
            observations = step.observations
            ended += int((step.terminated | step.truncated).sum())
    assert ended >= 2


def test_copy_i_is_seeded_with_seed_plus_i():
    right = np.full(2, 2)
    with closing(Environments("breakout", 2, PREPROCESSINGS["dopamine"], threads=1)) as games:
        first, again, next_ = (
            torch.stack([games.reset(seed), *(games.step(right)[0] for _ in range(40))])
            for seed in (SEED, SEED, SEED + 1)
        )
    assert first.equal(again)
    assert first[:, 1].equal(next_[:, 0])
    assert not first[:, 0].equal(first[:, 1])


@pytest.mark.parametrize("pressed", [True, False])
def test_fire_brings_the_ball_back(pressed):
    """An agent that never serves plays all of Breakout's lives if FIRE is pressed for it."""
    noop = np.zeros(2, np.int32)
    preprocessing = CLASSIC if pressed else PREPROCESSINGS["vector"]
    with closing(Environments("breakout", 2, preprocessing, threads=1)) as games:
        games.reset(SEED)
        steps = [games.step(noop) for _ in range(200)]
    lives = np.stack([s.lives for s in steps])
    actions = np.stack([s.actions for s in steps])
    lost = np.diff(lives, axis=0) < 0
    if not pressed:
        assert lives.min() == 4  # one life, then it waits for ever
        assert not actions.any()
    else:
        assert np.stack([s.terminated for s in steps]).any(axis=0).all()
        # FIRE is action 1, in the step after a life was lost and in no other
        np.testing.assert_array_equal(actions[2:] == 1, lost[:-1])
        assert lost.sum() >= 8
        assert set(np.unique(actions)) == {0, 1}


def test_games_without_fire_are_not_made_to_press_it():
    with closing(Environments("ms_pacman", 2, CLASSIC, threads=1)) as games:
        assert "FIRE" not in games.screen.actions
        games.reset(SEED)
        for actions in random_actions(2, 150, 9):
            np.testing.assert_array_equal(games.step(actions).actions, actions)


@pytest.mark.parametrize("max_pool", ["grey", "rgb"])
@pytest.mark.parametrize("start", ["zeros", "copies"])
def test_what_stands_before_the_first_frame(start, max_pool):
    preprocessing = Preprocessing(stack_start=start, max_pool=max_pool, max_frames=200)
    with closing(Environments("pong", 1, preprocessing, threads=1)) as games:
        firsts = list(games.reset(SEED))
        for actions in random_actions(1, 120, 6):
            step = games.step(actions)
            firsts += step.observations[torch.from_numpy(step.terminated | step.truncated)]
    assert len(firsts) >= 3
    for stack in firsts:
        assert stack[-1].any()
        expected = stack[-1] if start == "copies" else torch.zeros_like(stack[-1])
        assert all(frame.equal(expected) for frame in stack[:-1])


@pytest.mark.parametrize("max_pool", ["grey", "rgb"])
def test_later_steps_leave_what_was_given_alone(max_pool):
    preprocessing = Preprocessing(max_pool=max_pool, max_frames=200)
    with closing(Environments("pong", 1, preprocessing, raw=True, threads=1)) as games:
        given = [(games.reset(SEED).numpy(), *games.raw(), games.palette, games.greys)]
        then = [tuple(value.copy() for value in given[0])]
        for actions in random_actions(1, 60, 6):
            observations, *rest = games.step(actions)
            raw = (*games.raw(), games.palette, games.greys)
            given.append((observations.numpy(), *rest, *raw))
            then.append(tuple(value.copy() for value in given[-1]))
    for now, before in zip(given, then, strict=True):
        for one, other in zip(now, before, strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_wrappers_of_deepmind_serve_after_each_life():
    """Without FIRE in an action's place: the agent's episode ends with the life."""
    noop = np.zeros(2, np.int32)
    with closing(Environments("breakout", 2, PREPROCESSINGS["deepmind"], threads=1)) as games:
        games.reset(SEED)
        lives, ended, games_over = np.array([5, 5]), 0, 0
        for _ in range(350):
            step = games.step(noop)
            lost = (step.lives < lives) & ~step.terminated
            np.testing.assert_array_equal(step.life_ended, lost)
            restarted = (step.observations[:, :-1] == 0).all(dim=(1, 2, 3)).numpy()
            np.testing.assert_array_equal(restarted, lost | step.terminated)
            assert not step.actions.any()
            lives = step.lives
            ended, games_over = ended + lost.sum(), games_over + step.terminated.sum()
    assert games_over >= 2 and ended >= 4 * games_over


@pytest.mark.parametrize("name", sorted(PREPROCESSINGS))
def test_raw_screens_render_to_what_was_seen(name):
    """Every preprocessing plays its own way, and its screens give the observations again."""
    preprocessing = dataclasses.replace(PREPROCESSINGS[name], max_frames=80)
    with closing(Environments("breakout", 1, preprocessing, raw=True)) as games:
        seen, raws = [games.reset(SEED)], [games.raw()]
        for actions in random_actions(1, 30, 4):
            seen.append(games.step(actions).observations)
            raws.append(games.raw())
        palette, greys = games.palette, games.greys
    screens = np.stack([raw.screens for raw in raws])
    newest = torch.stack(seen)[:, :, -1]
    assert rendered_screens(screens, palette, preprocessing, greys).equal(newest)
    assert newest.dtype == (torch.float32 if preprocessing.rounding == "none" else torch.uint8)
    assert newest.max() > 1 / 4 and (newest.dtype == torch.uint8 or newest.max() <= 1)
    assert len({raw.ram.tobytes() for raw in raws}) > 20


@pytest.mark.parametrize("raw", [False, True], ids=["vectorised", "pool"])
def test_what_is_made_in_inference_mode_serves_outside_it(raw):
    with closing(Environments("pong", 1, Preprocessing(max_frames=80), raw=raw)) as games:
        with torch.inference_mode():
            games.reset(SEED)
            games.step(np.array([0]))
        for _ in range(30):
            games.step(np.array([1]))


@pytest.mark.parametrize("raw", [False, True], ids=["vectorised", "pool"])
def test_a_reset_without_a_seed_goes_on_drawing(raw):
    """To other games than a seeded one, as an episode's end does."""
    preprocessing = Preprocessing(max_frames=80)
    with closing(Environments("pong", 2, preprocessing, raw=raw)) as games:
        firsts = [games.reset(SEED)]
        for _ in range(20):
            step = games.step(np.zeros(2, np.int32))
        assert step.truncated.all()
        games.reset(SEED)
        assert games.reset().equal(step.observations)
        assert not step.observations.equal(firsts[0])
        firsts.append(games.reset(SEED))
    assert firsts[0].equal(firsts[1])


@pytest.mark.parametrize("max_pool", ["grey", "rgb"], ids=["vectorised", "pool"])
@pytest.mark.parametrize("name", ["raw", "palette", "greys"])
def test_raw_must_be_asked_for(name, max_pool):
    with closing(Environments("pong", 1, Preprocessing(max_pool=max_pool), threads=1)) as games:
        games.reset(SEED)
        with pytest.raises(ValueError, match="raw=True"):
            getattr(games, name)()


def test_modes_and_difficulties():
    firsts = []
    for told in ({}, {"mode": 12}, {"difficulty": 1}):
        with closing(Environments(Cartridge("breakout", **told), 1, BARE)) as games:
            firsts.append(games.reset(SEED))
    assert not firsts[0].equal(firsts[1]) and not firsts[0].equal(firsts[2])
    with pytest.raises(ValueError, match="breakout has no mode 1; there are 0, 4"):
        Environments(Cartridge("breakout", mode=1), 1, BARE)
