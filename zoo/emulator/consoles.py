"""Consoles, emulated, each with a game in it: presses that last some frames, and what is seen.

It writes the screens of the last two frames, as indices into the emulator's palette, and the RAM
into arrays that it is given. The emulator has no way to ask for its palette: the colour and the
emulator's own grey of an index are looked up when it is first on the screen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from ale_py import Action, ALEInterface, LoggerMode
from jaxtyping import UInt8

from atari_zoo.converters.cards import Preprocessing
from atari_zoo.emulator.cartridges import Cartridge
from atari_zoo.emulator.palettes import Palette

NOOP, FIRE = 0, 1  # among the minimal actions of the games that have FIRE


class Draws(NamedTuple):
    """The randomness of a seeded console: the emulator's seed, and draws from 0..n-1."""

    emulator_seed: int
    below: Callable[[int], int]


class Console:
    """A console that plays one game.

    cartridge: the game, its file's path for a name.
    screens: where the last two frames go, oldest first; ram: where the memory goes after `look`.
    actions, played: the game's minimal set, and what an agent's actions are by their numbers.
    over, truncated: whether the game has ended, and whether by the limit of frames.
    life_ended: whether the agent's episode has ended, but not the game.
    """

    def __init__(
        self,
        cartridge: Cartridge,
        preprocessing: Preprocessing,
        screens: UInt8[np.ndarray, "2 height width"],
        ram: UInt8[np.ndarray, "128"],
        palette: Palette,
    ) -> None:
        ALEInterface.setLoggerMode(LoggerMode.Error)
        self.cartridge, self.preprocessing = cartridge, preprocessing
        self.screens, self.ram, self.palette = screens, ram, palette
        self._words = screens.reshape(2, -1).view(np.uint64)  # eight pixels are compared at once
        self._changed = np.zeros(self._words.shape[1], bool)
        self.ale = ALEInterface()
        self.ale.setFloat("repeat_action_probability", preprocessing.sticky)
        self.over = self.truncated = self.life_ended = False
        self.lives = self.frames = 0

    def load(self, draws: Draws) -> None:
        """Puts the game in anew, with its randomness seeded."""
        self.ale.setInt("random_seed", draws.emulator_seed)
        self.ale.loadROM(self.cartridge.rom)
        if self.cartridge.mode is not None:
            self.ale.setMode(self.cartridge.mode)
        if self.cartridge.difficulty is not None:
            self.ale.setDifficulty(self.cartridge.difficulty)
        self.actions = self.ale.getMinimalActionSet()
        named = self.cartridge.actions
        self.played = [Action.__members__[name] for name in named] if named else self.actions
        names = [action.name for action in self.actions]
        self.fires = self.preprocessing.fire_reset and "FIRE" in names
        self.draw, self.over = draws.below, True
        self._learn()

    def new_game(self) -> None:
        """Begins a game, as the console's reset switch does."""
        self.ale.reset_game()
        self.frames = self.ale.getEpisodeFrameNumber()  # some games' first presses are counted
        self.over = self.truncated = self.life_ended = False

    def idle(self, frames: int) -> bool:
        """Waits; a game that ends while waiting begins anew. Returns whether one did."""
        ended = False
        for _ in range(frames):
            self.ale.act(self.actions[NOOP])
            self.frames += 1
            if self.ale.game_over():
                ended = True
                self.new_game()
        return ended

    def press(self, pressed: Action) -> float:
        """Repeats an action for the frames of one step, or until the game ends; returns the
        rewards' sum. Where the game ends early, the screens are what was seen before."""
        ale, reward, skip = self.ale, 0, self._skip()
        for left in reversed(range(skip)):
            reward += ale.act(pressed)
            self.frames += 1
            ended = ale.game_over()
            self.over = ended or self.frames >= self.preprocessing.max_frames
            if self.over:
                break
            if left < 2:
                self.see(1 - left)
        if skip == 1:
            self.screens[0] = self.screens[1]
        self.truncated = self.over and not ended
        before, self.lives = self.lives, ale.lives()
        lost = 0 < self.lives < before  # with none left, the game's end is awaited
        self.life_ended = lost and self.preprocessing.life_loss_ends and not self.over
        return reward

    def _skip(self) -> int:
        """For how many frames the next action is repeated."""
        least, most = self.preprocessing.frame_skip_least, self.preprocessing.frame_skip
        return least + self.draw(most - least + 1) if 0 < least < most else most

    def see(self, which: int) -> None:
        """Takes the screen into the older (0) or newer (1) place."""
        self.ale.getScreen(self.screens[which])
        words = self._words[which]
        np.not_equal(words, self._words[1 - which], out=self._changed)
        if not self.palette.known[words[self._changed].view(np.uint8)].all():
            self._learn()

    def see_still(self) -> None:
        """Takes the screen into both places."""
        self.see(1)
        self.screens[0] = self.screens[1]

    def look(self) -> None:
        """Takes the RAM."""
        self.ale.getRAM(self.ram)

    def _learn(self) -> None:
        indices, first = np.unique(self.ale.getScreen(), return_index=True)
        colours = self.ale.getScreenRGB().reshape(-1, 3)[first]
        greys = self.ale.getScreenGrayscale().reshape(-1)[first]
        new = ~self.palette.known[indices]
        self.palette.learn(indices[new], colours[new], greys[new])
