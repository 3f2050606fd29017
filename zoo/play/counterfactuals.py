"""Counterfactuals: what an agent would have seen, had bytes of the console's memory been others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.converters.arguments import checked
from atari_zoo.emulator.cartridges import Cartridge
from atari_zoo.emulator.consoles import Console
from atari_zoo.emulator.palettes import SharedPalette
from atari_zoo.emulator.resets import reset_rule
from atari_zoo.emulator.screens import rom_path, screen
from atari_zoo.games import game as find_game
from atari_zoo.preprocessing.renderer import Renderer
from atari_zoo.recordings.recordings import Recording

RAM = 128  # bytes


@checked
def counterfactual(
    recording: Recording, step: int, ram: Mapping[int, int], env: int = 0
) -> Float[Tensor, "1 channels height width"]:
    """The observation at a step, had these bytes held these values while its frames were made.

    The game is played again from the recording's seed, and the bytes are set before each of the
    last actions, one for each frame of the stack; after that it may overwrite them. With no bytes
    it is the observation itself. In 0..1, so that it is a baseline for `attribute`.

    ram: values by address, 0 to 255 by 0 to 127. env: which of the recording's environments.
    Raises ValueError if a number is out of range, if the stack's frames are not all of one
    episode, or if the game does not repeat: such play was not recorded here.

    >>> counterfactual(recording, step=120, ram={59: 3})  # three lives in Seaquest
    """
    stack, envs = recording.preprocessing.stack, recording.starts.shape[1]
    if not len(recording.actions) or not len(recording.rewards):
        raise ValueError("no actions and rewards in this recording: it cannot be played again")
    _check("env", env, envs)
    _check("step", step, len(recording.starts))
    for address, value in ram.items():
        _check("an address of the RAM", address, RAM)
        _check("a byte of the RAM", value, 256)
    began = np.flatnonzero(recording.starts[: step + 1, env])[-1]
    if step - began < stack:
        raise ValueError(
            f"step {step} is {step - began} after its episode's first; expected at least {stack}, "
            "so that all frames of the stack are of this episode"
        )
    replay = _Replay(recording, env)
    for before in range(step - stack):
        replay.step(before)
    frames = []
    for before in range(step - stack, step):
        for address, value in ram.items():
            replay.console.ale.setRAM(address, value)
        replay.step(before, edited=bool(ram))
        frames.append(replay.frame())
    seen = torch.from_numpy(np.stack(frames)).reshape(1, *recording.preprocessing.shape)
    return seen.float() / 255 if seen.dtype == torch.uint8 else seen


class _Replay:
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
        colours = {"colours": np.zeros((256, 3), np.uint8), "greys": np.zeros(256, np.uint8)}
        palette = SharedPalette(colours, self.renderer)
        memory = np.zeros(RAM, np.uint8)
        inserted = replace(cartridge, rom=str(rom_path(cartridge.rom)))
        self.console = Console(inserted, preprocessing, self.screens, memory, palette)
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

    def frame(self) -> np.ndarray:
        """What the agent sees newest."""
        return self.renderer(self.screens)


def _check(what: str, number: int, end: int) -> None:
    if not 0 <= number < end:
        raise ValueError(f"{what} is {number}; expected 0 to {end - 1}")
