"""Files of cached play: what they hold, and what their names tell.

The original zoo wrote `{algorithm}/{environment id}/model{run}_{tag}_rollout.npz` (config.py,
model_maker.py and rollout.py of uber-research/atari-model-zoo).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from atari_zoo.arrays.npz import NpzArray, npz_arrays
from atari_zoo.converters.algorithms import ALGORITHMS
from atari_zoo.converters.cards import PREPROCESSINGS, ModelCard, Preprocessing
from atari_zoo.converters.environment_ids import game_of
from atari_zoo.converters.errors import ConversionError

STEPS = 1_000_000  # the most that are read
LONGEST = 4096  # an axis that may have any length
# `preprocess_style` in model_maker.py; the others are "tf"
STYLES = {"impala": "np", "dqn": "dopamine-zoo", "rainbow": "dopamine-zoo"}
NAME = re.compile(r"model(\d+)(?:_(.+))?_rollout\.npz")


@dataclass(frozen=True)
class Stored:
    """One array of the file, a row a step.

    types: the first is what is written. row: a row's shapes, -1 for any length.
    """

    types: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]
    required: bool = False


ARRAYS: dict[str, Stored] = {
    "observations": Stored(("float32", "uint8"), ((84, 84, 4),), required=True),
    "frames": Stored(("uint8",), ((-1, -1, 3),)),
    "ram": Stored(("uint8",), ((128,),)),
    # the layer of ES and GA has an axis of 1 more
    "representation": Stored(("float32",), ((-1,), (1, -1))),
    "score": Stored(("float64", "float32", "int64"), ((),), required=True),
    "ep_rewards": Stored(("float64", "float32", "int64"), ((),), required=True),
}


def cached_arrays(path: Path) -> dict[str, NpzArray]:
    """The arrays of a file of cached play, their headers checked, none of them read.

    Raises ConversionError, naming the file, if it is damaged or no cached play.
    """
    arrays = npz_arrays(path, ARRAYS)
    missing = [name for name, stored in ARRAYS.items() if stored.required and name not in arrays]
    if missing:
        raise ConversionError(f"{path}: no cached play: it lacks '{missing[0]}'")
    steps = len(arrays["observations"])
    if not 0 < steps <= STEPS:
        raise ConversionError(f"{path}: {steps} steps; from 1 to {STEPS} were expected")
    for name, array in arrays.items():
        _check(path, name, array)
        count = len(array)
        if count > steps or (count != steps and name != "ep_rewards"):
            raise ConversionError(f"{path}: {steps} observations, but '{name}' has {count} rows")
    return arrays


def card_of(path: Path) -> ModelCard:
    """The card of the model that played, as far as the file's name and folders tell."""
    named = NAME.fullmatch(path.name)
    if named is None:
        return ModelCard()
    folders = path.absolute().parts
    tag = "" if named[2] in (None, "final") else named[2]
    card = ModelCard(game=game_of(folders[-2]), run=named[1], tag=tag)
    algorithm = ALGORITHMS.get(folders[-3] if len(folders) > 3 else "")
    if algorithm is None:
        return card
    return card.replace(
        collection="uber",
        algorithm=algorithm.name,
        action_rule=algorithm.action_rule,
        preprocessing=played_with(algorithm.name),
    )


def played_with(algorithm: str) -> Preprocessing:
    """What the original zoo played the agents of an algorithm with, when it cached their play."""
    return PREPROCESSINGS[STYLES.get(algorithm, "tf")]


def _check(path: Path, name: str, array: NpzArray) -> None:
    stored, shape = ARRAYS[name], array.shape[1:]
    if array.dtype.name not in stored.types:
        raise ConversionError(
            f"{path}: '{name}' is {array.dtype}; {' or '.join(stored.types)} was expected"
        )
    if not any(_fits(shape, row) for row in stored.rows):
        wanted = " or ".join(_words(row) for row in stored.rows)
        raise ConversionError(f"{path}: '{name}' is {_words(shape)} a step; expected {wanted}")


def _fits(shape: tuple[int, ...], row: tuple[int, ...]) -> bool:
    return len(shape) == len(row) and all(
        size == wanted or (wanted == -1 and 0 < size <= LONGEST)
        for size, wanted in zip(shape, row, strict=True)
    )


def _words(row: tuple[int, ...]) -> str:
    return "x".join("any" if size == -1 else str(size) for size in row) or "one number"
