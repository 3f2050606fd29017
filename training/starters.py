"""Puts a finished run into the package as a starter agent: weights, log, card, measured score.

python -m atari_zoo.training.starters runs/a2c-Pong-1 --into zoo/data/agents
python -m atari_zoo.training.starters runs/dqn-Seaquest-1 --frames 2000000 --tag 2M
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from atari_zoo.catalog.catalog import BEGINNING
from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.export.graph import network_to_onnx
from atari_zoo.converters.files import written_whole
from atari_zoo.converters.interchange import save_onnx
from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.living_units import living_units
from atari_zoo.play.rollouts import rollout
from atari_zoo.training.trained_agents import trained_agent

EPISODES = 30


def ship(
    run: Path, into: Path, number: str = "1", frames: int | None = None, tag: str = ""
) -> ModelCard:
    """Writes ALGORITHM-Game-NUMBER[@TAG].onnx (float16), the run's log, and the catalogue's row.

    frames: the checkpoint nearest to so many is shipped; the last if not given.
    The scores are of the weights as stored, and of random play by the same protocol. Raises
    FileNotFoundError if the run has no checkpoint.
    """
    checkpoints = sorted((run / "checkpoints").glob("*.safetensors"))
    if not checkpoints:
        raise FileNotFoundError(f"{run}: no checkpoint to ship")
    wanted = int(checkpoints[-1].stem) if frames is None else frames
    network = trained_agent(
        run, min(checkpoints, key=lambda file: abs(int(file.stem) - wanted)), number
    )
    into.mkdir(parents=True, exist_ok=True)
    stem = f"{network.card.algorithm}-{network.card.game}-{number}"
    file = f"{stem}@{tag}.onnx" if tag else f"{stem}.onnx"
    network.card = network.card.replace(tag=tag, scores=_scores(_rounded(network)))
    save_onnx(network_to_onnx(network, float16=True), into / file)
    shutil.copyfile(run / "log.jsonl", into / f"{stem}.log.jsonl")
    config = json.loads((run / "config.json").read_bytes())
    begun = {name: config[name] for name in BEGINNING if name in config}
    _catalogue(into, {"file": file} | begun, network.card)
    return network.card


def _rounded(network: MnihNetwork) -> MnihNetwork:
    """The network as it is after storage."""
    for weight in network.parameters():
        weight.data = weight.data.half().float()
    return network


def _scores(network: MnihNetwork) -> dict[str, object]:
    summary = rollout(network, episodes=EPISODES, envs=EPISODES, seed=0).summary()
    random = rollout(
        network, episodes=EPISODES, envs=EPISODES, seed=0, action="epsilon-greedy", epsilon=1.0
    ).summary()
    kept = ("episodes", "mean", "std", "returns")
    return {key: summary[key] for key in kept} | {
        "seed": 0,
        "envs": EPISODES,
        "random_mean": random["mean"],
        "random_std": random["std"],
        "living_units": living_units(network),
    }


def _catalogue(into: Path, entry: dict[str, Any], card: ModelCard) -> None:
    place = into / "catalog.json"
    rows = json.loads(place.read_text()) if place.exists() else []
    rows = [row for row in rows if row["file"] != entry["file"]]
    rows.append(entry | {"card": json.loads(card.to_json())})
    rows.sort(key=lambda row: row["file"])
    with written_whole(place) as beside:
        beside.write_text(json.dumps(rows, indent=1) + "\n")


def main() -> None:
    """Ships one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--into", type=Path, default=Path("zoo/data/agents"))
    parser.add_argument("--number", default="1", help="of the run, in the agent's name")
    parser.add_argument("--frames", type=int, help="of the checkpoint; the last if not given")
    parser.add_argument("--tag", default="", help="in the agent's name; none for the final one")
    arguments = parser.parse_args()
    card = ship(arguments.run, arguments.into, arguments.number, arguments.frames, arguments.tag)
    print(card.name, card.scores["mean"], "random play:", card.scores["random_mean"])


if __name__ == "__main__":
    main()
