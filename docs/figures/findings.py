"""Every analysis over the package's agents: the results and pictures of docs/findings.md.

    python docs/figures/findings.py FOLDER [NAME ...]

FOLDER keeps the play and the results; what is there is not made again. The pictures go to
docs/figures/findings. On two cores it takes some hours; NAMEs are of `ANALYSES`, all if not given.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import atari_zoo as zoo
from atari_zoo.analysis.concepts import concept_sensitivities
from atari_zoo.analysis.embeddings import embed
from atari_zoo.analysis.filters import first_layer_filters
from atari_zoo.analysis.health import network_health
from atari_zoo.analysis.interventions import intervention_effects
from atari_zoo.analysis.memory import memory_use
from atari_zoo.analysis.noise import noise_robustness
from atari_zoo.analysis.probes import variable_probes
from atari_zoo.analysis.results import Result, open_result
from atari_zoo.analysis.similarity import compare_layers
from atari_zoo.analysis.sparse_features import learned_features
from atari_zoo.analysis.state_classifier import classify
from atari_zoo.analysis.subjects import Subject
from atari_zoo.analysis.units import unit_variables
from atari_zoo.catalog.patterns import names_like

PICTURES = Path(__file__).parent / "findings"
STEPS, ENVS = 1500, 4  # of play, so that there are some episodes of each
# one agent for each algorithm: of A2C's three the one with the most living units
SEAQUEST = [f"{name}/Seaquest/1" for name in "apex dqn rainbow impala es ga".split()]
SEAQUEST.append("a2c/Seaquest/3")
BEST = "apex/Seaquest/1"
SUBMARINE = "conv3:26"  # of the best; found by `units`, see docs/figures/patches.py
KNOWN = ["player_x", "player_y", "oxygen", "divers_collected", "lives", "player_direction"]

Play = Callable[[list[str]], list[Subject]]
ANALYSES: dict[str, Callable[[Play], Result]] = {
    "filters": lambda play: first_layer_filters(names_like("*/*/*")),
    "health": lambda play: network_health(play(SEAQUEST)),
    "health_over_training": lambda play: network_health(
        play([f"{name}{tag}" for name in SEAQUEST[:4] for tag in ("@initial", "@2M", "")])
    ),
    "similarity": lambda play: compare_layers(play(SEAQUEST)),
    "probes": lambda play: variable_probes(
        play(SEAQUEST), layer=["conv1", "conv3", "fc"], variable=KNOWN
    ),
    "units": lambda play: unit_variables(play([BEST]), layer=["conv3", "fc"], variable=KNOWN),
    "interventions": lambda play: intervention_effects(
        play([BEST]), units=[SUBMARINE, "conv3:38"], controls=2, episodes=8
    ),
    "memory": lambda play: memory_use(play(SEAQUEST), episodes=4),
    "noise": lambda play: noise_robustness(
        play(SEAQUEST),
        kinds=["observation", "relative"],
        levels=[0.02, 0.1, 0.5],
        episodes=4,
        draws=2,
    ),
    "state_classifier": lambda play: classify(play(SEAQUEST)),
    "embeddings": lambda play: embed(play(SEAQUEST), every=4),
    # fc is the value stream's layer of the best, which decides no action
    "sparse_features": lambda play: learned_features(play([BEST]), layer="advantage_fc"),
    "concepts": lambda play: concept_sensitivities(
        play([BEST]),
        concept=["oxygen<16", "player_y>=80", "divers_collected>=1"],
        layer=["conv3", "advantage_fc"],
    ),
}


def main(folder: Path, names: list[str]) -> None:
    """Makes what is not there yet."""

    def play(agents: list[str]) -> list[Subject]:
        return [_played(folder / "play", name) for name in agents]

    PICTURES.mkdir(exist_ok=True)
    (folder / "play").mkdir(parents=True, exist_ok=True)
    for name in names or ANALYSES:
        place = folder / name
        began = perf_counter()
        if not place.exists():
            ANALYSES[name](play).save(place)
        open_result(place).picture().savefig(PICTURES / f"{name}.png")
        print(f"{name}: {perf_counter() - began:.0f} s", flush=True)


def _played(folder: Path, name: str) -> Subject:
    place = folder / f"{name.replace('/', '-')}.zarr"
    if not place.exists():
        zoo.rollout(
            name,
            steps=STEPS,
            envs=ENVS,
            keep=["screens", "frames", "ram", "outputs"],
            layers=["fc"],
        ).save(place)
    return Subject(zoo.open_recording(place))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
