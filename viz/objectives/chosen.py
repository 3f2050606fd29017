"""Units that are named in text, by layers."""

from __future__ import annotations

from collections.abc import Iterable

from atari_zoo.converters.network.foreign import Network
from atari_zoo.viz.objectives.text import parse_units


def chosen_units(texts: Iterable[str], network: Network) -> dict[str, list[int]]:
    """The units that texts such as "conv3:0..3" name, each once, in the order they are named.

    Raises ObjectiveError, a ValueError, for a text that names none, or one that is not there.
    """
    chosen: dict[str, list[int]] = {}
    for text in texts:
        layer, units = parse_units(text, network)
        numbers = chosen.setdefault(layer, [])
        numbers += [unit for unit in units if unit not in numbers]
    return chosen
