"""States of agents with a memory, as a recording of their play has them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.stateful import (
    held_at,
    is_unheld,
    reads_state,
    state_size,
    state_words,
)
from atari_zoo.players import Play, is_own_play


def check_states(network: Network, recording: Play) -> None:
    """Raises ValueError where the network carries a state, and the recording has none of its own:
    what it computes of a moment is not told by what is seen then."""
    size = state_size(network)
    if not size:
        return
    name, words = network.card.name, state_words(network)
    if not is_own_play(network, recording):
        raise ValueError(
            f"{name} carries a state ({words}), of which the play of {recording.card.name} tells "
            "nothing: give play of its own"
        )
    kept = getattr(recording, "state", None)
    if kept is None:
        raise ValueError(
            f"{name} carries a state ({words}), which this recording lacks: record its play anew"
        )
    if kept.shape[2:] != (size,):
        raise ValueError(
            f"{name} carries a state of {size} numbers ({words}), but the recording has "
            f"{kept.shape[2]} a step: was it recorded with another network?"
        )


def recorded_states(
    network: Network,
    recording: Play,
    env: int = 0,
    steps: slice = slice(None),
    layers: Sequence[str] | None = None,
) -> Float[Tensor, "steps numbers"] | None:
    """The states that the network acted in; None if it carries none.

    layers: that they are wanted for; None too where none of these reads a state.
    Raises ValueError as `check_states` does.
    """
    if not reads_state(network, network.layers if layers is None else layers):
        return None
    check_states(network, recording)
    kept = recording.state  # type: ignore[attr-defined]  # check_states has looked
    return torch.from_numpy(np.array(kept[steps, env]))


def as_it_was(network: Network, recording: Play, step: int, env: int = 0) -> Network:
    """The network as it was before a step of its play: a forward pass begins from the state that it
    had there. One that carries no state is itself.

    step: from 0. Raises ValueError if there is no such step, and as `check_states` does.

    >>> attribute(as_it_was(net, recording, 200), recording.observations()[200:201] / 255)
    """
    if not state_size(network):
        return network
    check_states(network, recording)
    steps = len(recording.state)  # type: ignore[attr-defined]  # check_states has looked
    if not 0 <= step < steps:
        raise ValueError(f"no step {step}: the recording has steps 0 to {steps - 1}")
    states = recorded_states(network, recording, env, slice(step, step + 1))
    return network if states is None else held_at(network, states)


def warn_of_zero_state(network: Network, layers: Iterable[str] | None = None) -> None:
    """Warns where a network that carries a state is asked in no particular one.

    layers: of which it is asked; all if not given.
    """
    if is_unheld(network) and reads_state(network, network.layers if layers is None else layers):
        warnings.warn(
            f"{network.card.name} carries a state ({state_words(network)}), which is held at that "
            "of an episode's first step: give a state, a recording of its play, or what as_it_was "
            "makes of it",
            UserWarning,
            stacklevel=3,
        )


def held_words(network: Network) -> str:
    """For a caption, in which state a network is asked; "" if it carries none."""
    if not state_size(network):
        return ""
    which = "that of an episode's first step" if is_unheld(network) else "as it was recorded"
    return f"its state ({state_words(network)}) is {which}"
