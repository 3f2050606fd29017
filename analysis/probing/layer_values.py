"""Layers' values at some moments of a subject's play: its own, and those before training."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np
from jaxtyping import Int, Shaped

from atari_zoo.analysis.controls import MISSING_WORDS, untrained_or_none
from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.stateful import state_size
from atari_zoo.layers import activations

CONTROL_WORDS = (
    f"{MISSING_WORDS}, or the agent carries a state; it is one network, of one seed: how others "
    "would differ is in no interval"
)
Values = dict[str, Shaped[np.ndarray, "moments ..."]]


def layers_of(network: Network, wanted: Sequence[str] | str | None) -> list[str]:
    """The layers that are meant, all of the network's if none is given.

    Raises ValueError for one that is not there; the message lists those that are.
    """
    known = list(network.layers)
    chosen = [wanted] if isinstance(wanted, str) else wanted
    if chosen is not None and not chosen:
        raise ValueError("no layers: give names, or none for all")
    for name in chosen or ():
        if name not in known:
            near = get_close_matches(name, known, 1)
            meant = f"; did you mean {near[0]}?" if near else ";"
            raise ValueError(
                f"{network.card.name} has no layer '{name}'{meant} there are {', '.join(known)}"
            )
    return known if chosen is None else list(dict.fromkeys(chosen))


def own_values(subject: Subject, layers: Sequence[str], kept: Int[np.ndarray, "moments"]) -> Values:
    """Those that were recorded, the others computed again."""
    recorded = subject.recording.activations
    whole = [name for name in layers if name in recorded or state_size(subject.network)]
    found = {name: subject.activations(name)[kept] for name in whole}
    again = [name for name in layers if name not in found]
    return found | _computed(subject, subject.network, again, kept)


def untrained_values(
    subject: Subject, layers: Sequence[str], kept: Int[np.ndarray, "moments"], seed: int
) -> Values:
    """Of a network of the same architecture before training, at what the subject saw, rounded as
    its own values were where those were recorded.

    None of a network that carries a state: what another would carry there is not known; nor of one
    that torch does not know to initialise.
    """
    if state_size(subject.network):
        return {}
    begun = untrained_or_none(subject.network, seed)
    if begun is None:
        return {}
    recorded, found = subject.recording.activations, _computed(subject, begun, layers, kept)
    return {
        name: _rounded(values, recorded[name].dtype) if name in recorded else values
        for name, values in found.items()
    }


def environments_of(subject: Subject) -> Int[np.ndarray, "moments"]:
    """The environment of each moment."""
    steps, envs = subject.recording.starts.shape
    return np.tile(np.arange(envs), steps)


def steps_of(subject: Subject) -> Int[np.ndarray, "moments"]:
    """The step of each moment."""
    steps, envs = subject.recording.starts.shape
    return np.repeat(np.arange(steps), envs)


def _rounded(
    values: Shaped[np.ndarray, "moments ..."], kind: np.dtype
) -> Shaped[np.ndarray, "moments ..."]:
    """As a recording of this kind of numbers would have kept them."""
    if not np.issubdtype(kind, np.floating):
        return values
    most = np.finfo(kind).max
    return values.clip(-most, most).astype(kind).astype(np.float32)


def _computed(
    subject: Subject, network: Network, layers: Sequence[str], kept: Int[np.ndarray, "moments"]
) -> Values:
    if not layers:
        return {}
    found = activations(network, subject.observations()[kept], list(layers))
    return {name: values.float().numpy() for name, values in found.items()}
