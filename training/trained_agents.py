"""The agents in a run's folder: a checkpoint's weights and the run's configuration together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from atari_zoo.converters.algorithms import ALGORITHMS
from atari_zoo.converters.cards import ModelCard, Preprocessing
from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.games import game as find_game
from atari_zoo.training.registry import trainer


def trained_agent(run: Path, weights: Path, number: str | None = None) -> MnihNetwork:
    """The agent with one of the checkpoints' weights, in eval mode; its card has all but scores.

    run: the folder, with its config.json. number: of the run in the agent's name; the run's seed
        if not given.
    Raises ValueError if the configuration or the weights cannot be read, or do not fit.
    """
    config = _config(run / "config.json")
    try:
        game, algorithm = find_game(config["rom"]), config["algorithm"]
        card = ModelCard(
            algorithm,
            game.name,
            number or str(config["seed"]),
            action_meanings=game.actions,
            action_rule=ALGORITHMS[algorithm].action_rule,
            preprocessing=Preprocessing(**config["preprocessing"]),
            source="trained by the Atari Zoo",
            licence="Apache-2.0",
            frames=int(weights.stem),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{run / 'config.json'}: no configuration of a run ({error})") from error
    network = trainer(algorithm).new_network(len(game.actions))
    network.card = card
    try:
        network.load_state_dict(load_file(weights))
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(
            f"{weights}: not the weights of {algorithm} in {game.name}, or damaged"
        ) from error
    return network.eval()


def _config(file: Path) -> dict[str, Any]:
    try:
        config = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{file}: the configuration that a run of the zoo's trainer has was expected; "
            f"there is none, or a damaged one ({type(error).__name__})"
        ) from error
    if not isinstance(config, dict):
        raise ValueError(f"{file}: an object was expected, not {type(config).__name__}")
    return config
