"""Edits of the console's memory at a moment that a served page shows, and what they change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.agent_states import as_it_was, recorded_states
from atari_zoo.converters.arguments import check_kinds
from atari_zoo.layers import activations
from atari_zoo.play.counterfactuals import EditedMoment, MomentEditor
from atari_zoo.play.replayed import ASTRAY, HELD, OVER, SLIPPED
from atari_zoo.ram.variables import VERIFIED, Variable, variables
from atari_zoo.viz.attribution.attribution import attribution_of
from atari_zoo.viz.explorer.decisions import action_ratings, rating_layers
from atari_zoo.viz.explorer.layers import quantised
from atari_zoo.viz.explorer.maps import STEPS, coarse_maps
from atari_zoo.viz.explorer.scripts import read_script, script_array, script_values
from atari_zoo.viz.explorer.settings import OPTIONS, ShownAgent

SLACK = 2  # how far a byte may be from what was set, once the frames are made


@dataclass(frozen=True)
class EditRequest:
    """What a page asks for.

    agent: its number on the page. step: of its play. variable: one of the game's. value: in its own
    units. method: of saliency, one of the page's; "" for none.
    """

    agent: int
    step: int
    variable: str
    value: float
    method: str = ""

    def __post_init__(self) -> None:
        check_kinds(self)
        if not isfinite(self.value):
            raise ValueError(f"value is {self.value}; expected a finite number")


class MomentEdits:
    """Edits of what agents of a page saw; one thread at a time.

    data: the folder of the page's data. seed: of methods of saliency.
    """

    def __init__(self, data: Path, game: str, seed: int) -> None:
        self.data, self.seed = data, seed
        self.variables = {variable.name: variable for variable in variables(game)}
        self._editors: dict[str, MomentEditor] = {}

    def edited(
        self, agent: ShownAgent, asked: EditRequest, progress: Callable[[int, int], None]
    ) -> dict[str, Any]:
        """What the page draws in place of what was recorded: screen, frames, ratings, layers, map.

        Raises ValueError for what is not there, and play that cannot be edited.
        """
        variable = self.variables.get(asked.variable)
        if variable is None:
            there = ", ".join(self.variables) or "none"
            raise ValueError(f"no variable '{asked.variable}'; there are: {there}")
        facts = read_script(self.data, f"{agent.folder}/facts")
        methods = {method["name"]: method for method in facts["methods"]}
        if asked.method and asked.method not in methods:
            raise ValueError(f"no maps of '{asked.method}' on this page")

        def ram(before: np.ndarray) -> Mapping[int, int]:
            byte = variable.byte(asked.value, int(before[variable.address]))
            return {variable.address: byte}

        if agent.screens not in self._editors:
            self._editors = {agent.screens: MomentEditor(agent.recording, agent.env)}  # of one
        found = self._editors[agent.screens].edited(asked.step, ram, SLACK, progress)
        told = _told(variable, asked.value, found, agent.recording.preprocessing.stack)
        if found.fate == ASTRAY:
            return told
        method = methods.get(asked.method)
        return (
            told
            | _pictures(found, agent)
            | self._computed(agent, asked.step, found.observation, facts["layers"])
            | ({} if method is None else self._map(agent, asked.step, found.observation, method))
        )

    def _computed(
        self, agent: ShownAgent, step: int, seen: Tensor, layers: list[dict[str, Any]]
    ) -> dict[str, Any]:
        network = agent.network
        state = recorded_states(network, agent.recording, agent.env, slice(step, step + 1))
        rating = rating_layers(network)
        names = list(dict.fromkeys([*(layer["name"] for layer in layers), *rating]))
        values = {
            name: found.float().numpy()
            for name, found in activations(network, seen, names, state=state).items()
        }
        rated = action_ratings(network, {name: values[name] for name in rating})
        rows = [_row(values[layer["name"]], layer) for layer in layers]
        return {
            "rated": script_array(rated.values[0].astype(np.float32)),
            "value": float(rated.value[0]),
            "layers": [row for row, _ in rows],
            "peaks": [peaks for _, peaks in rows],
        }

    def _map(
        self, agent: ShownAgent, step: int, seen: Tensor, method: dict[str, Any]
    ) -> dict[str, Any]:
        """In the steps of the scale that the play's maps have."""
        name = method["name"]
        asked = as_it_was(agent.network, agent.recording, step, agent.env)
        found = attribution_of(asked, seen, name, seed=self.seed, **OPTIONS.get(name, {}))
        cells = coarse_maps(found.values.abs().sum(dim=1).cpu().numpy())[0]
        stored = np.rint(np.clip(cells / method["full"], 0, 1) * STEPS).astype(np.uint8)
        return {"method": name, "map": script_array(stored), "largest": float(cells.max())}


