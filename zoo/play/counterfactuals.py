"""Counterfactuals: what an agent would have seen, had bytes of the console's memory been others."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
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
ILLEGAL = "Illegal Instruction"  # what the emulator says where the edited program goes astray
# what became of an edited state: the bytes held; the game wrote over them; it ended; or the
# processor met an illegal instruction
HELD, SLIPPED, OVER, ASTRAY = FATES = ("held", "slipped", "over", "illegal")


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
    _check_moment(recording, step, env)
    _check_bytes(ram)
    stack = recording.preprocessing.stack
    replay = _Replay(recording, env)
    for before in range(step - stack):
        replay.step(before)
    frames = []
    for before in range(step - stack, step):
        for address, value in ram.items():
            replay.console.ale.setRAM(address, value)
        replay.step(before, edited=bool(ram))
        frames.append(replay.frame())
    return _as_seen(frames, recording)


class EditedStates(NamedTuple):
    """Moments of play with bytes of the memory changed.

    observations: of those states whose bytes held, in 0..1. steps: theirs. fates: of each step that
    was asked for, one of `FATES`.
    """

    observations: Float[Tensor, "held channels height width"]
    steps: Int[np.ndarray, "held"]
    fates: tuple[str, ...]


@checked
def edited_states(
    recording: Recording,
    steps: Sequence[int],
    ram: Mapping[int, int] | Callable[[np.ndarray], Mapping[int, int]],
    env: int = 0,
    slack: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> EditedStates:
    """`counterfactual` of many steps in one replay, without those where the edit did not hold.

    Before each step's stack of frames the console is cloned; in the clone the bytes are set before
    each of these frames' actions, as `counterfactual` does. A state is discarded, and its fate
    told, where a byte is then further than `slack` from what was set, the game is over, or the
    processor met an illegal instruction.
    ram: values by address, or what tells them from the memory as it is before the edit.
    progress: called with the steps done and those there are.
    Raises ValueError as `counterfactual` does, and where steps last a drawn number of frames.
    """
    seen, wanted = recording.preprocessing, sorted(set(map(int, steps)))
    if 0 < seen.frame_skip_least < seen.frame_skip:
        raise ValueError("steps of a drawn number of frames are not cloned: use counterfactual")
    for step in wanted:
        _check_moment(recording, step, env)
    main, clone = _Replay(recording, env), _Replay(recording, env)
    observations, fates, at = [], dict[int, str](), 0
    for done, step in enumerate(wanted, 1):
        for before in range(at, step - seen.stack):
            main.step(before)
        at = max(at, step - seen.stack)
        clone.become(main)
        values = ram(np.array(main.console.ale.getRAM())) if callable(ram) else ram
        _check_bytes(values)
        found, fates[step] = clone.edited(range(at, step), values, slack)
        if fates[step] == HELD:
            observations.append(_as_seen(found, recording))
        elif fates[step] == ASTRAY:
            clone = _Replay(recording, env)  # its emulator may be in any state
        progress(done, len(wanted))
    held = np.array([step for step in wanted if fates[step] == HELD], int)
    together = torch.cat(observations) if observations else torch.zeros(0, *seen.shape)
    return EditedStates(together, held, tuple(fates[int(step)] for step in steps))


def _check_moment(recording: Recording, step: int, env: int) -> None:
    stack, envs = recording.preprocessing.stack, recording.starts.shape[1]
    if not len(recording.actions) or not len(recording.rewards):
        raise ValueError("no actions and rewards in this recording: it cannot be played again")
    _check("env", env, envs)
    _check("step", step, len(recording.starts))
    began = np.flatnonzero(recording.starts[: step + 1, env])[-1]
    if step - began < stack:
        raise ValueError(
            f"step {step} is {step - began} after its episode's first; expected at least {stack}, "
            "so that all frames of the stack are of this episode"
        )


def _check_bytes(ram: Mapping[int, int]) -> None:
    for address, value in ram.items():
        _check("an address of the RAM", address, RAM)
        _check("a byte of the RAM", value, 256)


def _as_seen(frames: Sequence[np.ndarray], recording: Recording) -> Float[Tensor, "1 c h w"]:
    seen = torch.from_numpy(np.stack(frames)).reshape(1, *recording.preprocessing.shape)
    return seen.float() / 255 if seen.dtype == torch.uint8 else seen


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

    def become(self, other: _Replay) -> None:
        """Takes the other's state, which stays as it is."""
        mine, theirs = self.console, other.console
        mine.ale.restoreState(theirs.ale.cloneState(include_rng=True))
        for name in ("over", "truncated", "life_ended", "lives", "frames"):
            setattr(mine, name, getattr(theirs, name))
        self.screens[:] = other.screens
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


def _check(what: str, number: int, end: int) -> None:
    if not 0 <= number < end:
        raise ValueError(f"{what} is {number}; expected 0 to {end - 1}")
