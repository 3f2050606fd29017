"""Emulators in processes of their own: any preprocessing exactly, RAM, modes and difficulties.

ale-py's AtariVectorEnv is as fast, but it shows neither single frames nor RAM, and has no modes.
ALEInterface shows all, but holds Python's lock while it emulates, so that threads would wait for
each other.
"""

from __future__ import annotations

import dataclasses
import os
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int, Int32, Shaped, UInt8

from atari_zoo.converters.cards import Preprocessing
from atari_zoo.emulator.cartridges import Cartridge, cartridge
from atari_zoo.emulator.processes import Workers
from atari_zoo.emulator.resets import reset_rule
from atari_zoo.emulator.screens import rom_path, screen
from atari_zoo.emulator.shared_arrays import memory_file, memory_layout, shared_arrays
from atari_zoo.preprocessing.renderer import Renderer
from atari_zoo.seeds import GENERATORS, consecutive_seeds


class Emulated(NamedTuple):
    """What one step of every emulator gave.

    Where an episode ended, screens, RAM and lives are already those of the next one's start.
    screens, ram and frames lie in memory that the next step overwrites.
    """

    frames: Shaped[np.ndarray, "envs ..."]  # rendered as the preprocessing has it
    screens: UInt8[np.ndarray, "envs 2 height width"]  # palette indices, older frame first
    ram: UInt8[np.ndarray, "envs 128"]
    rewards: Float32[np.ndarray, "envs"]
    terminated: Bool[np.ndarray, "envs"]  # the game is over
    truncated: Bool[np.ndarray, "envs"]  # the time limit was reached
    life_ended: Bool[np.ndarray, "envs"]  # the agent's episode ended, the game goes on
    lives: Int32[np.ndarray, "envs"]


class Emulators:
    """`count` emulators of a game, played together by worker processes.

    game: a cartridge, or the game's name in snake case.
    preprocessing: how long an action lasts, and how episodes begin and end.
    workers: processes; 0 for one a core, and never more than there are emulators.

    Raises ValueError if there is no such game, mode or difficulty, or if the preprocessing names
    something unknown.
    """

    def __init__(
        self,
        game: str | Cartridge,
        count: int,
        preprocessing: Preprocessing,
        workers: int = 0,
    ) -> None:
        reset_rule(preprocessing)
        inside = cartridge(game)
        self.screen, self.count = screen(inside), count
        size = self.screen.height, self.screen.width
        blank = Renderer(preprocessing, *size)(np.zeros((2, *size), np.uint8))
        fields = memory_layout(count, *size, blank.dtype.name, blank.shape)
        memory = memory_file(fields.itemsize)
        self._arrays = shared_arrays(memory, fields)
        self._results = {name: self._arrays[name] for name in Emulated._fields}
        self._seeded = False
        assignment = {
            "cartridge": dataclasses.asdict(inside) | {"rom": str(rom_path(inside.rom))},
            "preprocessing": dataclasses.asdict(preprocessing),
            "count": count,
            "size": size,
            "frames": blank.dtype.name,
            "shape": blank.shape,
        }
        shares = np.array_split(np.arange(count), min(workers or _cores(), count))
        self.workers = Workers(
            [assignment | {"first": int(s[0]), "last": int(s[-1]) + 1} for s in shares], memory
        )
        os.close(memory)

    @property
    def palette(self) -> UInt8[np.ndarray, "256 3"]:
        """The colours of the indices that were on a screen so far; zeros for the others."""
        return self._arrays["colours"].copy()

    @property
    def greys(self) -> UInt8[np.ndarray, "256"]:
        """The emulator's own greys of the same indices."""
        return self._arrays["greys"].copy()

    @property
    def newest(self) -> Emulated:
        """What the last step gave."""
        shared = ("frames", "screens", "ram")
        return Emulated(*(a if name in shared else a.copy() for name, a in self._results.items()))

    def reset(self, seed: int | None) -> Emulated:
        """Begins new episodes everywhere.

        seed: emulator i is seeded with seed + i; None, after a first reset, goes on drawing.
        Raises ValueError if there is no seed the first time, or if it is no whole number.
        """
        if seed is None and not self._seeded:
            raise ValueError("the first reset has no seed: give one, such as reset(seed=0)")
        if seed is not None:
            self._arrays["seeds"][:] = consecutive_seeds(seed, self.count, GENERATORS)
        self._seeded = True
        self.workers.order(b"begin" if seed is None else b"seed")
        return self.recv()

    def send(self, actions: Int[np.ndarray, "envs"]) -> None:
        """Has one action (an index into the minimal actions) played in every emulator.

        Returns at once; what comes of it is had from `recv`. Raises ValueError if an action is
        none of the game's, or if there are not as many as emulators.
        """
        if actions.shape != (self.count,):
            raise ValueError(f"{actions.shape} actions for {self.count} emulators")
        choices = len(self.screen.actions)
        if actions.min() < 0 or actions.max() >= choices:
            wrong = actions[(actions < 0) | (actions >= choices)][0]
            raise ValueError(f"action {wrong}; the game has {choices}, from 0")
        self._arrays["actions"][:] = actions
        self.workers.order(b"step")

    def recv(self) -> Emulated:
        """Waits for the step that `send` began.

        Raises RuntimeError if a worker failed; the pool is closed then.
        """
        self.workers.wait()
        return self.newest

    def step(self, actions: Int[np.ndarray, "envs"]) -> Emulated:
        """`send`, then `recv`."""
        self.send(actions)
        return self.recv()

    def close(self) -> None:
        """Ends the worker processes."""
        self.workers.close()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
