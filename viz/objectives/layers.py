"""Layers' names with indices, as an objective's text has them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch

from atari_zoo.converters.network.foreign import Network, observation_shape
from atari_zoo.converters.network.heads import Dense
from atari_zoo.converters.network.networks import Convolution
from atari_zoo.converters.network.outputs import OUTPUT
from atari_zoo.games import game as find_game
from atari_zoo.viz.objectives import units as unit_objectives
from atari_zoo.viz.objectives.objectives import Objective
from atari_zoo.viz.objectives.values import Reference, values_of

DISTRIBUTIONS = "atoms", "quantiles"  # layers of values behind an output, (actions, numbers)


@dataclass(frozen=True)
class UnitIndex:
    """first to last; or a name: an action's, a layer's, or * for all. place: in the text."""

    name: str
    first: int = 0
    last: int = 0
    place: int = 0


@dataclass(frozen=True)
class Thing:
    """A name with its indices, the place (row, column) on the map, or "max" for its largest value,
    and whether after the ReLU."""

    name: str
    indices: tuple[UnitIndex, ...] = ()
    place: tuple[int, int] | str | None = None
    rectified: bool = False


def layer_objective(thing: Thing, network: Network) -> Objective:
    """Units of a layer, or, without an index, all of it; a single value is itself.

    Raises ValueError with the reason, and with the place in the text where that is an index.
    """
    layer, rectified = thing.name, thing.rectified
    shape = _shape(layer, network)
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
    if maps or rectified or not _by_action(thing, network, 0):
        return found
    numbers = (int(np.ravel_multi_index(indices, shape)) for indices in product(*chosen))
    return Objective(found.terms, tuple(_called(layer, n, shape, network) for n in numbers))


def unit_numbers(thing: Thing, network: Network) -> list[int]:
    """The units that a layer's indices stand for, its axes but the map's counted through; without
    an index all of them.

    Raises ValueError with the reason, and with the place in the text where that is an index.
    """
    if thing.name not in network.layers:
        raise ValueError(f"no layer '{thing.name}'; there are {', '.join(network.layers)}")
    shape = _shape(thing.name, network)
    sizes = shape[:1] if len(shape) == 3 else shape
    if not thing.indices:
        return list(range(int(np.prod(sizes))))
    chosen = index_numbers(thing, network, sizes, "unit")
    return [int(np.ravel_multi_index(indices, sizes)) for indices in product(*chosen)]


def unit_name(layer: str, unit: int, network: Network) -> str:
    """What a unit is called: an action's output by the action, as in output:FIRE."""
    return _called(layer, unit, _shape(layer, network), network)


def behind_output(thing: Thing, network: Network, number: UnitIndex) -> Thing | None:
    """The atom or quantile of that number, of the action that an output rates: output:FIRE@2 is
    atoms:FIRE,2; None for anything but an output.

    Raises ValueError, with the place in the text, if there is no distribution behind it.
    """
    if thing.name != OUTPUT or len(thing.indices) != 1:
        return None
    layer = next((name for name in DISTRIBUTIONS if name in network.layers), "")
    if not layer:
        raise ValueError(
            f"no atoms or quantiles behind {OUTPUT} in this network, so no number @", number.place
        )
    return Thing(layer, (*thing.indices, number))


def _called(layer: str, unit: int, shape: tuple[int, ...], network: Network) -> str:
    first, *rest = np.unravel_index(unit, shape[:1] if len(shape) == 3 else shape)
    words = [str(int(index)) for index in (first, *rest)]
    names = _actions(network)
    if _by_action(Thing(layer), network, 0) and shape[0] == network.actions == len(names):
        words[0] = names[int(first)]
    return f"{layer}:{','.join(words)}"


def _shape(layer: str, network: Network) -> tuple[int, ...]:
    """Of what a layer computes of one observation."""
    weight = next(network.parameters())
    black = torch.zeros(1, *observation_shape(network), dtype=weight.dtype, device=weight.device)
    reference = Reference(layer)
    return tuple(values_of(network, [reference], black)[reference].shape[1:])


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


def index_numbers(
    thing: Thing, network: Network, sizes: tuple[int, ...], what: str
) -> list[list[int]]:
    """The numbers that each index stands for."""
    if len(thing.indices) != len(sizes):
        words = " x ".join(map(str, sizes))
        raise ValueError(
            f"{thing.name} has {words} {what}s: expected {len(sizes)} "
            f"{'index' if len(sizes) == 1 else 'indices'}, not {len(thing.indices)}, as in "
            f"{thing.name}:{','.join('0' * len(sizes))}"
        )
    return [
        _range(index, size, f"{what} in {thing.name}", network, _by_action(thing, network, axis))
        for axis, (index, size) in enumerate(zip(thing.indices, sizes, strict=True))
    ]


def _by_action(thing: Thing, network: Network, axis: int) -> bool:
    """Whether an axis is that of the actions: so are the first ones of all layers that follow
    the dense one, and the margin's."""
    layer = network.layers.get(thing.name)
    return axis == 0 and not isinstance(layer, Convolution | Dense) and thing.name != "frame_l2"


def _range(index: UnitIndex, size: int, what: str, network: Network, actions: bool) -> list[int]:
    if index.name == "*":
        return list(range(size))
    if index.name:
        names = _actions(network) if actions and size == network.actions else ()
        if index.name.upper() not in names:
            known = f"; there are {', '.join(names)}" if names else "; expected a number"
            raise ValueError(f"no {what} is called '{index.name}'{known}", index.place)
        return [names.index(index.name.upper())]
    if index.last >= size:
        kind, _, where = what.partition(" ")
        raise ValueError(f"no {kind} {index.last} {where}; expected 0 to {size - 1}", index.place)
    return list(range(index.first, index.last + 1))


def _actions(network: Network) -> tuple[str, ...]:
    """The actions' names: the card's, else its game's."""
    card = network.card
    if card.action_meanings:
        return tuple(name.upper() for name in card.action_meanings)
    return find_game(card.game).actions if card.game else ()
