"""Rules by which episodes begin: those of the published wrappers, and where their no-ops are drawn.

`vector`: ale-py's AtariVectorEnv (src/ale/vector/preprocessed_env.cpp of the Arcade Learning
Environment). `deepmind`: NoopResetEnv, EpisodicLifeEnv and FireResetEnv of
https://github.com/openai/baselines (baselines/common/atari_wrappers.py), which Stable-Baselines3,
the original zoo and, without FIRE, Gymnasium's AtariPreprocessing repeat. `gym-tensorflow`:
gpu_implementation/gym_tensorflow/atari/tf_atari.cpp of uber-research/deep-neuroevolution.
`envpool`: envpool/atari/atari_env.h of https://github.com/sail-sg/envpool.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from atari_zoo.converters.cards import Preprocessing
from atari_zoo.emulator.consoles import FIRE, NOOP, Console, Draws
from atari_zoo.seeds import EMULATORS, generator_seed


@dataclass(frozen=True)
class ResetRule:
    """begin: plays a console from an episode's end to the next one's first screen.

    draws: the randomness that follows from a seed.
    lives: whether an episode may end with a life.
    late: after a life, `begin` comes in the next action's place, and the stack goes on.
    """

    begin: Callable[[Console], None]
    draws: Callable[[int], Draws]
    lives: bool = False
    late: bool = False

    def step(self, console: Console, action: int) -> tuple[float, bool, bool, bool]:
        """Plays an action, and where an episode ends, to the next one's first screen.

        Returns the rewards' sum, and whether the game was over, the time limit was reached, or
        the agent's episode alone ended.
        """
        if self.late and console.life_ended:
            self.begin(console)
            over, console.over = console.over, False  # it may be while it waits
            return 0.0, over, False, False
        reward = console.press(console.played[action])
        life_ended = console.life_ended and not self.late
        ends = console.over and not console.truncated, console.truncated, life_ended
        if console.over or life_ended:
            self.begin(console)
        return reward, *ends


def reset_rule(preprocessing: Preprocessing) -> ResetRule:
    """The rule that a preprocessing names.

    Raises ValueError if there is no such rule, or if it cannot let an episode end with a life.
    """
    if preprocessing.reset not in RESETS:
        raise ValueError(f"no reset '{preprocessing.reset}'; there are {', '.join(RESETS)}")
    rule = RESETS[preprocessing.reset]
    if preprocessing.life_loss_ends and not rule.lives:
        able = " and ".join(f"'{name}'" for name, other in RESETS.items() if other.lives)
        raise ValueError(
            f"reset '{preprocessing.reset}' with life_loss_ends: only {able} go on with a game "
            "after a life"
        )
    return rule


def vector(console: Console) -> None:
    """Fewer than `noops` frames, the first of them with FIRE; they do not count as played."""
    console.new_game()
    if console.fires:
        console.ale.act(console.actions[FIRE])
    frames = console.draw(max(console.preprocessing.noops, 1))
    console.idle(frames - console.fires)
    console.see_still()
    console.frames, console.lives = 0, console.ale.lives()


def deepmind(console: Console) -> None:
    """1 to `noops` no-ops, or one step of them where only a life was lost; then a step of FIRE
    and one of the action after it."""
    _go_on(console)
    if console.fires:
        for action in (FIRE, FIRE + 1):
            console.press(console.actions[action])
            shown = console.screens.copy()
            if console.over or console.life_ended:
                _go_on(console)
        console.screens[:] = shown  # FireResetEnv shows this even where it had to begin again


def _go_on(console: Console) -> None:
    if console.life_ended:
        console.press(console.actions[NOOP])
    if console.over:
        console.new_game()
        if console.preprocessing.noops:
            console.idle(1 + console.draw(console.preprocessing.noops))
        console.see_still()
    console.life_ended, console.lives = False, console.ale.lives()


def gym_tensorflow(console: Console) -> None:
    """1 to `noops` no-ops, then a step of FIRE and one of the action after it; none of it counts
    as played. The screens are always those of two frames."""
    console.new_game()
    waits = 1 + console.draw(max(console.preprocessing.noops, 1))
    console.idle(waits - 1)
    console.see(0)
    console.idle(1)
    console.see(1)
    if console.fires:
        for action in (FIRE, FIRE + 1):
            console.press(console.actions[action])
            if console.over:
                console.new_game()
                console.see_still()
    console.frames, console.lives = 0, console.ale.lives()


def envpool(console: Console) -> None:
    """Fewer than `noops` no-ops and a frame of FIRE, or one more no-op in games without it; where
    only a life was lost too. They do not count as played."""
    anew = console.over
    if anew:
        console.new_game()
    played = 0 if anew else console.frames
    waits = console.draw(max(console.preprocessing.noops, 1)) + (not console.fires)
    ended = console.idle(waits) and not anew
    if console.fires:
        console.ale.act(console.actions[FIRE])
    console.see_still()
    console.frames, console.lives = played, console.ale.lives()
    console.life_ended, console.over = False, ended


def ale_draws(seed: int) -> Draws:
    """As the vectorised emulator draws: std::mt19937, and libstdc++'s uniform_int_distribution
    (Lemire, 2018, https://arxiv.org/abs/1805.10941)."""
    seed %= EMULATORS
    words = np.random.RandomState(seed)  # initialised as std::mt19937 is

    def below(count: int) -> int:
        while True:
            product = int(words.randint(2**32, dtype=np.uint32)) * count
            if product % 2**32 >= 2**32 % count:
                return product >> 32

    return Draws(seed, below)


def gymnasium_draws(seed: int) -> Draws:
    """As Gymnasium draws over ale-py's AtariEnv, seeded in its `reset`."""
    own, emulator = np.random.SeedSequence(generator_seed(seed)).generate_state(2)
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(int(own))))
    return Draws(int(emulator.astype(np.int32)), lambda count: int(generator.integers(count)))


RESETS: dict[str, ResetRule] = {
    "vector": ResetRule(vector, ale_draws),
    "deepmind": ResetRule(deepmind, gymnasium_draws, lives=True),
    "gym-tensorflow": ResetRule(gym_tensorflow, gymnasium_draws),
    "envpool": ResetRule(envpool, ale_draws, lives=True, late=True),
}
