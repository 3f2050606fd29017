"""Layers that decide no action, told of where their units are shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atari_zoo.converters.network.foreign import Network
    from atari_zoo.recordings.recordings import Recording

ASKED = 64  # steps that tell whether a layer matters to the choice


def effect_notes(network: Network, play: Recording, layers: Iterable[str]) -> list[str]:
    """What is to be said of those among the layers that decide no action."""
    from atari_zoo.agent_states import recorded_states
    from atari_zoo.analysis.dictionaries.layer_changes import no_effect_words

    some = slice(0, ASKED)
    seen, states = play.observations(0, some), recorded_states(network, play, 0, some)
    asked = [layer for layer in dict.fromkeys(layers) if layer in network.layers]
    return list(filter(None, (no_effect_words(network, layer, seen, states) for layer in asked)))
