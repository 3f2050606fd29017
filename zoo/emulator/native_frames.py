"""Frames that ale-py's vectorised emulator renders itself, in C++: the fastest way to most of what
the published preprocessings show."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int, Shaped
from torch import Tensor

from atari_zoo.converters.cards import Preprocessing
from atari_zoo.emulator.cartridges import Cartridge
from atari_zoo.emulator.vector_envs import action_numbers, native_emulators
from atari_zoo.seeds import EMULATORS, consecutive_seeds

# what it can be told, and what is made of its frames; the rest is as it has it
SETTINGS = (
    "name frame_skip size stack stack_start noops fire_reset fire_after_life_loss sticky max_frames"
).split()


class Frames(NamedTuple):
    """The newest frame of every environment, and what the step to it gave.

    Where an episode ended, frame and lives are already those of the next one's start.
    """

    frames: Shaped[Tensor, "envs ..."]
    rewards: Float32[np.ndarray, "envs"]
    terminated: Bool[np.ndarray, "envs"]
    truncated: Bool[np.ndarray, "envs"]
    life_ended: Bool[np.ndarray, "envs"]
    lives: Int[np.ndarray, "envs"]


class NativeFrames:
    """`count` copies of a game in an AtariVectorEnv. threads: 0 for one a core.

    game: without a mode or difficulty of its own.
    """

    def __init__(
        self,
        game: Cartridge,
        count: int,
        preprocessing: Preprocessing,
        device: torch.device,
        threads: int = 0,
    ) -> None:
        self.device = device
        self.emulators = native_emulators(game, count, preprocessing, threads)
        self._none = np.zeros(count, bool)
        self._numbers = action_numbers(game.actions)

    @staticmethod
    def renders(preprocessing: Preprocessing) -> bool:
        """Whether these are the preprocessing's frames and episodes, bit for bit."""
        plain = Preprocessing()
        changed = {name: getattr(plain, name) for name in SETTINGS}
        return replace(preprocessing, **changed) == plain

    def reset(self, seed: int | None) -> Frames:
        """Begins new episodes everywhere; copy i is seeded with seed + i, if one is given."""
        seeds = None if seed is None else consecutive_seeds(seed, len(self._none), EMULATORS)
        raw, info = self.emulators.reset(seed=seeds)
        nothing = np.zeros(len(raw), np.float32)
        return self._frames(raw, nothing, self._none, self._none, info["lives"])

    def send(self, actions: Int[np.ndarray, "envs"]) -> None:
        """Has one action played in every copy; returns at once."""
        played = self._numbers[actions] if len(self._numbers) else actions
        self.emulators.send(played.astype(np.int32))

    def recv(self) -> Frames:
        """Waits for the step that `send` began."""
        raw, rewards, terminated, truncated, info = self.emulators.recv()
        return self._frames(raw, rewards.astype(np.float32), terminated, truncated, info["lives"])

    def close(self) -> None:
        """Ends the emulators."""
        self.emulators.close()

    def _frames(
        self,
        raw: np.ndarray,
        rewards: np.ndarray,
        terminated: np.ndarray,
        truncated: np.ndarray,
        lives: np.ndarray,
    ) -> Frames:
        frames = torch.from_numpy(raw[:, 0]).to(self.device)
        return Frames(frames, rewards, terminated, truncated, self._none, lives.copy())
