"""Games as libraries write them into names: Gymnasium's and EnvPool's environment ids."""

from __future__ import annotations

import re

# BreakoutNoFrameskip-v4, Breakout-v5, ALE/Breakout-v5
ENVIRONMENT_ID = r"(?:ALE/)?([A-Z][A-Za-z0-9]*?)(?:NoFrameskip|Deterministic)?-v\d+"


def game_of(environment_id: str) -> str:
    """The game in ALE's CamelCase, or "" if it is no id of an Atari environment.

    >>> game_of("MsPacmanNoFrameskip-v4")
    'MsPacman'
    """
    found = re.fullmatch(ENVIRONMENT_ID, environment_id)
    return found[1] if found else ""


def game_of_rom(rom: str) -> str:
    """The game in ALE's CamelCase, from ale-py's name of its ROM.

    >>> game_of_rom("ms_pacman")
    'MsPacman'
    """
    return rom.title().replace("_", "")
