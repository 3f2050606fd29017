"""One network plays one share of the environments, step by step."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from itertools import count, pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from atari_zoo.emulator.environments import Environments, Step
from atari_zoo.play.actions import Chances, Chooser
from atari_zoo.play.inference import Player
from atari_zoo.play.noise import ObservationNoise
from atari_zoo.recordings.layout import LAYERS


class Playing:
    """Environments, what plays them, and what is kept of each step.

    seed: of the first of the environments.
    keep: "frames" (the emulator's last two, as palette indices), "ram", "screens", "outputs",
        "probabilities", "executed"; layers are kept as the player computes them.

    `act` and `wait` are the halves of a step: between them the emulators work.
    """

    def __init__(
        self,
        player: Player,
        games: Environments,
        chooser: Chooser,
        noise: ObservationNoise,
        keep: Sequence[str],
        group: slice,
        seed: int,
    ) -> None:
        self.player, self.games, self.chooser, self.noise = player, games, chooser, noise
        self.keep, self.group = keep, group
        self.observations = games.reset(seed + group.start)
        self.starts = np.ones(games.count, bool)
        self._kept: dict[str, np.ndarray] = {}
        self._actions = np.zeros(games.count, np.int32)

    @torch.inference_mode()
    def act(self, step: int, chances: Chances) -> None:
        """Looks, chooses, and sets the emulators to work."""
        seen = self.noise(self.observations, step, self.starts)
        outputs, layers = self.player(seen)
        self._actions = self.chooser.choose(outputs, chances, self.group)
        self._kept = self._taken(outputs, layers)
        self.games.send(self._actions)

    @torch.inference_mode()
    def repeat(self, step: int, actions: np.ndarray) -> None:
        """Plays what was played before, to get where that ended."""
        self.noise(self.observations, step, self.starts)
        self._actions, self._kept = actions, {}
        self.games.send(actions)

    def wait(self) -> dict[str, np.ndarray]:
        """What the step was like, from before the action to what came of it."""
        step = self.games.recv()
        arrays = {
            "actions": self._actions.astype(np.int32),
            "rewards": step.rewards,
            "terminated": step.terminated,
            "truncated": step.truncated,
            "starts": self.starts,
            "lives": step.lives,
        }
        if "executed" in self.keep:
            arrays["executed"] = step.actions.astype(np.int32)
        self.observations = step.observations
        self.starts = _begun(step)
        return arrays | self._kept

    def _taken(self, outputs: Tensor, layers: dict[str, Tensor]) -> dict[str, np.ndarray]:
        taken: dict[str, Any] = {}
        if "screens" in self.keep:
            taken["screens"] = self.observations[:, -1]
        if "outputs" in self.keep:
            taken["outputs"] = outputs
        if "probabilities" in self.keep:
            taken["probabilities"] = outputs.softmax(dim=1)
        taken |= {f"{LAYERS}{name}": value.half() for name, value in layers.items()}
        arrays = {name: tensor.cpu().numpy() for name, tensor in taken.items()}
        if {"frames", "ram"} & set(self.keep):
            raw = self.games.raw()
            arrays |= {"frames": raw.screens} if "frames" in self.keep else {}
            arrays |= {"ram": raw.ram} if "ram" in self.keep else {}
        return arrays


def _begun(step: Step) -> np.ndarray:
    return step.terminated | step.truncated | step.life_ended


def groups_for(player: Player) -> int:
    """How many groups of environments play fastest."""
    # torch's threads would work against the emulators' while another group's step runs
    return 1 if player.backend == "torch" and player.device.type == "cpu" else 2


def split(envs: int, shares: int) -> list[slice]:
    """The environments in so many groups, as even as they go."""
    ends = np.linspace(0, envs, shares + 1).astype(int).tolist()
    return [slice(a, b) for a, b in pairwise(ends) if b > a]


def merged(shares: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What the groups' steps were like, as one step of all environments."""
    if len(shares) == 1:
        return shares[0]
    return {name: np.concatenate([share[name] for share in shares]) for name in shares[0]}


def steps(
    playings: Sequence[Playing], draw: Callable[[], Chances], first: int = 0
) -> Generator[dict[str, np.ndarray], None, None]:
    """Plays on and on; yields each step, of all groups together.

    While one group's emulators work, the next one's network thinks; and those of the last while
    the caller does something with the step. So when the caller stops, one step more has begun.
    """
    chances = draw()
    for playing in playings:
        playing.act(first, chances)
    for step in count(first + 1):
        chances, shares = draw(), []
        for playing in playings:
            shares.append(playing.wait())
            playing.act(step, chances)
        try:
            yield merged(shares)
        except GeneratorExit:  # the emulators may be closed once they rest
            for playing in playings:
                playing.wait()
            raise


def repeated(
    playings: Sequence[Playing], step: int, actions: np.ndarray, chances: Chances
) -> dict[str, np.ndarray]:
    """A step that was played before, up to what chance would have brought to it."""
    for playing in playings:
        playing.repeat(step, actions[playing.group])
    return merged([playing.wait() for playing in playings])
