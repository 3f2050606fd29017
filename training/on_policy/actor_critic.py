"""Base of the actor-critics: actors, threads, an optimizer, and what a checkpoint keeps."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.emulator.environments import Environments
from atari_zoo.training.on_policy.actors import Actors
from atari_zoo.training.on_policy.optimizers import OptimizerConfig, optimizer
from atari_zoo.training.trainers import Trainer


class ActorCritic(Trainer):
    """Learns a policy and its value from what actors play.

    An algorithm's `build` makes `actors` and `pool`, and returns what `learner` gives.
    """

    config: OptimizerConfig
    delegates = True
    actors: list[Actors]
    pool: ThreadPoolExecutor  # its threads act and learn

    def learner(self) -> MnihNetwork:
        """The network that is to learn, on its device, once there are `actors`."""
        network = self.new_network(len(self.actors[0].environments.screen.actions))
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.fabric.to_device(network)
        self.parameters = list(network.parameters())
        self.optimizer = optimizer(self.parameters, self.config)
        return network

    def state(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])

    def close(self) -> None:
        self.pool.shutdown()
        super().close()

    @property
    def games(self) -> Sequence[Environments]:
        return [actors.environments for actors in self.actors]
