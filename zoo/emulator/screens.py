"""A game's screen and actions, as the emulator gives them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ale_py import ALEInterface, LoggerMode, roms


@dataclass(frozen=True)
class Screen:
    """Size of a game's screen and its minimal actions, as the emulator gives them."""

    height: int
    width: int
    actions: tuple[str, ...]


def screen(rom: str, mode: int | None = None, difficulty: int | None = None) -> Screen:
    """Asks the emulator about the game whose ROM is called `rom`, such as "ms_pacman".

    Raises ValueError if there is no such game, or if it has no such mode or difficulty.
    """
    ALEInterface.setLoggerMode(LoggerMode.Error)
    emulator = ALEInterface()
    emulator.loadROM(rom_path(rom))
    _one_of("mode", mode, emulator.getAvailableModes(), rom)
    _one_of("difficulty", difficulty, emulator.getAvailableDifficulties(), rom)
    height, width = emulator.getScreenDims()
    return Screen(height, width, tuple(a.name for a in emulator.getMinimalActionSet()))


def rom_path(rom: str) -> Path:
    """Where ale-py keeps a game. Raises ValueError if it does not."""
    path = roms.get_rom_path(rom) if rom in roms.get_all_rom_ids() else None
    if path is None:
        raise ValueError(f"ale-py has no ROM '{rom}'")
    return Path(path)


def _one_of(what: str, chosen: int | None, there: list[int], rom: str) -> None:
    if chosen is not None and chosen not in there:
        raise ValueError(f"{rom} has no {what} {chosen}; there are {', '.join(map(str, there))}")
