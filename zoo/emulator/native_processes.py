"""The vectorised emulator in several processes: many games begin at once, not one after the other.

A game is loaded when it is made, and again when it is seeded, about 85 ms of a processor each time;
in one process all wait for each other, for Python's lock is held or nothing works beside it.
"""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import torch
from jaxtyping import Int

from atari_zoo.converters.cards import Preprocessing
from atari_zoo.emulator.cartridges import Cartridge
from atari_zoo.emulator.native_frames import Frames
from atari_zoo.emulator.processes import Workers
from atari_zoo.emulator.shared_arrays import memory_file, native_layout, shared_arrays
from atari_zoo.emulator.vector_envs import action_numbers
from atari_zoo.seeds import EMULATORS, consecutive_seeds
from atari_zoo.threads import cores

WORKER = "atari_zoo.emulator.native_worker"


class NativeProcesses:
    """`count` copies of a game, the same as in one `NativeFrames`; processes: 0 for one a core."""

    def __init__(
        self,
        game: Cartridge,
        count: int,
        preprocessing: Preprocessing,
        device: torch.device,
        processes: int = 0,
    ) -> None:
        self.device = device
        layout = native_layout(count, preprocessing.size)
        memory = memory_file(layout.itemsize)
        self._arrays = shared_arrays(memory, layout)
        assignment = {
            "cartridge": dataclasses.asdict(game),
            "preprocessing": dataclasses.asdict(preprocessing),
            "count": count,
        }
        shares = np.array_split(np.arange(count), min(processes or cores(), count))
        self.workers = Workers(
            [assignment | {"first": int(s[0]), "last": int(s[-1]) + 1} for s in shares],
            memory,
            WORKER,
        )
        os.close(memory)
        self._none = np.zeros(count, bool)
        self._numbers = action_numbers(game.actions)

    def reset(self, seed: int | None) -> Frames:
        """Begins new episodes everywhere; copy i is seeded with seed + i, if one is given."""
        if seed is not None:
            self._arrays["seeds"][:] = consecutive_seeds(seed, len(self._none), EMULATORS)
        self.workers.order(b"begin" if seed is None else b"seed")
        return self.recv()

    def send(self, actions: Int[np.ndarray, "envs"]) -> None:
        """Has one action played in every copy; returns at once."""
        self._arrays["actions"][:] = self._numbers[actions] if len(self._numbers) else actions
        self.workers.order(b"step")

    def recv(self) -> Frames:
        """Waits for the step that `send` began; the next one overwrites its frames.

        Raises RuntimeError if a process failed; the others are ended then.
        """
        self.workers.wait()
        told = self._arrays
        rewards, terminated, truncated, lives = (
            told[name].copy() for name in ("rewards", "terminated", "truncated", "lives")
        )
        frames = torch.from_numpy(told["frames"]).to(self.device)
        return Frames(frames, rewards, terminated, truncated, self._none, lives)

    def close(self) -> None:
        """Ends the processes."""
        self.workers.close()
