"""Facts that CleanRL's files and folders tell of an agent beside its weights.

runs/BreakoutNoFrameskip-v4__dqn_atari__1__1680000000/dqn_atari.cleanrl_model        of its scripts
cleanrl/BreakoutNoFrameskip-v4-dqn_atari-seed1/dqn_atari.cleanrl_model               on the Hub
cleanrl/Breakout-v5-ppo_atari_envpool_xla_jax_scan-seed1/...
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atari_zoo.converters.cards import PREPROCESSINGS
from atari_zoo.converters.environment_ids import ENVIRONMENT_ID, game_of

FRAME_SKIP = 4  # of its wrappers; the settings count steps
LONGEST = 10**9  # steps of training
RUN = re.compile(rf"({ENVIRONMENT_ID})__(?P<script>\w+)__(?P<seed>\d+)__\d+")
HUB = re.compile(rf"({ENVIRONMENT_ID})-(?P<script>\w+)-seed(?P<seed>\d+)")
WRAPPERS, ENVPOOL = PREPROCESSINGS["cleanrl"], PREPROCESSINGS["envpool"]


def settings_card(settings: Mapping[Any, Any]) -> dict[str, Any]:
    """The fields of a card that a script's settings (`vars(args)`) tell."""
    steps, game, seed = (settings.get(name) for name in ("total_timesteps", "env_id", "seed"))
    card: dict[str, Any] = {}
    if isinstance(game, str) and game_of(game):
        card["game"] = game_of(game)
    if type(steps) is int and 0 < steps <= LONGEST:
        card["frames"] = steps * FRAME_SKIP
    if type(seed) is int and 0 <= seed < 1 << 32:
        card["run"] = str(seed)
    return card | _seen_by(settings.get("exp_name"))


def folder_card(path: Path) -> dict[str, Any]:
    """Those that the folder's name tells."""
    name = path.resolve().parent.name
    found = RUN.fullmatch(name) or HUB.fullmatch(name)
    if found is None:
        return {}
    return {"game": game_of(found[1]), "run": found["seed"]} | _seen_by(found["script"])


def _seen_by(script: Any) -> dict[str, Any]:
    """Where a script's name, which is free, tells that its agents saw EnvPool's screens."""
    envpool = isinstance(script, str) and "envpool" in script
    return {"preprocessing": ENVPOOL} if envpool else {}
