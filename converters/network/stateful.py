"""Networks that carry a state from step to step, as LSTM and GRU do.

A state is a row of numbers for each environment, (batch, numbers), whatever it is made of: so it is
recorded, begun anew and shared out among environments by who knows nothing of the network.
`states` names its parts. Where nobody gives one, the state is that of an episode's first step.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from math import prod
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


class StatePart(NamedTuple):
    """A part of a state: its name, such as "hidden", and its shape for one environment, such as
    (1, 256), which are layers and units."""

    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many numbers it is."""
        return prod(self.shape)


class StatefulNetwork(nn.Module):
    """A network that may carry a state; one without parts of a state is like any other.

    states: the parts, in the order in which their numbers stand in a row.
    held: the state, (1, numbers), that `forward` takes where it is given none: see `held_at`.
    """

    states: tuple[StatePart, ...] = ()
    held: Tensor | None = None

    def initial_state(self, batch: int = 1) -> Float[Tensor, "batch numbers"]:
        """The state at an episode's first step: zeros."""
        if not self.states:
            return torch.zeros(batch, 0)  # whatever its weights are
        like = self._weight()
        return torch.zeros(batch, state_size(self), dtype=like.dtype, device=like.device)

    def begun(
        self, state: Float[Tensor, "batch numbers"], starts: Bool[Tensor, "batch"]
    ) -> Float[Tensor, "batch numbers"]:
        """The state with that of a first step where an episode starts."""
        return torch.where(starts[:, None], self.initial_state(len(state)), state)

    def told(
        self,
        state: Float[Tensor, "batch numbers"],
        actions: Tensor,
        rewards: Tensor,
    ) -> Float[Tensor, "batch numbers"]:
        """The state once it is known what was done and what came of it: most do not ask."""
        return state

    def step(
        self, observations: Tensor, state: Float[Tensor, "batch numbers"]
    ) -> tuple[Tensor, Tensor]:
        """The outputs (batch, actions), and the state of the next step."""
        raise NotImplementedError

    def forward(self, observations: Tensor, state: Tensor | None = None) -> Tensor:
        """One number for each action, in this state; else in the one that it is held at."""
        if not self.states:
            return self.step(observations, observations.new_zeros(len(observations), 0))[0]
        if state is None:
            state = self.initial_state() if self.held is None else self.held
            state = state.expand(len(observations), -1)
        check_state(self, state, len(observations))
        return self.step(observations, state.to(self._weight()))[0]

    def _weight(self) -> Tensor:
        """One of its weights, for its type and device; a graph's may be no parameters."""
        floats = (b for b in self.buffers() if b.is_floating_point())
        return next(self.parameters(), next(floats, torch.zeros(0)))


def state_parts(network: nn.Module) -> tuple[StatePart, ...]:
    """The parts of the state that a network carries; none of one that has no state."""
    return getattr(network, "states", ())


def state_size(network: nn.Module) -> int:
    """How many numbers its state has; 0 where there is none."""
    return sum(part.size for part in state_parts(network))


def reads_state(network: nn.Module, layers: Iterable[str]) -> bool:
    """Whether what some of these layers compute depends on a state: a trunk's layers do not."""
    trunk = getattr(network, "trunk", None)
    before = () if trunk is None else trunk.layers
    return bool(state_parts(network)) and any(layer not in before for layer in layers)


def state_words(network: nn.Module) -> str:
    """The parts and their sizes: "hidden 1x256, cell 1x256"."""
    return ", ".join(f"{p.name} {'x'.join(map(str, p.shape))}" for p in state_parts(network))


def check_state(network: nn.Module, state: Tensor, batch: int) -> None:
    """Raises ValueError unless it is a state of the network's for so many observations."""
    wanted = (batch, state_size(network))
    if tuple(state.shape) != wanted:
        raise ValueError(
            f"the state is {tuple(state.shape)}; expected {wanted}, a row for each observation: "
            f"{state_words(network)}"
        )
    if not state.is_floating_point():
        raise ValueError(f"the state is {state.dtype}; expected floats")


def parts_of_state(network: nn.Module, state: Tensor) -> dict[str, Tensor]:
    """The parts of a state by name, (batch, *shape) each."""
    parts = state_parts(network)
    rows = state.split([part.size for part in parts], dim=1)
    return {
        part.name: some.reshape(len(state), *part.shape)
        for part, some in zip(parts, rows, strict=True)
    }


def joined_state(parts: list[Tensor], batch: int) -> Tensor:
    """The state of parts in their order, (batch, *shape) each."""
    return torch.cat([part.reshape(batch, -1) for part in parts], dim=1)


def held_at(network: Module, state: Tensor) -> Module:
    """The same network, its weights shared, but that its forward pass begins from this state.

    state: (numbers,), or (1, numbers). Raises ValueError if it does not fit.
    """
    state = state[None] if state.ndim == 1 else state
    check_state(network, state, 1)
    held = copy.copy(network)
    with torch.inference_mode(False):  # a normal tensor, through which gradients can be taken
        vars(held)["held"] = state.detach().clone()
    return held


def is_unheld(network: nn.Module) -> bool:
    """Whether it carries a state, and nobody has said which one it is asked in."""
    return bool(state_parts(network)) and getattr(network, "held", None) is None
