"""Spaces that moments are points of: the console's memory, its bits, or a layer's activations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int

from atari_zoo.analysis.subjects import Subject
from atari_zoo.recordings.arrays import not_kept

RAM, BITS = "ram", "bits"
SHARED = (RAM, BITS)  # spaces that are the same for every agent of a game


def check_space(subjects: Sequence[Subject], space: str) -> None:
    """Raises ValueError where the agents' moments are not points of one space, or not recorded."""
    for subject in subjects:
        ram = subject.recording.ram
        if space in SHARED and (ram is None or not len(ram)):
            raise ValueError(
                f"{subject.name}: {not_kept('RAM', 'ram')}, or embed a layer, such as space='fc'"
            )
    games: dict[str, str] = {}
    for subject in subjects:
        games.setdefault(subject.game, subject.name)
    if space in SHARED and len(games) > 1:
        (one, first), (other, second) = list(games.items())[:2]
        raise ValueError(
            f"{first} plays {one} and {second} plays {other}: a byte of RAM means another thing in "
            "each game, so they have no space in common; embed one game's agents at a time"
        )


def check_game(subjects: Sequence[Subject], game: str, space: str) -> None:
    """Raises ValueError for agents that play another game than that of an old embedding."""
    for subject in subjects:
        if space in SHARED and subject.game != game:
            raise ValueError(
                f"{subject.name} plays {subject.game}, and the embedding is of {game}: "
                "a byte of RAM means another thing in each game"
            )


def points_of(
    subject: Subject, space: str, moments: Int[np.ndarray, "points"]
) -> Float32[np.ndarray, "points features"]:
    """Some moments of an agent in a space: bytes 0 to 255, bits 0 or 1, or activations.

    Raises ValueError if there is no such layer.
    """
    if space == RAM:
        return subject.ram[moments].astype(np.float32)
    if space == BITS:
        return np.unpackbits(subject.ram[moments], axis=1).astype(np.float32)
    found = subject.activations(space)
    return found.reshape(len(found), -1)[moments]
