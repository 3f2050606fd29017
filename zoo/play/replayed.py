"""Recorded play, played again in an emulator of this process, with bytes of its memory set."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from jaxtyping import UInt8

from atari_zoo.emulator.cartridges import Cartridge
from atari_zoo.emulator.consoles import Console
from atari_zoo.emulator.palettes import SharedPalette
from atari_zoo.emulator.resets import reset_rule
from atari_zoo.emulator.screens import rom_path, screen
from atari_zoo.games import game as find_game
from atari_zoo.preprocessing.colours import colours
from atari_zoo.preprocessing.renderer import Renderer
from atari_zoo.recordings.recordings import Recording

RAM = 128  # bytes
ILLEGAL = "Illegal Instruction"  # what the emulator says where the edited program goes astray
# what became of an edited state: the bytes held; the game wrote over them; it ended; or the
# processor met an illegal instruction
HELD, SLIPPED, OVER, ASTRAY = FATES = ("held", "slipped", "over", "illegal")


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What is written to the process's standard error meanwhile, once it is over; the emulator's
    C++ tells of illegal instructions there alone. All other lines go where they were to go."""
    said: list[str] = []
    sys.stderr.flush()
    before = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield said
        finally:
            sys.stderr.flush()
            os.dup2(before, 2)
            os.close(before)
            file.seek(0)
            for line in file.read().decode(errors="replace").splitlines(keepends=True):
                if ILLEGAL in line:
                    said.append(line.strip())
                else:
                    os.write(2, line.encode())


class ReplayedConsole:
    """One environment of a recording, played again by a console of this process."""

    def __init__(self, recording: Recording, env: int) -> None:
        self.recording, self.env = recording, env
        preprocessing = recording.preprocessing
        mode, difficulty = (recording.options.get(name) for name in ("mode", "difficulty"))
        named = tuple(recording.options.get("actions", ()))
        cartridge = Cartridge(find_game(recording.game).rom, mode, difficulty, named)
        shown = screen(cartridge)
        self.screens = np.zeros((2, shown.height, shown.width), np.uint8)
        self.renderer = Renderer(preprocessing, shown.height, shown.width)
        shared = {"colours": np.zeros((256, 3), np.uint8), "greys": np.zeros(256, np.uint8)}
        self.palette = SharedPalette(shared, self.renderer)
        memory = np.zeros(RAM, np.uint8)
        inserted = replace(cartridge, rom=str(rom_path(cartridge.rom)))
        self.console = Console(inserted, preprocessing, self.screens, memory, self.palette)
        self.rule = reset_rule(preprocessing)
        self.console.load(self.rule.draws(recording.seed + env))
        self.rule.begin(self.console)
        self.fires = preprocessing.fire_after_life_loss and shown.fires
        self.fire = shown.actions.index("FIRE") if self.fires else 0
        self.fire_next = False

    def step(self, number: int, edited: bool = False) -> None:
        """Plays the recorded action; it must have what it had, unless the memory was edited."""
        console, recording = self.console, self.recording
        action = self.fire if self.fire_next else int(recording.actions[number, self.env])
        lives = console.lives
        if edited and not (self.rule.late and console.life_ended):
            console.press(console.played[action])  # and not on, should the game be over now
            self.fire_next = self.fires and console.lives < lives and not console.over
            return
        reward, terminated, truncated, _ = self.rule.step(console, action)
        over = terminated or truncated
        self.fire_next = self.fires and console.lives < lives and not over
        if edited:
            return
        if (reward, over) != (
            recording.rewards[number, self.env],
            recording.over[number, self.env],
        ):
            raise ValueError(
                f"the game does not repeat from seed {recording.seed} after step {number}: a "
                "counterfactual needs play that the zoo recorded, from its beginning"
            )

    def become(self, other: ReplayedConsole) -> None:
        """Takes the other's state, which stays as it is."""
        mine, theirs = self.console, other.console
        mine.ale.restoreState(theirs.ale.cloneState(include_rng=True))
        for name in ("over", "truncated", "life_ended", "lives", "frames"):
            setattr(mine, name, getattr(theirs, name))
        self.screens[:] = other.screens
        new = np.flatnonzero(other.palette.known & ~self.palette.known)
        self.palette.learn(new, other.palette.colours[new], other.palette.greys[new])
        self.fire_next = other.fire_next

    def edited(
        self, steps: Sequence[int], ram: Mapping[int, int], slack: int
    ) -> tuple[list[np.ndarray], str]:
        """Plays on with these bytes set before each action: the frames, and what became of it."""
        frames, ale = [], self.console.ale
        with _heard() as said:
            for before in steps:
                for address, value in ram.items():
                    ale.setRAM(address, value)
                self.step(before, edited=bool(ram))
                frames.append(self.frame())
        after = ale.getRAM()
        if said:
            return frames, ASTRAY
        if self.console.over:
            return frames, OVER
        far = any(abs(int(after[place]) - value) > slack for place, value in ram.items())
        return frames, SLIPPED if far else HELD

    def frame(self) -> np.ndarray:
        """What the agent sees newest."""
        return self.renderer(self.screens)

    def colour_screen(self) -> UInt8[np.ndarray, "height width 3"]:
        """The newest screen in colour, the maximum of the last two, as recordings keep it."""
        return colours(self.palette.colours)(self.screens)
