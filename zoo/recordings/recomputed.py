"""Activations that a recording does not hold: its model computes them when they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from atari_zoo.arrays.lazy import Index, LazyArray
from atari_zoo.converters.network.layer_changes import changes_on

if TYPE_CHECKING:
    from atari_zoo.converters.network.foreign import Network

BATCH = 256  # observations at once


class Recomputed(LazyArray):
    """A layer's activations, (steps, envs, ...) in float16, from what the agent saw.

    They are what was computed while it played, up to the rounding of float32's arithmetic. The
    model is loaded by its name at the first reading, which raises what `atari_zoo.load` raises,
    and ValueError if its weights are no longer those that played.

    observations, states: what the agent saw in one environment at some steps, and what it carried
        into them, None where that is nothing. steps_envs: how many of
        both. model: its name. weights: the fingerprint of those that played.
    """

    def __init__(
        self,
        observations: Callable[[int, slice], Tensor],
        states: Callable[[int, slice], Tensor | None],
        steps_envs: tuple[int, ...],
        model: str,
        layer: str,
        weights: str,
    ) -> None:
        self._observations, self._states = observations, states
        self._steps_envs = steps_envs
        self._model, self._layer, self._weights = model, layer, weights

    @property
    def shape(self) -> tuple[Any, ...]:
        return (*self._steps_envs, *self._row)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float16)

    def rows(self, steps: Index, envs: Index) -> np.ndarray:
        from atari_zoo.layers import activations

        wanted, columns = np.arange(len(self))[steps], np.arange(self.shape[1])[envs]
        made = np.empty((wanted.size, columns.size, *self._row), np.float16)
        for place, env in enumerate(columns.reshape(-1).tolist()):
            for start in range(0, wanted.size, BATCH):
                some = wanted.reshape(-1)[start : start + BATCH]
                first, last = int(some.min()), int(some.max()) + 1
                seen = self._observations(env, slice(first, last))[some - first]
                state = self._states(env, slice(first, last))
                state = state if state is None else state[some - first]
                values = activations(self._network, seen, [self._layer], state=state)[self._layer]
                made[start : start + len(some), place] = values.half().numpy()
        return made.reshape(*wanted.shape, *columns.shape, *self._row)

    @cached_property
    def _network(self) -> Network:
        from atari_zoo.models import load

        network = load(self._model)
        if fingerprint(network) != self._weights:
            raise ValueError(
                f"what {self._model} now is did not play this: its weights are others, so that "
                f"{self._layer} cannot be computed again"
            )
        return network

    @cached_property
    def _row(self) -> tuple[int, ...]:
        from atari_zoo.layers import activations

        seen, state = self._observations(0, slice(0, 1)), self._states(0, slice(0, 1))
        values = activations(self._network, seen, [self._layer], state=state)[self._layer]
        return tuple(values.shape[1:])


def fingerprint(network: Network) -> str:
    """The SHA-256 of all weights, in their order."""
    digest = hashlib.sha256()
    for name, weight in network.state_dict().items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(weight.cpu().numpy()).tobytes())
    return digest.hexdigest()


def loadable(network: Network) -> str:
    """Its fingerprint, if the zoo has it under its card's name.

    Raises UnknownModel if it has none of that name, ValueError if that is another, or if its layers
    are changed while it runs.
    """
    from atari_zoo.models import load

    own, name = fingerprint(network), network.card.name
    if changed := changes_on(network):
        raise ValueError(
            f"an intervention changes {changed[0][0]}: what it makes of other layers cannot be "
            "computed again from the name; record these layers with layers= (--layer)"
        )
    if fingerprint(load(name)) != own:
        raise ValueError(
            f"this network is called {name}, but is not what the zoo calls so: what it computes "
            "cannot be computed again from the name; record these layers with layers= (--layer)"
        )
    return own