def variable_rows(known: Mapping[str, Variable]) -> list[dict[str, Any]]:
    """What a page must know of variables that it offers: those of more than one value."""
    return [
        {
            "name": name,
            "values": variable.possible.tolist(),
            "words": f"byte {variable.address}, {variable.kind.replace('_', ' ')}; "
            f"{VERIFIED[variable.verified]}" + (f"; {variable.note}" if variable.note else ""),
        }
        for name, variable in known.items()
        if len(variable.possible) > 1
    ]


def recorded_values(
    known: Mapping[str, Variable], agent: ShownAgent, step: int
) -> dict[str, float | None]:
    """What variables were at a step; None where that is not known, or what they tell of absent."""
    rows = agent.recording.ram
    if rows is None or not len(rows):
        return dict.fromkeys(known)
    memory = np.asarray(rows[step, agent.env])
    return {name: _number(variable.values(memory)) for name, variable in known.items()}


def _told(variable: Variable, value: float, found: EditedMoment, frames: int) -> dict[str, Any]:
    was, now = (_number(variable.values(ram)) for ram in (found.before, found.after))
    fate = found.fate
    if fate == SLIPPED and now == value:
        fate = HELD  # other bits of the byte changed
    title = f"{variable.name} = {value:g}"
    end = "absent" if now is None else f"{now:g}"
    words = {
        HELD: f"It held: once the {frames} frames were made it is {end}.",
        SLIPPED: f"The edit did not hold: the game wrote over the byte, and once the {frames} "
        f"frames were made it is {end}.",
        OVER: "The edit did not hold: with it the game ends within these frames; the screen is the "
        "last before that.",
        ASTRAY: "The emulator refused: the game's program met an illegal instruction, and nothing "
        "of it is shown.",
    }[fate]
    before = "absent" if was is None else f"{was:g}"
    said = f"{title}, which was {before} {frames} steps before. {words}"
    return {"title": title, "fate": fate, "words": said, "now": now}


def _pictures(found: EditedMoment, agent: ShownAgent) -> dict[str, Any]:
    """The screen in colour, and the frames that the agent is given, as bytes, oldest first."""
    seen = agent.recording.preprocessing
    planes = (found.observation[0] * 255).round().to(torch.uint8)
    frames = planes.reshape(seen.stack, seen.channels, *planes.shape[1:]).permute(0, 2, 3, 1)
    return {"screen": script_array(found.screen), "frames": script_array(frames.numpy())}


def _row(
    values: Float[np.ndarray, "1 ..."], layer: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A layer in the steps of the play's own range, and each unit's largest value exactly."""
    if values.ndim not in (2, 4):
        values = values.reshape(1, -1)
    low, high = (script_values(layer[end]).astype(np.float32) for end in ("low", "high"))
    axes = (slice(None), *(None,) * (values.ndim - 2))
    stored = quantised(np.clip(values, low[axes], high[axes]), low, high)[0]
    peaks = values[0].reshape(len(values[0]), -1).max(axis=1)
    return script_array(stored), script_array(peaks.astype(np.float32))


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
