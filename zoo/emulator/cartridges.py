"""Cartridges: games as they are put into a console."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cartridge:
    """A game as it is put into a console.

    rom: its name in snake case, such as "ms_pacman"; for a `Console`, the path of its file.
    mode, difficulty: of the game, as ALE numbers them; as they come if None.
    actions: ALE's names of those that are played by their numbers; the game's minimal set if empty.
    """

    rom: str
    mode: int | None = None
    difficulty: int | None = None
    actions: tuple[str, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether its mode and difficulty are left as they come."""
        return self.mode is None and self.difficulty is None


def cartridge(game: str | Cartridge) -> Cartridge:
    """The cartridge itself, or the plain one of the game that is called so in snake case."""
    return Cartridge(game) if isinstance(game, str) else game
