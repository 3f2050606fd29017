"""States of agents with a memory, carried from step to step while they play."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from atari_zoo.converters.network.stateful import StatefulNetwork, state_size
from atari_zoo.play.inference import Inference


class CarriedState:
    """The state of each environment of a group, (environments, numbers), in float32; without
    numbers where the network carries none.

    In the order of a step: `before` it, what will `follow` it, and what the network is to `learn`
    of it.
    """

    def __init__(self, inference: Inference, count: int) -> None:
        self._count, self._device = count, inference.device
        network = inference.network
        carries = isinstance(network, StatefulNetwork) and state_size(network) > 0
        self._network = network if isinstance(network, StatefulNetwork) and carries else None
        self._state = torch.zeros(count, 0, device=self._device)
        if self._network is not None:
            self._state = self._network.initial_state(count).float()
        self._actions: Tensor | None = None

    def before(self, starts: Bool[np.ndarray, "envs"]) -> Float[Tensor, "envs numbers"]:
        """The states that the network acts in: those of a first step where an episode starts."""
        if self._network is not None and starts.any():
            begun = torch.from_numpy(starts).to(self._device)
            self._state = self._network.begun(self._state, begun).float()
        return self._state

    def follow(self, state: Float[Tensor, "envs numbers"], actions: np.ndarray) -> None:
        """Takes what the network computed for the next step, and the actions that were chosen."""
        if self._network is not None:
            self._state, self._actions = state, torch.from_numpy(actions).to(self._device)

    def learn(self, rewards: np.ndarray) -> None:
        """Tells of the rewards, where the network wants to know."""
        if self._network is not None and self._actions is not None:
            given = torch.from_numpy(np.asarray(rewards, np.float32)).to(self._device)
            self._state = self._network.told(self._state, self._actions, given).float()
            self._actions = None
