"""Real play as the emulator gives it, for recordings: pairs of palette screens, RAM, rewards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ale_py import Action, ALEInterface, LoggerMode, roms


@dataclass
class RawPlay:
    """Random play of one or more environments.

    arrays: (steps, envs, ...), by the names that recordings have. palette: (256, 3).
    colours: what the emulator itself shows in colour, the maximum of each pair.
    """

    arrays: dict[str, np.ndarray]
    palette: np.ndarray
    colours: np.ndarray

    def step(self, index: int) -> dict[str, np.ndarray]:
        return {name: array[index] for name, array in self.arrays.items()}

    def block(self, start: int, stop: int) -> dict[str, np.ndarray]:
        return {name: array[start:stop] for name, array in self.arrays.items()}


def raw_play(rom: str, steps: int, envs: int = 1, seed: int = 0, longest: int = 10_000) -> RawPlay:
    """Plays at random, four frames an action; an episode ends after `longest` steps at most."""
    palette = np.zeros((256, 3), np.uint8)
    played = [_one(rom, steps, seed + env, longest, palette) for env in range(envs)]
    arrays = {name: np.stack([one[name] for one in played], axis=1) for name in played[0]}
    return RawPlay(arrays, palette, arrays.pop("colours"))


def _one(
    rom: str, steps: int, seed: int, longest: int, palette: np.ndarray
) -> dict[str, np.ndarray]:
    emulator, random = _emulator(rom, seed), np.random.default_rng(seed)
    actions: list[Action] = emulator.getMinimalActionSet()
    kept: dict[str, list] = {}
    pair, age = [_screen(emulator, palette)] * 2, 0
    for _ in range(steps):
        chosen = int(random.integers(len(actions)))
        indices, rgb = zip(*pair, strict=True)
        step = {
            "frames": np.stack(indices),
            "colours": np.maximum(*rgb),
            "ram": emulator.getRAM(),
            "lives": emulator.lives(),
            "starts": age == 0,
            "actions": chosen,
        }
        pair, step["rewards"] = [], 0.0
        for _ in range(4):
            step["rewards"] += emulator.act(actions[chosen])
            pair = [*pair, _screen(emulator, palette)][-2:]
        age += 1
        step["terminated"] = emulator.game_over()
        step["truncated"] = not step["terminated"] and age == longest
        if step["terminated"] or step["truncated"]:
            emulator.reset_game()
            pair, age = [_screen(emulator, palette)] * 2, 0
        for name, value in step.items():
            kept.setdefault(name, []).append(value)
    types = {"lives": np.int32, "actions": np.int32, "rewards": np.float32}
    return {name: np.array(rows, types.get(name)) for name, rows in kept.items()}


def _emulator(rom: str, seed: int) -> ALEInterface:
    ALEInterface.setLoggerMode(LoggerMode.Error)
    emulator = ALEInterface()
    emulator.setInt("random_seed", seed)
    emulator.setFloat("repeat_action_probability", 0.0)
    emulator.loadROM(roms.get_rom_path(rom))
    return emulator


def _screen(emulator: ALEInterface, palette: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    indices, rgb = emulator.getScreen(), emulator.getScreenRGB()
    palette[indices] = rgb
    return indices, rgb
