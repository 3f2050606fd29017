"""Runs of `atari-zoo train`: a folder with the configuration, and weights by their frames.

run/config.json                     algorithm, rom, seed, preprocessing and hyper-parameters
run/checkpoints/N.safetensors       the network's weights after N emulator frames
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from atari_zoo.converters.algorithms import ALGORITHMS
from atari_zoo.converters.environment_ids import game_of_rom
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.formats.torch_files import safetensors_in
from atari_zoo.converters.preprocessings import preprocessing_from
from atari_zoo.converters.registry import Probe, Source, reader
from atari_zoo.converters.weights.named_heads import HeadFacts
from atari_zoo.converters.weights.state_dicts import source_of

CONFIG, FOLDER = "config.json", "checkpoints"
LARGEST = 1 << 20  # bytes of a configuration
WEIGHTS = re.compile(r"([0-9]{1,15})\.safetensors")


def is_zoo_run(probe: Probe) -> bool:
    """Whether a folder is a run's: its configuration tells an algorithm and a game's rom."""
    if not probe.path.is_dir() or not {CONFIG, FOLDER} <= probe.names:
        return False
    try:
        return {"algorithm", "rom"} <= run_config(probe.path).keys()
    except ConversionError:
        return False


@reader(
    "zoo-run",
    "run's folder of atari-zoo train",
    "the last checkpoint of any algorithm that trains here",
    is_zoo_run,
)
def read_run(run: Path) -> Source:
    """The agent with the weights of the run's last checkpoint.

    Raises ConversionError if there is none, or the configuration or weights cannot be read.
    """
    weights = last_weights(run)
    card = run_card(run) | {"frames": int(weights.stem)}
    output = ALGORITHMS[card["algorithm"]].output
    source = source_of(safetensors_in(weights)[0], HeadFacts(output))
    source.card |= card
    source.written_by = "atari-zoo train"
    source.notes.insert(0, f"{weights.name!r} is the last checkpoint")
    return source


def last_weights(run: Path) -> Path:
    """The weights' file of most frames; raises ConversionError if there is none."""
    files = [file for file in (run / FOLDER).glob("*") if WEIGHTS.fullmatch(file.name)]
    if not files:
        raise ConversionError(f"{run / FOLDER}: no weights in it, such as 000000400000.safetensors")
    return max(files, key=lambda file: int(file.stem))


def run_card(run: Path) -> dict[str, Any]:
    """What a run's configuration tells of its agents: fields of a ModelCard.

    Raises ConversionError if it cannot be read, or lacks some of them.
    """
    config = run_config(run)
    try:
        algorithm = ALGORITHMS[config["algorithm"]]
        return {
            "algorithm": algorithm.name,
            "game": game_of_rom(config["rom"]),
            "run": str(config["seed"]),
            "action_rule": algorithm.action_rule,
            "preprocessing": preprocessing_from(config["preprocessing"]),
        }
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConversionError(f"{run / CONFIG}: no configuration of a run ({error})") from error


def run_config(run: Path) -> dict[str, Any]:
    """The object in a run's config.json; raises ConversionError if there is none."""
    file = run / CONFIG
    try:
        with file.open("rb") as content:
            config = json.loads(content.read(LARGEST))
    except (OSError, ValueError, RecursionError) as error:
        raise ConversionError(
            f"{file}: the configuration that a run of the zoo's trainer has was expected; "
            f"there is none, or a damaged one ({type(error).__name__})"
        ) from error
    if not isinstance(config, dict):
        raise ConversionError(f"{file}: an object was expected, not {type(config).__name__}")
    return config
