"""The agents in a run's folder: a checkpoint's weights and the run's configuration together."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.formats.zoo_runs import run_card
from atari_zoo.converters.network.finite import all_finite
from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.games import game as find_game
from atari_zoo.training.registry import trainer


def trained_agent(run: Path, weights: Path, number: str | None = None) -> MnihNetwork:
    """The agent with one of the checkpoints' weights, in eval mode; its card has all but scores.

    run: the folder, with its config.json. number: of the run in the agent's name; the run's seed
        if not given.
    Raises ValueError if the configuration or the weights cannot be read, do not fit, or are not
    finite.
    """
    fields = run_card(run)
    found, algorithm = find_game(fields["game"]), fields["algorithm"]
    network = trainer(algorithm).new_network(len(found.actions))
    network.card = ModelCard(
        **fields | {"run": number or fields["run"]},
        action_meanings=found.actions,
        source="trained by the Atari Zoo",
        licence="Apache-2.0",
        frames=int(weights.stem),
    )
    try:
        network.load_state_dict(load_file(weights))
        finite = all_finite(network.state_dict())
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(
            f"{weights}: not the weights of {algorithm} in {found.name}, or damaged"
        ) from error
    if not finite:
        raise ValueError(f"{weights}: weights that are not finite numbers; the run has diverged")
    return network.eval()
