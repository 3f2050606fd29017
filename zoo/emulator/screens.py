"""Screens and actions of games, as the emulator gives them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ale_py import ALEInterface, LoggerMode, roms

from atari_zoo.emulator.cartridges import Cartridge, cartridge


@dataclass(frozen=True)
class Screen:
    """Size of a game's screen, as the emulator gives it, and the actions that are played: the
    cartridge's, or the game's minimal set. fires: whether FIRE is in that."""

    height: int
    width: int
    actions: tuple[str, ...]
    fires: bool


def screen(game: str | Cartridge) -> Screen:
    """Asks the emulator about a game, of which a plain name in snake case is enough.

    Raises ValueError if there is no such game, or if it has no such mode or difficulty.
    """
    return _screen(cartridge(game))


@cache
def _screen(inside: Cartridge) -> Screen:
    ALEInterface.setLoggerMode(LoggerMode.Error)
    emulator = ALEInterface()
    emulator.loadROM(rom_path(inside.rom))
    for name, there in (
        ("mode", emulator.getAvailableModes()),
        ("difficulty", emulator.getAvailableDifficulties()),
    ):
        chosen = getattr(inside, name)
        if chosen is not None and chosen not in there:
            choices = ", ".join(map(str, there))
            raise ValueError(f"{inside.rom} has no {name} {chosen}; there are {choices}")
    height, width = emulator.getScreenDims()
    minimal = tuple(action.name for action in emulator.getMinimalActionSet())
    return Screen(height, width, inside.actions or minimal, "FIRE" in minimal)


def rom_path(rom: str) -> Path:
    """Where ale-py keeps a game. Raises ValueError if it does not."""
    path = roms.get_rom_path(rom) if rom in roms.get_all_rom_ids() else None
    if path is None:
        raise ValueError(f"ale-py has no ROM '{rom}'")
    return Path(path)
