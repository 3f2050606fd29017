"""ale-py's vectorised emulator, told how a preprocessing wants episodes, frames and sizes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ale_py import Action
from ale_py.vector_env import AtariVectorEnv
from jaxtyping import Int

from atari_zoo.converters.preprocessings import Preprocessing
from atari_zoo.emulator.cartridges import Cartridge


def native_emulators(
    game: Cartridge, count: int, preprocessing: Preprocessing, threads: int = 0
) -> AtariVectorEnv:
    """`count` copies of a game, a single frame of each at a time. threads: 0 for one a core.

    game: without a mode or difficulty of its own.
    """
    return AtariVectorEnv(
        game.rom,
        count,
        num_threads=threads,
        stack_num=1,
        img_height=preprocessing.size[0],
        img_width=preprocessing.size[1],
        frameskip=preprocessing.frame_skip,
        noop_max=preprocessing.noops,
        use_fire_reset=preprocessing.fire_reset,
        repeat_action_probability=preprocessing.sticky,
        max_num_frames_per_episode=preprocessing.max_frames,
        reward_clipping=False,
        autoreset_mode="SameStep",
        full_action_space=bool(game.actions),
    )


def action_numbers(names: Sequence[str]) -> Int[np.ndarray, "names"]:
    """ALE's numbers of actions."""
    return np.array([Action.__members__[name].value for name in names], int)
