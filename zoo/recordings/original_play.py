"""Play that the original zoo recorded and kept beside its models: `model1_final_rollout.npz`.

For each step, 2501 as a rule: what the network saw, the screen, the RAM, the layer before the
output and the episode's score; and the returns of the episodes that ended. No actions were kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from atari_zoo.arrays.lazy import Derived, LazyArray, OneEnvironment, Rows
from atari_zoo.arrays.stored import StoredArray
from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.errors import ConversionError
from atari_zoo.recordings.arrays import LAYERS
from atari_zoo.recordings.episodes import summary
from atari_zoo.recordings.header import Header
from atari_zoo.recordings.original_arrays import stored_arrays
from atari_zoo.recordings.original_episodes import episode_lengths, episode_starts, rewards_of
from atari_zoo.recordings.original_files import card_of
from atari_zoo.recordings.recordings import Recording

OPTIONAL = ("frames", "ram", "representation")
# what a recording of the zoo calls those that have another name there
HERE = {"frames": "colours", "representation": f"{LAYERS}fc"}


def open_cached_play(path: str | Path, card: ModelCard | None = None) -> CachedPlay:
    """Opens a file of the original's cached play, or of `save_cached_play`.

    The first time it is read as a whole, and kept as Zarr in the cache: see `original_arrays`.

    card: of the model that played; what the file's name and folders tell if not given.
    Raises ConversionError if the file is damaged or none of cached play, OSError if there is none.

    >>> play = open_cached_play("a2c/SeaquestNoFrameskip-v4/model1_final_rollout.npz")
    >>> play.observations(1200, 1300).shape
    torch.Size([100, 4, 84, 84])
    """
    path = Path(path)
    return CachedPlay(path, card or card_of(path), stored_arrays(path))


class CachedPlay:
    """Play of one agent in one environment, of which no more is read than is asked for.

    card: the model's, as far as known. steps: how many. names: of the arrays that it has.
    Whatever reads the file raises ConversionError where that is damaged.
    """

    def __init__(self, path: Path, card: ModelCard, arrays: dict[str, StoredArray]) -> None:
        self.path, self.card, self._arrays = path, card, arrays
        self.steps, self.names = len(arrays["observations"]), tuple(arrays)

    def observations(self, start: int = 0, stop: int | None = None) -> Tensor:
        """What the agent saw: (steps, 4, 84, 84), oldest frame first, as networks take it.

        As stored: float32 in 0..1 (not all of the original's are n/255), or uint8.
        """
        rows = self._array("observations")[start:stop]
        return torch.from_numpy(np.ascontiguousarray(rows.transpose(0, 3, 1, 2)))

    @property
    def screens(self) -> LazyArray:
        """The newest frames of the observations, (steps, 1, 84, 84), read when they are indexed.

        As stored if the preprocessing does not round, else as bytes.
        """
        observations = OneEnvironment(self._array("observations"))
        if self.card.preprocessing.rounding == "none":
            return Derived(observations, _newest, (84, 84), observations.dtype)
        return Derived(observations, _newest_bytes, (84, 84))

    @property
    def frames(self) -> StoredArray:
        """Colour screens before each step, (steps, height, width, 3) uint8, to be sliced.

        Raises ValueError, as `ram` and `representation` do, if the file has none.
        """
        return self._array("frames")

    @property
    def ram(self) -> StoredArray:
        """The console's memory before each step, (steps, 128) uint8, to be sliced."""
        return self._array("ram")

    @cached_property
    def representation(self) -> Float[np.ndarray, "steps units"]:
        """The layer before the output; the axis of 1 that ES and GA have before it is dropped."""
        return np.asarray(self._array("representation")).reshape(self.steps, -1)

    @cached_property
    def score(self) -> Float[np.ndarray, "steps"]:
        """The episode's score before each step."""
        return np.asarray(self._array("score"), np.float64)

    @cached_property
    def returns(self) -> Float[np.ndarray, "episodes"]:
        """The scores of the episodes that ended; the limit of steps cut off the last ones."""
        return np.asarray(self._array("ep_rewards"), np.float64)

    @cached_property
    def episode_starts(self) -> Bool[np.ndarray, "steps"]:
        """True at an episode's first step, as far as that can be told; reads all observations."""
        pieces = self._array("observations").pieces()
        return episode_starts(pieces, self.score, len(self.returns))

    @cached_property
    def lengths(self) -> Int[np.ndarray, "episodes"]:
        """Steps of the episodes that ended.

        Raises ConversionError if those that were found are not as many as there are returns.
        """
        try:
            return episode_lengths(self.episode_starts, len(self.returns))
        except ConversionError as error:
            raise ConversionError(f"{self.path}: {error}") from error

    @cached_property
    def rewards(self) -> Float[np.ndarray, "steps"]:
        """What each step added to the score; 0 for the last step if its episode did not end."""
        return rewards_of(self.score, self.returns, self.lengths)

    def summary(self) -> dict[str, Any]:
        """The episodes in numbers, as `Recording.summary` has them; the speed is not known."""
        return summary(self.card.name, self.card.game, self.returns, self.steps, 0.0)

    def to_recording(self, keep: Sequence[str] | None = ("screens",)) -> Recording:
        """As a Recording of one environment; `actions` and `lives` are empty: none were kept.

        keep: "screens", "frames" (both read from the file when indexed), "ram", "representation"
            (as activations of "fc"); None for what is there.
        """
        there = ["screens", *(name for name in OPTIONAL if name in self.names)]
        keep = there if keep is None else keep
        unknown = [name for name in keep if name not in ("screens", *OPTIONAL)]
        if unknown:
            choice = ", ".join(("screens", *OPTIONAL))
            raise ValueError(f"cannot keep '{unknown[0]}'; there are {choice}")
        zeros = not self.observations(0, 1)[:, :-1].any()
        stack_start = "zeros" if zeros else "copies"  # the original's are copies
        header = Header(
            self.card,
            self.card.game,
            replace(self.card.preprocessing, stack_start=stack_start),
            steps=self.steps,
            returns=self.returns.tolist(),
            lengths=self.lengths.tolist(),
        )
        asked: dict[str, Callable[[], Rows]] = {
            "screens": lambda: self.screens,
            "frames": lambda: OneEnvironment(self.frames),
            "ram": lambda: OneEnvironment(self.ram),
            "representation": lambda: self.representation[:, None],
        }
        arrays = {HERE.get(name, name): read() for name, read in asked.items() if name in keep}
        arrays |= {"starts": self.episode_starts[:, None], "rewards": self.rewards[:, None]}
        return Recording(header, arrays)

    def _array(self, name: str) -> StoredArray:
        if name not in self._arrays:
            raise ValueError(f"{self.path}: no '{name}' in it; there are {', '.join(self.names)}")
        return self._arrays[name]


def _newest(rows: np.ndarray) -> np.ndarray:
    return rows[..., 3]


def _newest_bytes(rows: np.ndarray) -> np.ndarray:
    screens = _newest(rows)
    return screens if rows.dtype == np.uint8 else np.rint(screens * 255).astype(np.uint8)
