"""Recordings: what was seen, done and computed while an agent played."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped, UInt8
from torch import Tensor

from atari_zoo.arrays.lazy import Derived, Rows
from atari_zoo.converters.cards import ModelCard, Preprocessing
from atari_zoo.converters.displays import notebook_html
from atari_zoo.games import game as find_game
from atari_zoo.preprocessing.colours import colours
from atari_zoo.preprocessing.renderer import rendered_screens
from atari_zoo.preprocessing.stacks import stacks_at
from atari_zoo.ram.variables import BYTES, decoded, variables
from atari_zoo.recordings.arrays import LAYERS, Arrays, array_layer, layer_array, layout, not_kept
from atari_zoo.recordings.episodes import Episodes, episodes, summary
from atari_zoo.recordings.header import Header
from atari_zoo.recordings.recomputed import Recomputed

if TYPE_CHECKING:
    import pandas


class Recording(Arrays):
    """Play of one agent in several environments; the first axes of its arrays are (steps, envs).

    Its arrays are the attributes that `Arrays` declares. Those on a disk, or at an address, are
    read when they are indexed, and no more of them than that; the small ones whole at first use.

    header: of which card, game, preprocessing, seed, palette, greys and options can be had from
        the recording too.
    arrays: those that there are, by their names on disk, such as "ram" or "activations/fc".
    activations: by layer; of some, the model may compute them only when they are read.
    returns, lengths: of the episodes that counted, by environment, then in order; `counted` of
        each environment's first ones, or all that ended.
    steps: of all environments together. seconds: what playing took; 0 or NaN where unknown.

    Raises ValueError for arrays of other names or shapes.

    >>> Recording(Header(card, "Pong", preprocessing), {"starts": starts, "screens": screens})
    """

    def __init__(self, header: Header, arrays: Mapping[str, Rows | None]) -> None:
        for name, rows in arrays.items():
            _check(name, rows)
        self.header = header
        self.arrays = {name: rows for name, rows in arrays.items() if rows is not None}
        self.activations: dict[str, Rows] = {
            array_layer(name): rows for name, rows in self.arrays.items() if name.startswith(LAYERS)
        }
        again = self.options.get("recompute", {})
        for layer in again.get("layers", ()):
            made = Recomputed(
                self.observations,
                self._states,
                self._steps_envs,
                self.card.name,
                layer,
                again["weights"],
            )
            self.activations.setdefault(layer, made)

    _repr_html_ = notebook_html

    def __repr__(self) -> str:
        steps, envs = self._steps_envs
        size = f"{steps:,} steps in {envs} environment{'s' * (envs != 1)}"
        return f"<Recording of {self.card.name} in {self.game}: {size}; {', '.join(self.arrays)}>"

    @property
    def card(self) -> ModelCard:
        return self.header.card

    @property
    def game(self) -> str:
        return self.header.game

    @property
    def action_names(self) -> tuple[str, ...]:
        """ALE's, by the actions' numbers: the game's own, or those that the agent has."""
        return tuple(self.options.get("actions", ())) or find_game(self.game).actions

    @property
    def preprocessing(self) -> Preprocessing:
        return self.header.preprocessing

    @property
    def seed(self) -> int:
        return self.header.seed

    @property
    def options(self) -> dict[str, Any]:
        """Of the rollout: the rule that chose actions, and what was not as usual."""
        return self.header.options

    @property
    def seconds(self) -> float:
        return self.header.seconds

    @property
    def palette(self) -> UInt8[np.ndarray, "256 3"] | None:
        """RGB of what `raw_frames` point to."""
        return self.header.palette

    @property
    def greys(self) -> UInt8[np.ndarray, "256"] | None:
        """The emulator's own of the same colours, where they were kept."""
        return self.header.greys

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
        """The colour screens, RGB, the maximum of the pairs: (steps, envs, height, width, 3)."""
        if self.raw_frames is None or self.palette is None:
            return self.colours
        return Derived(self.raw_frames, colours(self.palette), (*self.raw_frames.shape[3:], 3))

    @property
    def ram_bits(self) -> Rows:
        """The RAM's bits, 0 or 1: (steps, envs, 1024), of each byte the most significant first.

        Raises ValueError if the RAM was not recorded.
        """
        if self.ram is None:
            raise not_kept("RAM", "ram")
        return Derived(self.ram, lambda rows: np.unpackbits(rows, axis=-1), (1024,))

    @cached_property
    def variables(self) -> pandas.DataFrame:
        """The game's named variables, read from the RAM: a row for each step of each environment,
        (step, env) in its index, a column for each; NaN where what it tells of is absent.

        Columns come of games whose memory is known, see `atari_zoo.variables`; else there are none.
        Raises ValueError if the RAM was not recorded.
        """
        import pandas

        if self.ram is None or not len(self.ram):
            raise not_kept("RAM", "ram")
        steps, envs = self._steps_envs
        index = pandas.MultiIndex.from_product([range(steps), range(envs)], names=["step", "env"])
        found = decoded(variables(self.game), np.asarray(self.ram[:]).reshape(-1, BYTES))
        return pandas.DataFrame(found, index=index, dtype=float)

    @property
    def returns(self) -> Float[np.ndarray, "episodes"]:
        return self._episodes.returns

    @property
    def lengths(self) -> Int[np.ndarray, "episodes"]:
        return self._episodes.lengths

    @property
    def steps(self) -> int:
        return self.header.steps * self.header.envs or self.starts.size

    def observations(
        self,
        env: int = 0,
        steps: slice = slice(None),
        preprocessing: Preprocessing | None = None,
    ) -> Shaped[Tensor, "steps channels height width"]:
        """What the agent saw in one environment, the stacks rebuilt from single screens.

        steps: which ones. preprocessing: how another agent would have seen the same play, rendered
            from the raw frames; as this one saw it if not given.
        Returns bytes, or float32 in 0..1 where the preprocessing does not round; newest frame last.
        Raises ValueError if there is no such environment, if neither screens nor raw frames were
            recorded, or those do not serve.
        """
        check_environment(self, env)
        wanted = preprocessing or self.preprocessing
        kept = self.screens

        def screens(start: int, stop: int) -> np.ndarray:
            if kept is not None and wanted == self.preprocessing:
                return np.asarray(kept[start:stop, env])
            return self._rendered(slice(start, stop), env, wanted)

        return stacks_at(steps, screens, self.starts[:, env], wanted)

    def summary(self) -> dict[str, Any]:
        """The episodes that counted, in numbers: see `episodes.summary`."""
        return summary(self.card.name, self.game, self.returns, self.steps, self.seconds)

    def save(self, path: str | Path) -> None:
        """Writes it where `open_recording` finds it: see `files.save_recording`."""
        from atari_zoo.recordings.files import save_recording

        save_recording(self, path)

    def to_minari(self, dataset_id: str, **metadata: Any) -> Any:
        """Makes a Minari dataset of it: see `minari.to_minari`."""
        from atari_zoo.recordings.minari import to_minari

        return to_minari(self, dataset_id, **metadata)

    def _rendered(self, steps: slice, env: int, preprocessing: Preprocessing) -> np.ndarray:
        if self.raw_frames is None or self.palette is None:
            if self.screens is None:
                raise not_kept("screens", "screens")
            raise not_kept("raw frames", "frames")
        pairs = torch.from_numpy(np.ascontiguousarray(self.raw_frames[steps, env]))
        if not len(pairs):
            return np.zeros((0, *preprocessing.frame), np.uint8)
        return rendered_screens(pairs, self.palette, preprocessing, self.greys).numpy()

    def all_arrays(self) -> dict[str, Rows]:
        """What there is, by the names on disk; scores and recomputed activations too."""
        layers = {layer_array(layer): rows for layer, rows in self.activations.items()}
        found = self.arrays | {"scores": self.scores} | layers
        return {name: rows for name, rows in found.items() if len(rows)}

    def _states(self, env: int, steps: slice) -> Tensor | None:
        kept = self.state
        return None if kept is None else torch.from_numpy(np.array(kept[steps, env]))

    @property
    def _steps_envs(self) -> tuple[int, ...]:
        starts = self.arrays.get("starts")
        return (0, 0) if starts is None else starts.shape

    @cached_property
    def _episodes(self) -> Episodes:
        header = self.header
        if header.returns is not None and header.lengths is not None:
            return Episodes(np.array(header.returns, float), np.array(header.lengths, int))
        return episodes(self.over, self.scores + self.rewards, header.counted)


def check_environment(recording: Recording, env: int) -> None:
    """Raises ValueError if the recording has no such environment."""
    envs = recording.starts.shape[1] if len(recording.starts) else 0
    if envs and not (isinstance(env, int) and 0 <= env < envs):
        raise ValueError(f"env is {env}; the recording has environments 0 to {envs - 1}")


def _check(name: str, rows: Rows | None) -> None:
    declared = layout(name)  # raises ValueError
    # of what is not in memory, whoever reads it finds out
    if isinstance(rows, np.ndarray) and rows.size and not declared.fits(rows.shape[2:]):
        wanted = ", ".join(map(str, declared.row or ())).replace("-1", "any")
        raise ValueError(f"'{name}' is {rows.shape}; expected steps, environments, {wanted}")
