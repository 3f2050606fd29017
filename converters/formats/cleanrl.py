"""CleanRL's torch models: a state dict, or {"model_weights": ..., "args": vars(args)}.

Names and layouts are those of cleanrl/*_atari.py; what the arguments, and the folders that
CleanRL and its models on Hugging Face stand in, tell of the agent goes on the card.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atari_zoo.converters.environment_ids import ENVIRONMENT_ID, game_of
from atari_zoo.converters.formats.cleanrl_settings import settings_card
from atari_zoo.converters.formats.torch_files import holds_torch, opened_torch, weights_in
from atari_zoo.converters.registry import Source, reader
from atari_zoo.converters.weights.state_dicts import source_of

SUFFIX = ".cleanrl_model"
# runs/BreakoutNoFrameskip-v4__dqn_atari__1__1680000000/dqn_atari.cleanrl_model
RUN = re.compile(rf"({ENVIRONMENT_ID})__\w+__(?P<seed>\d+)__\d+")
# cleanrl/BreakoutNoFrameskip-v4-dqn_atari-seed1/dqn_atari.cleanrl_model
HUB = re.compile(rf"({ENVIRONMENT_ID})-\w+-seed(?P<seed>\d+)")


@reader(
    "cleanrl",
    "CleanRL model (torch)",
    "DQN, C51, PPO, Rainbow and SAC's actor; noisy layers by their means",
    lambda probe: probe.path.suffix.lower() == SUFFIX and holds_torch(probe),
)
def read_cleanrl(path: Path) -> Source:
    """A `.cleanrl_model`; nothing in it is run."""
    with opened_torch(path) as file:
        source = source_of(weights_in(file))
        content = file.content
    source.card |= _of_folder(path.resolve().parent.name)
    if isinstance(content, Mapping) and isinstance(content.get("args"), Mapping):
        source.card |= _of_arguments(content["args"])
    return source


def _of_folder(name: str) -> dict[str, Any]:
    found = RUN.fullmatch(name) or HUB.fullmatch(name)
    return {"game": game_of(found[1]), "run": found["seed"]} if found else {}


def _of_arguments(arguments: Mapping[Any, Any]) -> dict[str, Any]:
    card, seed = settings_card(arguments), arguments.get("seed")
    if type(seed) is int and 0 <= seed < 1 << 32:
        card["run"] = str(seed)
    return card
