"""The trainer that every algorithm shares: frames, time, scores, checkpoints, stopping."""

from __future__ import annotations

import copy
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from lightning.fabric import Fabric
from torch import Tensor

from atari_zoo.converters.cards import Preprocessing
from atari_zoo.converters.network.finite import all_finite
from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.emulator.environments import Environments
from atari_zoo.interrupts import stop_requests
from atari_zoo.threads import cores, torch_threads
from atari_zoo.training.health import Health
from atari_zoo.training.hyperparameters import Count, Natural, Seed, check_fields
from atari_zoo.training.runs import RunFolder
from atari_zoo.untrained.untrained import UNTRAINED


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """What every algorithm's hyper-parameters have in common."""

    rom: str = "pong"
    frames: Count = 40_000_000  # emulator frames to train for, in all
    seed: Seed = 1
    envs: Count = 16  # copies of the game
    threads: Natural = 0  # of this process, a core each; 0 for all cores
    clip_rewards: bool = True  # to -1, 0, 1, while learning
    save_every: Count = 400_000  # emulator frames between checkpoints
    log_every: Count = 40_000
    preprocessing: Preprocessing = field(default_factory=Preprocessing)

    def check(self) -> None:
        """Raises ValueError, naming the setting, where one is of another kind or out of range.

        An algorithm adds what must hold between its settings.
        """
        check_fields(self)


class Update(NamedTuple):
    """What one update did: emulator frames played, and values for the log."""

    frames: int
    values: dict[str, float]


class Trainer(ABC):
    """Trains in the folder `path`: goes on from its last checkpoint, or begins where there is none.

    accelerator: "auto", "cpu" or "cuda", as Lightning Fabric understands it.
    progress: called now and then with the frames done and the mean score of late episodes.
    hours: training time after which to stop, earlier sessions counted; None for no limit.

    Raises ValueError, before anything is written, where a setting cannot be.

    An algorithm defines `build`, `begin`, `update`, and what it keeps in `state` and `restore`.
    Whatever is random in it must follow from `state` and the seed given to `begin`, so that a
    resumed run is the run that nobody stopped.
    """

    algorithm: ClassVar[str]
    Config: ClassVar[type[TrainingConfig]]
    config: TrainingConfig
    delegates: ClassVar[bool] = False  # whether `update` computes in threads of its own

    @classmethod
    def new_network(cls, actions: int) -> MnihNetwork:
        """The network before training, random."""
        return UNTRAINED[cls.algorithm](actions)

    def __init__(
        self,
        path: str | Path,
        config: TrainingConfig,
        accelerator: str = "auto",
        progress: Callable[[int, float], None] = lambda frames, score: None,
        hours: float | None = None,
    ) -> None:
        config.check()
        if hours is not None and not hours >= 0:
            raise ValueError(f"hours is {hours}; expected a number of at least 0")
        self.config, self.progress, self.hours = config, progress, hours
        self.folder = RunFolder(path, self.algorithm, config)
        try:
            self._start(accelerator)
        except BaseException:
            with suppress(AttributeError):  # of what was not built yet
                self.close()
            self.folder.abandon()
            raise

    def _start(self, accelerator: str) -> None:
        self.fabric = Fabric(accelerator=accelerator, devices=1)
        self.fabric.seed_everything(self.config.seed, verbose=False)
        self.threads = self.config.threads or cores()
        self.frames, self.seconds = 0, 0.0
        self.recent: deque[float] = deque(maxlen=100)  # scores of the last episodes
        self.network = self.build()
        self.health = Health(self.folder.checkpoint(0))
        state = self.folder.resume()
        if state is None:
            self.save()  # the model before any training
            return
        self.frames, self.seconds = state["frames"], state["seconds"]
        self.recent.extend(state["recent"])
        self.restore(state)

    @abstractmethod
    def build(self) -> MnihNetwork:
        """Makes the environments, the optimizer, and the network, on `self.fabric.device`."""

    @abstractmethod
    def begin(self, seed: int) -> None:
        """Begins new episodes; called at the start and after every checkpoint.

        The vectorised emulator cannot save its state; a resumed run can then do exactly what
        an uninterrupted one does.
        """

    @abstractmethod
    def update(self) -> Update:
        """Plays and learns once; ended episodes' scores go to `self.recent`."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What a resumed run needs: tensors, numbers, and containers of them."""

    @abstractmethod
    def restore(self, state: dict[str, Any]) -> None:
        """Takes `state` back; tensors are on the CPU."""

    @property
    @abstractmethod
    def games(self) -> Sequence[Environments]:
        """What the agent plays while it learns."""

    def close(self) -> None:
        """Gives back threads and emulators."""
        for environments in self.games:
            environments.close()

    def train(self) -> MnihNetwork:
        """Trains to `frames` or `hours`, whichever is first.

        Ctrl-C (or SIGTERM) finishes the update at hand, saves, and raises KeyboardInterrupt; a
        second one stops at once. Raises FloatingPointError, and saves nothing more, once a loss
        or a weight is no longer finite.
        """
        with stop_requests() as stopping, torch_threads(1 if self.delegates else self.threads):
            self._begin()
            self.progress(self.frames, self.score)
            try:
                while not self._done() and not stopping.is_set():
                    started = time.monotonic()
                    update = self.update()
                    self.frames += update.frames
                    self.seconds += time.monotonic() - started
                    if self._passed(update.frames, self.config.log_every):
                        self._log(update.values)
                    if self._passed(update.frames, self.config.save_every):
                        self.save()
                        self._examine()
                        self._begin()
                self.save()
            finally:
                self.close()
                self.folder.release()
        if stopping.is_set():
            raise KeyboardInterrupt
        return self.network

    def save(self) -> None:
        """Writes a checkpoint.

        Raises FloatingPointError, and leaves the one before, where a number in it is not finite.
        """
        common = {"seconds": self.seconds, "recent": list(self.recent)}
        weights, state = self.network.state_dict(), self.state() | common
        if not all_finite([weights, state]):
            raise self._diverged("there are weights that are not finite")
        self.archive(weights, state)

    def archive(self, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Puts a checkpoint into the folder."""
        self.folder.save(self.frames, weights, state)

    @property
    def score(self) -> float:
        """Mean of the last episodes; NaN before the first has ended."""
        return float(np.mean(self.recent)) if self.recent else float("nan")

    def _done(self) -> bool:
        late = self.hours is not None and self.seconds >= self.hours * 3600
        return late or self.frames >= self.config.frames

    def _passed(self, played: int, every: int) -> bool:
        return self.frames // every > (self.frames - played) // every

    def _begin(self) -> None:
        self.begin((self.config.seed * 1_000_003 + self.frames) % 2**30)

    def _examine(self) -> None:
        """Warns where units have died."""
        self.health.warn(copy.deepcopy(self.network).cpu(), self.frames)

    def _diverged(self, what: str) -> FloatingPointError:
        return FloatingPointError(
            f"{self.folder.path}: {what} after {self.frames} frames; the last good checkpoint is "
            "kept: try a smaller learning rate"
        )

    def _log(self, values: dict[str, float]) -> None:
        if not all(map(np.isfinite, values.values())):
            raise self._diverged(f"the loss is {values}")
        self.folder.log(
            frames=self.frames,
            seconds=round(self.seconds, 1),
            score=self.score if self.recent else None,
            episodes=len(self.recent),
            threads=self.threads,
            **values,
        )
        self.progress(self.frames, self.score)
        for environments in self.games:
            self.health.see(environments.observations)
