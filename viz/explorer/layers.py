"""Layers of an explorer: what each unit computed at every step, in 64 steps of its own range."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from atari_zoo.converters.network.foreign import Network
from atari_zoo.units.numbering import layer_shape
from atari_zoo.viz.explorer.scripts import script_array, write_script
from atari_zoo.viz.explorer.settings import ShownAgent, chunks
from atari_zoo.viz.movies.shown_layers import shown_layers

STEPS = 63  # from a unit's least to its most: what is shown is off by 1/126 of that at most
MOST_NUMBERS = 50_000  # of a layer at one step, that is shown unasked


def layers_to_show(network: Network, wanted: tuple[str, ...]) -> list[str]:
    """Those that are wanted; else the convolutions, the dense layer and the memory, but for maps of
    more than 50,000 numbers.

    Raises ValueError if there is no such layer.
    """
    for name in wanted:
        if name not in network.layers:
            raise ValueError(f"no layer '{name}'; there are {', '.join(network.layers)}")
    if wanted:
        return list(dict.fromkeys(wanted))
    names = shown_layers(network).names
    return [name for name in names if np.prod(layer_shape(name, network)) <= MOST_NUMBERS]


def write_layer(folder: Path, agent: ShownAgent, layer: str, number: int) -> dict[str, Any]:
    """Writes a layer's values; returns its name, shape, and each unit's least and most.

    number: of the layer, for its files' names.
    """
    values = agent.values(layer)
    if values.ndim not in (2, 4):
        values = values.reshape(len(values), -1)
    low, high = _range(values)
    for part, span in enumerate(chunks(agent.steps)):
        stored = quantised(values[span], low, high)
        write_script(
            folder, f"{agent.folder}/layer{number}_{part}", script_array(stored, changes=True)
        )
    return {
        "name": layer,
        "shape": list(values.shape[1:]),
        "low": script_array(low.astype(np.float32)),
        "high": script_array(high.astype(np.float32)),
    }


def quantised(
    values: Float[np.ndarray, "steps units *map"],
    low: Float[np.ndarray, "units"],
    high: Float[np.ndarray, "units"],
) -> UInt8[np.ndarray, "steps units *map"]:
    """0 at a unit's least value, 63 at its most; 0 where these are the same."""
    axes = (slice(None), *(None,) * (values.ndim - 2))
    spread = np.where(high > low, high - low, 1)
    return np.rint((values - low[axes]) / spread[axes] * STEPS).astype(np.uint8)


def _range(
    values: Float[np.ndarray, "steps units *map"],
) -> tuple[Float[np.ndarray, "units"], Float[np.ndarray, "units"]]:
    axes = (0, *range(2, values.ndim))
    return values.min(axis=axes), values.max(axis=axes)
