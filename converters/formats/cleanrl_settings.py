"""Settings that CleanRL's scripts keep (`vars(args)`) beside a model's weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atari_zoo.converters.environment_ids import game_of

FRAME_SKIP = 4  # of its wrappers; the settings count steps
LONGEST = 10**9  # steps of training


def settings_card(settings: Mapping[Any, Any]) -> dict[str, Any]:
    """The fields of a card that they tell: the game, and the frames of training."""
    steps, game = settings.get("total_timesteps"), settings.get("env_id")
    card: dict[str, Any] = {}
    if isinstance(game, str) and game_of(game):
        card["game"] = game_of(game)
    if type(steps) is int and 0 < steps <= LONGEST:
        card["frames"] = steps * FRAME_SKIP
    return card
