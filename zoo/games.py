"""The games: their names in every spelling, their actions, what people and chance score in them."""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from atari_zoo.converters.arguments import checked
from atari_zoo.converters.cards import ModelCard

FULL = 18  # actions of the emulator, all that a joystick with a button can do


class UnknownGame(ValueError):
    """A name that no game has; the message says which are near."""


@dataclass(frozen=True)
class Game:
    """One game that ale-py ships and can play alone.

    name, rom: in CamelCase as environments are called, and in ale-py's snake_case.
    height, width: of its screen, in pixels.
    actions: its minimal actions, in the emulator's order.
    random, human: mean scores of random play and of a person, where known (`SCORE_SOURCE`).
    in_paper, in_subset: whether it is among the paper's 55 games, and its 13 for analysis.
    """

    name: str
    rom: str
    height: int
    width: int
    actions: tuple[str, ...]
    random: float | None = None
    human: float | None = None
    in_paper: bool = False
    in_subset: bool = False

    def normalized(self, score: float) -> float | None:
        """The score where random play is 0 and a person 1; None where those are unknown."""
        if self.random is None or self.human is None:
            return None
        return (score - self.random) / (self.human - self.random)


@checked
def game(name: str) -> Game:
    """The game called `name` in any spelling: `MsPacman`, `ms_pacman`, `ALE/MsPacman-v5`,
    `MsPacmanNoFrameskip-v4`.

    Raises UnknownGame, with the nearest names, if there is none.
    """
    known = {_key(g.name): g for g in games()}
    found = known.get(_key(name))
    if found is None:
        near = difflib.get_close_matches(_key(name), known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(known[k].name for k in near)}? " if near else ""
        raise UnknownGame(f"no game '{name}'; {hint}ale-py has {len(known)}, such as Pong")
    return found


@cache
def games() -> tuple[Game, ...]:
    """Every game that ale-py ships and can play alone, by name."""
    table = _table()
    subset = set(table["analysis_subset"])
    return tuple(
        Game(
            **row | {"actions": tuple(row["actions"])},
            in_paper="human" in row and row["rom"] not in table["not_in_paper"],
            in_subset=row["rom"] in subset,
        )
        for row in table["games"]
    )


def check_actions(actions: int, card: ModelCard, source: str) -> None:
    """Raises ValueError if a network cannot play the game that its card names."""
    if card.action_meanings and actions == FULL > len(card.action_meanings):
        raise ValueError(
            f"{source}: the network has the emulator's full set of {FULL} actions "
            f"(full_action_space=True); {card.game} is played with its own "
            f"{len(card.action_meanings)} ({' '.join(card.action_meanings)}): agents of the full "
            "set are read and looked into, but not played"
        )
    if card.action_meanings and actions != len(card.action_meanings):
        raise ValueError(
            f"{source}: the network has {actions} actions, but {card.game} has "
            f"{len(card.action_meanings)} ({' '.join(card.action_meanings)}): is it another "
            "game's?"
        )


def score_source() -> str:
    """Where the random and human scores come from."""
    return str(_table()["score_source"])


@cache
def _table() -> dict[str, Any]:
    return json.loads(resources.files("atari_zoo").joinpath("data/games.json").read_text())


def _key(name: str) -> str:
    bare = re.sub(r"^ALE/|(-ram)?(NoFrameskip|Deterministic)?-v\d+$", "", name.strip())
    return re.sub(r"[^a-z0-9]", "", bare.lower())
