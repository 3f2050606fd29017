"""The games: their names in every spelling, their actions, what people and chance score in them."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from atari_zoo.converters.arguments import checked
from atari_zoo.converters.cards import ModelCard

# the emulator's, in its order; of a game the minimal set is some of them
FULL_ACTIONS = tuple(
    "NOOP FIRE UP RIGHT LEFT DOWN UPRIGHT UPLEFT DOWNRIGHT DOWNLEFT UPFIRE RIGHTFIRE LEFTFIRE "
    "DOWNFIRE UPRIGHTFIRE UPLEFTFIRE DOWNRIGHTFIRE DOWNLEFTFIRE".split()
)
FULL = len(FULL_ACTIONS)


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


def agent_actions(count: int, card: ModelCard, game: Game, source: str) -> tuple[str, ...]:
    """ALE's names of the outputs of a network that plays `game`, in order.

    Those that its card names, be they the game's own, the emulator's full set, or some of these;
    without them the game's own, or, of 18 outputs, the full set.
    Raises ValueError if the network has not as many, or the card names what is no action.
    """
    named = tuple(name.upper() for name in card.action_meanings)
    elsewhere = card.game and card.game != game.name and named == _own_actions(card.game)
    if count == len(named) == len(game.actions) and not set(named) <= set(FULL_ACTIONS):
        return game.actions  # somebody's own words for them
    if named and len(named) == count and not elsewhere:
        return checked_actions(named, source)
    chosen = named and not elsewhere and named != game.actions
    if chosen:
        raise ValueError(
            f"{source}: the network has {count} actions, but {len(named)} are named: "
            f"{' '.join(named)}"
        )
    if count in (len(game.actions), FULL):
        return game.actions if count == len(game.actions) else FULL_ACTIONS
    raise ValueError(
        f"{source}: the network has {count} actions, but {game.name} has {len(game.actions)} "
        f"({' '.join(game.actions)}): is it another game's? If not, name them (--actions, actions=)"
    )


def as_ale_writes(names: Sequence[str]) -> tuple[str, ...]:
    """The emulator's names in capitals; others as they are."""
    return tuple(name.upper() if name.upper() in FULL_ACTIONS else name for name in names)


def checked_actions(names: Sequence[str], source: str) -> tuple[str, ...]:
    """The names, in capitals.

    Raises ValueError if one is no action of the emulator, or is there twice.
    """
    named = tuple(name.upper() for name in names)
    for name in named:
        if name not in FULL_ACTIONS:
            raise ValueError(
                f"{source}: no action '{name}'; the emulator has {' '.join(FULL_ACTIONS)}"
            )
        if named.count(name) > 1:
            raise ValueError(f"{source}: the action {name} is named twice: {' '.join(named)}")
    return named


def _own_actions(game_name: str) -> tuple[str, ...]:
    try:
        return game(game_name).actions
    except UnknownGame:
        return ()


def score_source() -> str:
    """Where the random and human scores come from."""
    return str(_table()["score_source"])


@cache
def _table() -> dict[str, Any]:
    return json.loads(resources.files("atari_zoo").joinpath("data/games.json").read_text())


def _key(name: str) -> str:
    bare = re.sub(r"^ALE/|(-ram)?(NoFrameskip|Deterministic)?-v\d+$", "", name.strip())
    return re.sub(r"[^a-z0-9]", "", bare.lower())
