"""Correlates of units in an atlas: outputs, and variables in the console's memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas
from jaxtyping import Float, Int
from torch import Tensor

from atari_zoo.analysis.measures.correlations import spearman
from atari_zoo.recordings.recordings import Recording

MOST = 600  # observations that are compared
SHOWN = 2  # of each kind, of a unit
SHIFTS = (0.2, 0.4, 0.6, 0.8)  # of the play, by which it is moved as a control
ALIKE = 0.3  # of rank correlation: less is not said


class Linked:
    """The things that units may go with, at some observations of play.

    kept: which observations. outputs: (observations, actions) at all of them, and the actions'
    names; without names they are left out. The state's value, which all outputs of a Q-network
    share, is taken out.
    """

    def __init__(
        self,
        recording: Recording,
        kept: Int[np.ndarray, "some"],
        outputs: Tensor | None,
        actions: list[str],
    ) -> None:
        self.kept = kept[:: -(-len(kept) // MOST)]
        self._things: dict[str, pandas.DataFrame] = {}
        if outputs is not None and len(actions) == outputs.shape[1]:
            numbers = outputs[self.kept].numpy()
            numbers = numbers - numbers.mean(axis=1, keepdims=True)
            self._things["outputs"] = pandas.DataFrame(numbers, columns=actions)
        variables = _variables(recording)
        if variables is not None:
            self._things["ram"] = variables.iloc[self.kept]

    def links(self, values: Float[Tensor, "observations units"]) -> list[dict[str, Any]]:
        """For each unit, by kind, what it rises or falls with most: [name, rank correlation]; and
        `chance`, the largest that it has with anything of that kind at other times."""
        own = values[self.kept].nan_to_num().numpy()
        found: list[dict[str, Any]] = [{} for _ in range(own.shape[1])]
        for kind, table in self._things.items():
            things = table.to_numpy(float)
            ranks = spearman(own, things)
            moved = [
                spearman(own, np.roll(things, round(share * len(things)), axis=0))
                for share in SHIFTS
            ]
            chance = np.abs(moved).max(axis=(0, 2))
            for unit, row in enumerate(ranks):
                best = np.argsort(-np.abs(row), kind="stable")[:SHOWN]
                found[unit][kind] = [
                    [str(table.columns[n]), round(float(row[n]), 2)]
                    for n in best
                    if abs(row[n]) > max(ALIKE, chance[unit])
                ]
                found[unit][f"{kind}_chance"] = round(float(chance[unit]), 2)
        return found

    @property
    def kinds(self) -> Mapping[str, int]:
        """How many things there are of each kind."""
        return {kind: table.shape[1] for kind, table in self._things.items()}


def _variables(recording: Recording) -> pandas.DataFrame | None:
    """The game's named variables that change, at every observation; None where there are none."""
    try:
        found = recording.variables.reset_index(drop=True)
    except ValueError:  # the memory was not kept, or nothing is known of the game's
        return None
    changing = [name for name in found.columns if found[name].nunique() > 1]
    return found[changing] if changing else None
