"""Units by their numbers: layers' names with indices, as texts have them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.converters.network.foreign import Network, observation_shape
from atari_zoo.converters.network.heads import Dense
from atari_zoo.converters.network.hooks import recorded
from atari_zoo.converters.network.networks import Convolution
from atari_zoo.converters.network.outputs import OUTPUT
from atari_zoo.games import game as find_game

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


def unit_numbers(thing: Thing, network: Network) -> list[int]:
    """The units that a layer's indices stand for, its axes but the map's counted through; without
    an index all of them. Of a layer that has one axis, each index is of units of its own.

    Raises ValueError with the reason, and with the place in the text where that is an index.
    """
    if thing.name not in network.layers:
        raise ValueError(f"no layer '{thing.name}'; there are {', '.join(network.layers)}")
    shape = layer_shape(thing.name, network)
    sizes = shape[:1] if len(shape) == 3 else shape
    if not thing.indices:
        return list(range(int(np.prod(sizes))))
    if len(sizes) == 1:
        each = [replace(thing, indices=(index,)) for index in thing.indices]
        several = [index_numbers(one, network, sizes, "unit")[0] for one in each]
        return list(dict.fromkeys(number for numbers in several for number in numbers))
    chosen = index_numbers(thing, network, sizes, "unit")
    return [int(np.ravel_multi_index(indices, sizes)) for indices in product(*chosen)]


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


def unit_name(layer: str, unit: int, network: Network) -> str:
    """What a unit is called: an action's output by the action, as in output:FIRE."""
    return unit_called(layer, unit, layer_shape(layer, network), network)


def unit_called(layer: str, unit: int, shape: tuple[int, ...], network: Network) -> str:
    """The same, where the layer's shape is known."""
    first, *rest = np.unravel_index(unit, shape[:1] if len(shape) == 3 else shape)
    words = [str(int(index)) for index in (first, *rest)]
    names = _actions(network)
    if is_by_action(Thing(layer), network, 0) and shape[0] == network.actions == len(names):
        words[0] = names[int(first)]
    return f"{layer}:{','.join(words)}"


def layer_shape(layer: str, network: Network) -> tuple[int, ...]:
    """Of what a layer computes of one observation: its units, then the places of their maps.

    Where a dense layer has several values for a unit (IQN's, one for each quantile), the units'.
    """
    shape = _value_shape(layer, network)
    return shape[1:] if _has_several(layer, shape, network) else shape


def spread_over(layer: str, numbers: Float[Tensor, "units"], network: Network) -> Tensor:
    """A number for each unit, as `unit_numbers` counts them, at all places of the layer's value of
    one observation."""
    shape = _value_shape(layer, network)
    if len(shape) == 3:
        return numbers[:, None, None].expand(shape).contiguous()
    if _has_several(layer, shape, network):
        return numbers.expand(shape).contiguous()
    return numbers.reshape(shape)


def runs(layer: str, network: Network) -> int:
    """How often the layer's module runs for one observation: more than once where it is shared."""
    counted = list[None]()
    counter = network.layers[layer].register_forward_hook(lambda *_: counted.append(None))
    try:
        _value_shape(layer, network)
    finally:
        counter.remove()
    return len(counted)


def _value_shape(layer: str, network: Network) -> tuple[int, ...]:
    weight = next(network.parameters())
    black = torch.zeros(1, *observation_shape(network), dtype=weight.dtype, device=weight.device)
    with torch.no_grad(), recorded(network, [layer]) as values:
        network(black)
    return tuple(values[layer].shape[1:])


def _has_several(layer: str, shape: tuple[int, ...], network: Network) -> bool:
    return isinstance(network.layers[layer], Dense) and len(shape) == 2


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
        _range(index, size, f"{what} in {thing.name}", network, is_by_action(thing, network, axis))
        for axis, (index, size) in enumerate(zip(thing.indices, sizes, strict=True))
    ]


def is_by_action(thing: Thing, network: Network, axis: int) -> bool:
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
