"""Meanings of the names in an objective's text: words of its own, and the network's layers.

A word is one decorated function in this room.
"""

from __future__ import annotations

from collections.abc import Callable

from atari_zoo.converters.network.foreign import Network, observation_shape
from atari_zoo.converters.registration import Registry
from atari_zoo.units.numbering import Thing, index_numbers
from atari_zoo.viz.objectives import batches as batch_objectives
from atari_zoo.viz.objectives import penalties as image_objectives
from atari_zoo.viz.objectives import units as unit_objectives
from atari_zoo.viz.objectives.layers import layer_objective
from atari_zoo.viz.objectives.objectives import Objective

WordMeaning = Callable[[Thing, Network], Objective]
WORDS: Registry[WordMeaning] = Registry("word", "atari_zoo.viz.objectives")
# of the whole image
PENALTIES: dict[str, Callable[[], Objective]] = {
    "tv": image_objectives.total_variation,
    "l1": image_objectives.l1,
    "l2": image_objectives.l2,
    "blur": image_objectives.roughness,
}


def word(name: str) -> Callable[[WordMeaning], WordMeaning]:
    """Registers what a name means."""

    def register(function: WordMeaning) -> WordMeaning:
        WORDS.add(name, function, function)
        return function

    return register


def check_name(name: str, network: Network) -> None:
    """Raises ValueError, with those there are, if there is neither a layer nor a word so called."""
    if name not in WORDS and name not in network.layers:
        raise ValueError(
            f"no layer or word '{name}'; this network has the layers "
            f"{', '.join(network.layers)}, and there are the words {', '.join(WORDS)}"
        )


def meaning(thing: Thing, network: Network) -> Objective:
    """What a name asks for.

    Raises ValueError with the reason, and with the place in the text where that is an index.
    """
    if thing.name in WORDS:
        if thing.place is not None or thing.rectified:
            raise ValueError(f"{thing.name} is no layer: it takes neither a place nor relu")
        return WORDS[thing.name](thing, network)
    check_name(thing.name, network)
    return layer_objective(thing, network)


@word("tv")
@word("l1")
@word("l2")
@word("blur")
def _penalty(thing: Thing, network: Network) -> Objective:
    _none(thing)
    return PENALTIES[thing.name]()


@word("frame_l2")
def _frame_l2(thing: Thing, network: Network) -> Objective:
    """Of all frames, or of one: frame_l2:0 is the oldest's."""
    frames = observation_shape(network)[0]
    if not thing.indices:
        return image_objectives.frame_l2([1.0] * frames)
    (chosen,) = index_numbers(thing, network, (frames,), "frame")
    return image_objectives.frame_l2([float(frame in chosen) for frame in range(frames)])


@word("margin")
def _margin(thing: Thing, network: Network) -> Objective:
    """margin:2, margin:RIGHT, margin:* ..."""
    (actions,) = index_numbers(thing, network, (network.actions,), "action")
    return unit_objectives.margin(actions)


@word("diversity")
def _diversity(thing: Thing, network: Network) -> Objective:
    if len(thing.indices) != 1 or thing.indices[0].name not in network.layers:
        raise ValueError(f"diversity:LAYER is of one of {', '.join(network.layers)}")
    return batch_objectives.diversity(thing.indices[0].name)


@word("alignment")
def _alignment(thing: Thing, network: Network) -> Objective:
    """Of the image, or of a layer."""
    if not thing.indices:
        return batch_objectives.alignment()
    if len(thing.indices) > 1 or thing.indices[0].name not in network.layers:
        raise ValueError(f"alignment:LAYER is of one of {', '.join(network.layers)}")
    return batch_objectives.alignment(thing.indices[0].name)


def _none(thing: Thing) -> None:
    if thing.indices:
        raise ValueError(f"{thing.name} takes no index")
