"""Environments: many copies of one game, seen as an agent sees them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped, UInt8
from torch import Tensor

from atari_zoo.converters.cards import Preprocessing
from atari_zoo.emulator.cartridges import Cartridge, cartridge
from atari_zoo.emulator.native_frames import Frames, NativeFrames
from atari_zoo.emulator.native_processes import NativeProcesses
from atari_zoo.emulator.rendered_frames import Raw, RenderedFrames
from atari_zoo.emulator.resets import reset_rule
from atari_zoo.emulator.screens import Screen as Screen
from atari_zoo.emulator.screens import screen as screen
from atari_zoo.preprocessing.renderable import check_renderable


class Step(NamedTuple):
    """What one step of every environment gave.

    Where an episode ended, `observations` are already the first of the next one: bytes, or
    float32 in 0..1 where the preprocessing does not round.
    """

    observations: Shaped[Tensor, "envs channels height width"]
    rewards: Float[np.ndarray, "envs"]
    terminated: Bool[np.ndarray, "envs"]  # the game is over
    truncated: Bool[np.ndarray, "envs"]  # the time limit was reached
    lives: Int[np.ndarray, "envs"]
    actions: Int[np.ndarray, "envs"]  # as executed: FIRE where the preprocessing pressed it
    life_ended: Bool[np.ndarray, "envs"]  # the agent's episode ended, but the game goes on


class Environments:
    """`count` copies of a game, stepped together.

    game: a cartridge, or the game's name in snake case.
    seed: copy i is seeded with seed + i, so that the same seed gives the same games.
    device: where observations are put.
    raw: whether `raw`, `palette` or `greys` will be asked for.
    threads: of the emulator, or processes; 0 for one a core.
    apart: whether the emulators are in processes of their own in any case: many begin sooner so.

    Raises ValueError if there is no such game, mode or difficulty, or if the preprocessing names
    something unknown.
    """

    def __init__(
        self,
        game: str | Cartridge,
        count: int,
        preprocessing: Preprocessing,
        device: torch.device | str = "cpu",
        threads: int = 0,
        raw: bool = False,
        apart: bool = False,
    ) -> None:
        self.preprocessing, self.count = preprocessing, count
        self.device = torch.device(device)
        inside = cartridge(game)
        self.screen = screen(inside)
        check_renderable(preprocessing, self.screen.height, self.screen.width)
        reset_rule(preprocessing)
        names, fires = self.screen.actions, self.screen.fires
        self._fire = names.index("FIRE") if fires and "FIRE" in names else None
        if preprocessing.fire_after_life_loss and fires and self._fire is None:
            raise ValueError("fire_after_life_loss, but FIRE is none of the agent's actions")
        # of the full set, the vectorised emulator presses FIRE in any game
        exact = raw or not inside.plain or (bool(inside.actions) and not fires)
        kind: type[RenderedFrames | NativeProcesses | NativeFrames]
        if exact or not NativeFrames.renders(preprocessing):
            kind = RenderedFrames
        else:
            kind = NativeProcesses if apart else NativeFrames
        self._frames = kind(inside, count, preprocessing, self.device, threads)
        self._raw = raw
        self._stack = torch.zeros(0)
        self._lives = np.zeros(count, np.int32)
        self._press_fire = np.zeros(count, bool)
        self._actions = np.zeros(count, np.int32)

    def reset(self, seed: int | None = None) -> Shaped[Tensor, "envs channels height width"]:
        """Begins new episodes everywhere; returns their first observations.

        seed: any whole number; copy i is seeded with seed + i. None, after a first reset, lets
            their generators go on, which is 20 times faster: a seeded game is loaded anew.
        """
        first = self._frames.reset(seed)
        self._lives = first.lives
        self._press_fire[:] = False
        self._stack = self._first_stack(first.frames)
        return self._stack

    def step(self, actions: Int[np.ndarray, "envs"]) -> Step:
        """Plays one action (an index into `screen.actions`) in every environment."""
        self.send(actions)
        return self.recv()

    def send(self, actions: Int[np.ndarray, "envs"]) -> None:
        """Has the actions played; returns at once. What comes of it is had from `recv`."""
        fire = 0 if self._fire is None else self._fire  # pressed where it is there
        self._actions = np.where(self._press_fire, fire, actions).astype(np.int32)
        self._frames.send(self._actions)

    def recv(self) -> Step:
        """Waits for the step that `send` began."""
        new = self._frames.recv()
        over = new.terminated | new.truncated
        if self.preprocessing.fire_after_life_loss and self._fire is not None:
            self._press_fire = (new.lives < self._lives) & ~over
        self._lives = new.lives
        newest = self._channels(new.frames)
        self._stack = torch.cat([self._stack[:, newest.shape[1] :], newest], dim=1)
        begun = over | new.life_ended
        if begun.any():
            where = torch.from_numpy(begun).to(self.device)
            self._stack[where] = self._first_stack(new.frames[where])
        return self._step(new)

    def raw(self) -> Raw:
        """The last two screens that the newest observations were made from, and the RAM.

        `render` makes frames of the screens, with `palette` and `greys`.
        Raises ValueError if the environments were made without `raw`.
        """
        return self._rendered().raw()

    @property
    def palette(self) -> UInt8[np.ndarray, "256 3"]:
        """The colours of raw screens: of all indices that they have shown so far.

        Raises ValueError if the environments were made without `raw`.
        """
        return self._rendered().emulators.palette

    @property
    def greys(self) -> UInt8[np.ndarray, "256"]:
        """The emulator's own greys of the same indices.

        Raises ValueError if the environments were made without `raw`.
        """
        return self._rendered().emulators.greys

    @property
    def observations(self) -> Shaped[Tensor, "envs channels height width"]:
        """The newest: what `reset` or the last `step` gave."""
        return self._stack

    @property
    def newest(self) -> Shaped[Tensor, "envs ..."]:
        """The newest frame of each observation."""
        channels = self.preprocessing.channels
        return self._stack[:, -1] if channels == 1 else self._stack[:, -channels:]

    def close(self) -> None:
        """Ends the emulators."""
        self._frames.close()

    def _rendered(self) -> RenderedFrames:
        if not self._raw or not isinstance(self._frames, RenderedFrames):
            raise ValueError("no raw screens here: make the Environments with raw=True")
        return self._frames

    def _first_stack(self, frames: Tensor) -> Tensor:
        newest = self._channels(frames)
        copies = newest.repeat(1, self.preprocessing.stack, 1, 1)
        if self.preprocessing.stack_start == "zeros":
            copies[:, : -newest.shape[1]] = 0
        return copies

    def _channels(self, frames: Tensor) -> Shaped[Tensor, "envs channels height width"]:
        """Frames as an observation has them: grey is one channel, colour three."""
        return frames.unflatten(0, (-1, 1)) if self.preprocessing.channels == 1 else frames

    def _step(self, new: Frames) -> Step:
        return Step(
            self._stack,
            new.rewards,
            new.terminated,
            new.truncated,
            new.lives,
            self._actions,
            new.life_ended,
        )
