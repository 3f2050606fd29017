"""Many copies of one game in ale-py's vectorised emulator, seen as an agent sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from ale_py import ALEInterface, LoggerMode, roms
from ale_py.vector_env import AtariVectorEnv
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from atari_zoo.converters.cards import Preprocessing
from atari_zoo.preprocessing import grey, resize_area


class Step(NamedTuple):
    """What one step of every environment gave.

    Where an episode ended, `observations` are already the first of the next one.
    """

    observations: UInt8[Tensor, "envs stack 84 84"]
    rewards: Float[np.ndarray, "envs"]
    terminated: Bool[np.ndarray, "envs"]  # the game is over
    truncated: Bool[np.ndarray, "envs"]  # the time limit was reached
    lives: Int[np.ndarray, "envs"]
    actions: Int[np.ndarray, "envs"]  # as executed: FIRE where the preprocessing pressed it


@dataclass(frozen=True)
class Screen:
    """Size of a game's screen and its minimal actions, as the emulator gives them."""

    height: int
    width: int
    actions: tuple[str, ...]


def screen(rom: str) -> Screen:
    """Asks the emulator about the game whose ROM is called `rom`, such as "ms_pacman"."""
    ALEInterface.setLoggerMode(LoggerMode.Error)
    emulator = ALEInterface()
    path = roms.get_rom_path(rom)
    if path is None:
        raise ValueError(f"ale-py has no ROM '{rom}'")
    emulator.loadROM(path)
    height, width = emulator.getScreenDims()
    return Screen(height, width, tuple(a.name for a in emulator.getMinimalActionSet()))


class Environments:
    """`count` copies of a game, stepped together.

    rom: the game's name in snake case.
    seed: copy i is seeded with seed + i, so that the same seed gives the same games.
    device: where observations are put.
    colour: whether `frames` will be asked for.
    threads: of the emulator; 0 for one a core.
    """

    def __init__(
        self,
        rom: str,
        count: int,
        preprocessing: Preprocessing,
        device: torch.device | str = "cpu",
        colour: bool = False,
        threads: int = 0,
    ) -> None:
        self.preprocessing = preprocessing
        self.count = count
        self.device = torch.device(device)
        self.screen = screen(rom)
        self._fire = "FIRE" in self.screen.actions and self.screen.actions.index("FIRE")
        native = preprocessing.max_pool == "rgb"
        self._emulators = _emulators(rom, count, preprocessing, self.screen, native, threads)
        # where the emulator itself makes small grey frames, the colour comes from twins that
        # are seeded and played alike
        self._twins = (
            _emulators(rom, count, preprocessing, self.screen, True, threads)
            if colour and not native
            else None
        )
        self._colour = np.zeros(0, np.uint8)
        self._stack = torch.zeros(0)
        self._lives = np.zeros(count, np.int32)
        self._press_fire = np.zeros(count, bool)

    def reset(self, seed: int) -> UInt8[Tensor, "envs stack 84 84"]:
        """Begins new episodes everywhere; returns their first observations."""
        raw, info = self._emulators.reset(seed=seed)
        self._colour = raw if self._twins is None else self._twins.reset(seed=seed)[0]
        self._lives = info["lives"].copy()
        self._press_fire[:] = False
        self._stack = self._first_stack(self._grey(raw))
        return self._stack

    def step(self, actions: Int[np.ndarray, "envs"]) -> Step:
        """Plays one action (an index into the minimal actions) in every environment."""
        actions = np.where(self._press_fire, self._fire, actions).astype(np.int32)
        raw, rewards, terminated, truncated, info = self._emulators.step(actions)
        self._colour = raw if self._twins is None else self._twins.step(actions)[0]
        over = terminated | truncated
        lives = info["lives"].copy()
        if self.preprocessing.fire_after_life_loss and self._fire:
            self._press_fire = (lives < self._lives) & ~over
        self._lives = lives
        frames = self._grey(raw)
        self._stack = torch.cat([self._stack[:, 1:], frames], dim=1)
        if over.any():
            ended = torch.from_numpy(over).to(self.device)
            self._stack[ended] = self._first_stack(frames[ended])
        return Step(self._stack, rewards.astype(np.float32), terminated, truncated, lives, actions)

    def frames(self) -> UInt8[np.ndarray, "envs height width 3"]:
        """The colour screens that the newest observations were made from.

        They are the maximum of the last two emulator frames, so that nothing flickers.
        Raises ValueError if the environments were made without `colour`.
        """
        if self._colour.ndim != 5 or self._colour.shape[-1] != 3:
            raise ValueError("no colour here: make the Environments with colour=True")
        return self._colour[:, 0]

    def close(self) -> None:
        """Ends the emulators."""
        for emulators in (self._emulators, self._twins):
            if emulators is not None:
                emulators.close()

    def _grey(self, raw: np.ndarray) -> UInt8[Tensor, "envs 1 84 84"]:
        frames = torch.from_numpy(raw).to(self.device)
        return resize_area(grey(frames)) if frames.ndim == 5 else frames

    def _first_stack(self, frames: Tensor) -> Tensor:
        copies = frames.repeat(1, self.preprocessing.stack, 1, 1)
        if self.preprocessing.stack_start == "zeros":
            copies[:, :-1] = 0
        return copies


def _emulators(
    rom: str, count: int, preprocessing: Preprocessing, size: Screen, native: bool, threads: int
) -> AtariVectorEnv:
    options: dict[str, Any] = {}
    if native:  # the screen as it is: grey and resize follow in torch
        options = {"grayscale": False, "img_height": size.height, "img_width": size.width}
    return AtariVectorEnv(
        rom,
        count,
        num_threads=threads,
        stack_num=1,
        frameskip=preprocessing.frame_skip,
        noop_max=preprocessing.noops,
        use_fire_reset=preprocessing.fire_reset,
        repeat_action_probability=preprocessing.sticky,
        max_num_frames_per_episode=preprocessing.max_frames,
        reward_clipping=False,
        autoreset_mode="SameStep",
        **options,
    )
