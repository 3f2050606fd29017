"""Counterfactuals: what an agent would have seen, had bytes of the console's memory been others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from atari_zoo.converters.arguments import checked
from atari_zoo.play.replayed import ASTRAY, HELD, RAM, ReplayedConsole
from atari_zoo.recordings.recordings import Recording

# values by address, or what tells them from the memory as it is before
Bytes = Mapping[int, int] | Callable[[np.ndarray], Mapping[int, int]]


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
    replay = ReplayedConsole(recording, env)
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
    ram: Bytes,
    env: int = 0,
    slack: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> EditedStates:
    """`counterfactual` of many steps in one replay, without those where the edit did not hold.

    ram: values by address, or what tells them from the memory as it is before the edit. slack, and
    what discards a state: as in `MomentEditor.edited`, which makes each.
    progress: called with the steps done and those there are.
    Raises ValueError as `counterfactual` does, and where steps last a drawn number of frames.
    """
    wanted = sorted(set(map(int, steps)))
    for step in wanted:
        _check_moment(recording, step, env)
    editor = MomentEditor(recording, env)
    observations, fates = [], dict[int, str]()
    for done, step in enumerate(wanted, 1):
        found = editor.edited(step, ram, slack)
        fates[step] = found.fate
        if found.fate == HELD:
            observations.append(found.observation)
        progress(done, len(wanted))
    held = np.array([step for step in wanted if fates[step] == HELD], int)
    shape = recording.preprocessing.shape
    together = torch.cat(observations) if observations else torch.zeros(0, *shape)
    return EditedStates(together, held, tuple(fates[int(step)] for step in steps))


class EditedMoment(NamedTuple):
    """A moment of play with bytes of the memory changed.

    observation: in 0..1. screen: in colour, RGB, the maximum of the last two frames.
    before, after: the memory before the first byte was set, and when all frames were made.
    fate: one of `FATES`.
    """

    observation: Float[Tensor, "1 channels height width"]
    screen: UInt8[np.ndarray, "height width 3"]
    before: UInt8[np.ndarray, "128"]
    after: UInt8[np.ndarray, "128"]
    fate: str


class MomentEditor:
    """Edits of one moment of a recording after the other.

    A console plays the recorded game up to where a moment's stack of frames begins, and stays there
    for the next edit; it begins anew only for an earlier moment.
    Raises ValueError where steps last a drawn number of frames.
    """

    def __init__(self, recording: Recording, env: int = 0) -> None:
        seen = recording.preprocessing
        if 0 < seen.frame_skip_least < seen.frame_skip:
            raise ValueError("steps of a drawn number of frames are not cloned: use counterfactual")
        self._recording, self._env = recording, env
        self._main: ReplayedConsole | None = None
        self._clone: ReplayedConsole | None = None
        self._played = 0  # steps of the main one

    def edited(
        self,
        step: int,
        ram: Bytes,
        slack: int = 1,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> EditedMoment:
        """The moment had these bytes been set, in a clone of the console, before each action of its
        stack of frames, as `counterfactual` does.

        The edit did not hold where a byte is then further than `slack` from what was set, the game
        is over, or the processor met an illegal instruction: `fate` says so.
        ram: values by address, or what tells them from the memory as it is before.
        progress: called with the recorded steps that are played again and those there are; what it
        raises leaves the editor usable.
        Raises ValueError as `counterfactual` does.
        """
        _check_moment(self._recording, step, self._env)
        main = self._at(step - self._recording.preprocessing.stack, progress)
        before = np.array(main.console.ale.getRAM())
        values = ram(before) if callable(ram) else ram
        _check_bytes(values)
        clone = self._clone or ReplayedConsole(self._recording, self._env)
        self._clone = None  # until it is known to be sound
        clone.become(main)
        begin = step - self._recording.preprocessing.stack
        frames, fate = clone.edited(range(begin, step), values, slack)
        after = np.array(clone.console.ale.getRAM())
        if fate != ASTRAY:
            self._clone = clone
        seen = _as_seen(frames, self._recording)
        return EditedMoment(seen, clone.colour_screen(), before, after, fate)

    def _at(self, step: int, progress: Callable[[int, int], None]) -> ReplayedConsole:
        """The console before the action of that step."""
        if self._main is None or self._played > step:
            self._main, self._played = ReplayedConsole(self._recording, self._env), 0
        begun, main = self._played, self._main
        while self._played < step:
            progress(self._played - begun, step - begun)
            try:
                main.step(self._played)
            except BaseException:
                self._main = None
                raise
            self._played += 1
        return main


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


def _check(what: str, number: int, end: int) -> None:
    if not 0 <= number < end:
        raise ValueError(f"{what} is {number}; expected 0 to {end - 1}")
