"""Frames of any preprocessing, from the pool of emulators; and what they were rendered from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int, UInt8

from atari_zoo.converters.cards import Preprocessing
from atari_zoo.emulator.cartridges import Cartridge
from atari_zoo.emulator.native_frames import Frames
from atari_zoo.emulator.pool import Emulated, Emulators


class Raw(NamedTuple):
    """What the newest frames were rendered from, and the RAM at that time."""

    screens: UInt8[np.ndarray, "envs 2 height width"]  # palette indices, older frame first
    ram: UInt8[np.ndarray, "envs 128"]


class RenderedFrames:
    """`count` copies of a game in a pool of emulators.

    workers: processes; 0 for one a core.
    """

    def __init__(
        self,
        game: str | Cartridge,
        count: int,
        preprocessing: Preprocessing,
        device: torch.device,
        workers: int = 0,
    ) -> None:
        self.device = device
        self.emulators = Emulators(game, count, preprocessing, workers)

    def reset(self, seed: int | None) -> Frames:
        """Begins new episodes everywhere; copy i is seeded with seed + i, if one is given."""
        return self._tensors(self.emulators.reset(seed))

    def send(self, actions: Int[np.ndarray, "envs"]) -> None:
        """Has one action played in every copy; returns at once."""
        self.emulators.send(actions)

    def recv(self) -> Frames:
        """Waits for the step that `send` began."""
        return self._tensors(self.emulators.recv())

    def raw(self) -> Raw:
        """What the newest frames were rendered from."""
        newest = self.emulators.newest
        return Raw(newest.screens.copy(), newest.ram.copy())

    def close(self) -> None:
        """Ends the emulators."""
        self.emulators.close()

    def _tensors(self, emulated: Emulated) -> Frames:
        frames = torch.from_numpy(emulated.frames.copy()).to(self.device)
        names = Frames._fields[1:]
        return Frames(frames, *(getattr(emulated, name) for name in names))
