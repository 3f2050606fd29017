"""What was recorded while agents played."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped, UInt8
from torch import Tensor

from atari_zoo.arrays.lazy import Derived, Rows
from atari_zoo.converters.cards import ModelCard, Preprocessing
from atari_zoo.preprocessing.colours import colours
from atari_zoo.preprocessing.renderer import render
from atari_zoo.preprocessing.stacks import stacks_at
from atari_zoo.recordings.episodes import Episodes, episodes, scores_before, summary
from atari_zoo.recordings.recomputed import Recomputed

NAMES = frozenset(
    "ram terminated truncated actions executed rewards lives scores outputs probabilities".split()
)


class Recording:
    """Play of one agent in several environments; the first axes are (steps, envs).

    Of the large arrays, those that were not kept are None; those on a disk, or at an address, are
    read when they are indexed, and no more of them than that. The small ones are then empty, or
    read whole at first use.

    screens: the newest of the stacked frames that the agent saw before it acted.
    frames: the colour screen at the same time, the maximum of the emulator's last two.
    raw_frames: these two, oldest first, as indices into `palette`, RGB. greys: the emulator's own
        of the same colours, where they were kept.
    ram: the console's memory at the same time.
    starts: true where the agent's stack of frames begins anew: at a game's first step, and after a
        lost life if the preprocessing has that end its episodes. terminated, truncated: true at a
        game's last step.
    actions: as chosen, indices into the game's minimal actions; executed: as the emulator was
        given them. rewards, lives: what the step gave, and left.
    outputs, activations: the network's, by layer; of some, the model may compute them only when
        they are read. probabilities: of the actions.
    returns, lengths: of the episodes that counted, by environment, then in order; `counted` of
        each environment's first ones, or all that ended.
    played: how: the rule that chose actions, and noise, mode and the like where there were any.
    steps: of all environments together. seconds: what playing took; 0 or NaN where unknown.

    Raises ValueError for arrays of other names.
    """

    def __init__(
        self,
        card: ModelCard,
        game: str,
        preprocessing: Preprocessing,
        seed: int,
        screens: Rows | None = None,
        starts: Rows | None = None,
        frames: Rows | None = None,
        *,
        raw_frames: Rows | None = None,
        palette: UInt8[np.ndarray, "256 3"] | None = None,
        greys: UInt8[np.ndarray, "256"] | None = None,
        activations: Mapping[str, Rows] | None = None,
        returns: Float[np.ndarray, "episodes"] | None = None,
        lengths: Int[np.ndarray, "episodes"] | None = None,
        counted: Sequence[int] | None = None,
        steps: int | None = None,
        seconds: float = 0.0,
        played: Mapping[str, Any] | None = None,
        **arrays: Rows | None,
    ) -> None:
        if unknown := sorted(arrays.keys() - NAMES):
            raise ValueError(
                f"recordings have no '{unknown[0]}'; they have {', '.join(sorted(NAMES))}"
            )
        self.card, self.game, self.preprocessing, self.seed = card, game, preprocessing, seed
        self.raw_frames, self.palette, self.greys = raw_frames, palette, greys
        self.activations = dict(activations or {})
        self.counted, self.seconds, self.played = counted, seconds, dict(played or {})
        self.screens, self.ram = screens, arrays.get("ram")
        self.outputs, self.probabilities = arrays.get("outputs"), arrays.get("probabilities")
        self._arrays = {"starts": starts} | arrays
        self._frames, self._steps = frames, steps
        self._told = None if returns is None or lengths is None else Episodes(returns, lengths)
        again = self.played.get("recompute", {})
        for layer in again.get("layers", ()):
            shape = (0, 0) if starts is None else starts.shape
            made = Recomputed(self.observations, shape, card.name, layer, again["weights"])
            self.activations.setdefault(layer, made)

    @cached_property
    def starts(self) -> Bool[np.ndarray, "steps envs"]:
        return self._small("starts", bool)

    @cached_property
    def terminated(self) -> Bool[np.ndarray, "steps envs"]:
        return self._small("terminated", bool)

    @cached_property
    def truncated(self) -> Bool[np.ndarray, "steps envs"]:
        return self._small("truncated", bool)

    @cached_property
    def actions(self) -> Int[np.ndarray, "steps envs"]:
        return self._small("actions", int)

    @cached_property
    def executed(self) -> Int[np.ndarray, "steps envs"]:
        return self._small("executed", int) if "executed" in self._arrays else self.actions

    @cached_property
    def rewards(self) -> Float[np.ndarray, "steps envs"]:
        return self._small("rewards", float)

    @cached_property
    def lives(self) -> Int[np.ndarray, "steps envs"]:
        return self._small("lives", int)

    @cached_property
    def scores(self) -> Float[np.ndarray, "steps envs"]:
        """The episode's score before each step."""
        if self._arrays.get("scores") is not None:
            return self._small("scores", float)
        return scores_before(self.rewards, self.over)[0]

    @cached_property
    def over(self) -> Bool[np.ndarray, "steps envs"]:
        """True at the last step of each game, whether it terminated or was truncated."""
        if len(self.terminated):
            return self.terminated | self.truncated
        over = np.roll(self.starts, -1, axis=0)  # not kept: where the next one begins
        over[-1:] = False
        return over

    @property
    def frames(self) -> Rows | None:
        """The colour screens, RGB: (steps, envs, height, width, 3)."""
        if self.raw_frames is None or self.palette is None:
            return self._frames
        return Derived(self.raw_frames, colours(self.palette), (*self.raw_frames.shape[3:], 3))

    @property
    def ram_bits(self) -> Rows:
        """The RAM's bits, 0 or 1: (steps, envs, 1024), of each byte the most significant first.

        Raises ValueError if the RAM was not recorded.
        """
        if self.ram is None:
            raise ValueError("no RAM in this recording: record with keep=['ram']")
        return Derived(self.ram, lambda rows: np.unpackbits(rows, axis=-1), (1024,))

    @property
    def returns(self) -> Float[np.ndarray, "episodes"]:
        return self._episodes.returns

    @property
    def lengths(self) -> Int[np.ndarray, "episodes"]:
        return self._episodes.lengths

    @property
    def steps(self) -> int:
        return self.starts.size if self._steps is None else self._steps

    def observations(
        self,
        env: int = 0,
        steps: slice = slice(None),
        preprocessing: Preprocessing | None = None,
    ) -> Shaped[Tensor, "steps stack 84 84"]:
        """What the agent saw in one environment, the stacks rebuilt from single screens.

        steps: which ones. preprocessing: how another agent would have seen the same play, rendered
            from the raw frames; as this one saw it if not given.
        Returns bytes, or float32 in 0..1 where the preprocessing does not round; newest frame last.
        Raises ValueError if neither screens nor raw frames were recorded, or those do not serve.
        """
        of = preprocessing or self.preprocessing
        kept = self.screens

        def screens(start: int, stop: int) -> np.ndarray:
            if kept is not None and of == self.preprocessing:
                return np.asarray(kept[start:stop, env])
            return self._rendered(slice(start, stop), env, of)

        return stacks_at(steps, screens, self.starts[:, env], of)

    def summary(self) -> dict[str, Any]:
        """The episodes that counted, in numbers: see `recording_episodes.summary`."""
        return summary(self.card.name, self.game, self.returns, self.steps, self.seconds)

    def save(self, path: str | Path) -> None:
        """Writes it where `open_recording` finds it: see `recording_files.save_recording`."""
        from atari_zoo.recordings.files import save_recording

        save_recording(self, path)

    def to_minari(self, dataset_id: str, **metadata: Any) -> Any:
        """Makes a Minari dataset of it: see `minari_export.to_minari`."""
        from atari_zoo.recordings.minari import to_minari

        return to_minari(self, dataset_id, **metadata)

    def _rendered(self, steps: slice, env: int, of: Preprocessing) -> np.ndarray:
        if self.raw_frames is None or self.palette is None:
            wanted = "keep=['screens']" if self.screens is None else "keep=['frames']"
            what = "screens" if self.screens is None else "raw frames"
            raise ValueError(f"no {what} in this recording: record with {wanted}")
        pairs = torch.from_numpy(np.ascontiguousarray(self.raw_frames[steps, env]))
        if not len(pairs):
            return np.zeros((0, 84, 84), np.uint8)
        return render(pairs, self.palette, of, self.greys).numpy()

    @cached_property
    def _episodes(self) -> Episodes:
        if self._told is not None:
            return self._told
        return episodes(self.over, self.scores + self.rewards, self.counted)

    def _small(self, name: str, dtype: type) -> np.ndarray:
        array = self._arrays.get(name)
        return np.zeros((0, 0), dtype) if array is None else np.asarray(array)
