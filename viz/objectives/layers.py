"""Objectives of layers, as an objective's text names them."""

from __future__ import annotations

from itertools import product

import numpy as np

from atari_zoo.converters.network.foreign import Network
from atari_zoo.units.numbering import (
    Thing,
    index_numbers,
    is_by_action,
    layer_shape,
    unit_called,
)
from atari_zoo.viz.objectives import units as unit_objectives
from atari_zoo.viz.objectives.objectives import Objective


def layer_objective(thing: Thing, network: Network) -> Objective:
    """Units of a layer, or, without an index, all of it; a single value is itself.

    Raises ValueError with the reason, and with the place in the text where that is an index.
    """
    layer, rectified = thing.name, thing.rectified
    shape = layer_shape(layer, network)
    if not thing.indices and thing.place is None:
        alone = shape == (1,)
        return (
            unit_objectives.units(layer, 0)
            if alone
            else unit_objectives.whole_layer(layer, rectified)
        )
    maps = len(shape) == 3
    chosen = index_numbers(thing, network, shape[:1] if maps else shape, "unit")
    if thing.place is not None:
        return _at_place(thing, chosen, shape)
    if len(chosen) == 1:
        found = unit_objectives.units(layer, chosen[0], rectified)
    else:
        first, second = zip(*product(*chosen), strict=True)
        found = unit_objectives.pair(layer, first, second)
    if maps or rectified or not is_by_action(thing, network, 0):
        return found
    numbers = (int(np.ravel_multi_index(indices, shape)) for indices in product(*chosen))
    return Objective(found.terms, tuple(unit_called(layer, n, shape, network) for n in numbers))


def _at_place(thing: Thing, numbers: list[list[int]], shape: tuple[int, ...]) -> Objective:
    assert thing.place is not None
    if len(shape) != 3:
        raise ValueError(f"{thing.name} has no map, so no place @ on it")
    if isinstance(thing.place, str):
        return unit_objectives.peak(thing.name, numbers[0], thing.rectified)
    for what, index, size in zip(("row", "column"), thing.place, shape[1:], strict=True):
        if index >= size:
            raise ValueError(f"no {what} {index} in {thing.name}; expected 0 to {size - 1}")
    return unit_objectives.neuron(thing.name, numbers[0], thing.place, thing.rectified)
