"""Puts a finished run into the package as a starter agent: weights, log, card, measured score.

python -m atari_zoo.training.starters runs/a2c-Pong-1 --into zoo/data/agents
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from safetensors.torch import load_file

from atari_zoo.converters.algorithms import ALGORITHMS
from atari_zoo.converters.cards import ModelCard, Preprocessing
from atari_zoo.converters.exporting import network_to_onnx
from atari_zoo.converters.files import written_whole
from atari_zoo.converters.interchange import save_onnx
from atari_zoo.converters.networks import MnihNetwork
from atari_zoo.games import game as find_game
from atari_zoo.rollouts import rollout
from atari_zoo.training.registry import trainer

EPISODES = 30


def ship(run: Path, into: Path, number: str = "1") -> ModelCard:
    """Writes ALGORITHM-Game-NUMBER.onnx (float16) and .log.jsonl, and the catalogue's row.

    The score is of the weights as stored. Raises FileNotFoundError if the run has no checkpoint.
    """
    config = json.loads((run / "config.json").read_text())
    checkpoints = sorted((run / "checkpoints").glob("*.safetensors"))
    if not checkpoints:
        raise FileNotFoundError(f"{run}: no checkpoint to ship")
    game = find_game(config["rom"])
    algorithm = config["algorithm"]
    network = trainer(algorithm).new_network(len(game.actions))
    network.load_state_dict(load_file(checkpoints[-1]))
    network.card = ModelCard(
        algorithm,
        game.name,
        number,
        action_meanings=game.actions,
        action_rule=ALGORITHMS[algorithm].action_rule,
        preprocessing=Preprocessing(**config["preprocessing"]),
        source="trained by the Atari Zoo",
        licence="Apache-2.0",
        frames=int(checkpoints[-1].stem),
    )
    into.mkdir(parents=True, exist_ok=True)
    stem = f"{algorithm}-{game.name}-{number}"
    network.card = network.card.replace(scores=_scores(_rounded(network)))
    save_onnx(network_to_onnx(network, float16=True), into / f"{stem}.onnx")
    shutil.copyfile(run / "log.jsonl", into / f"{stem}.log.jsonl")
    _catalogue(into, f"{stem}.onnx", network.card)
    return network.card


def _rounded(network: MnihNetwork) -> MnihNetwork:
    """The network as it is after storage."""
    for weight in network.parameters():
        weight.data = weight.data.half().float()
    return network.eval()


def _scores(network: MnihNetwork) -> dict[str, object]:
    summary = rollout(network, episodes=EPISODES, envs=EPISODES, seed=0).summary()
    kept = ("episodes", "mean", "std", "returns")
    return {key: summary[key] for key in kept} | {"seed": 0, "envs": EPISODES}


def _catalogue(into: Path, file: str, card: ModelCard) -> None:
    place = into / "catalog.json"
    rows = json.loads(place.read_text()) if place.exists() else []
    rows = [row for row in rows if row["file"] != file]
    rows.append({"file": file, "card": json.loads(card.to_json())})
    rows.sort(key=lambda row: row["file"])
    with written_whole(place) as beside:
        beside.write_text(json.dumps(rows, indent=1) + "\n")


def main() -> None:
    """Ships one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--into", type=Path, default=Path("zoo/data/agents"))
    parser.add_argument("--number", default="1")
    arguments = parser.parse_args()
    card = ship(arguments.run, arguments.into, number=arguments.number)
    print(card.name, card.scores["mean"])


if __name__ == "__main__":
    main()
