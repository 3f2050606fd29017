"""The hyper-parameters that DQN, Rainbow and Ape-X share."""

from __future__ import annotations

from dataclasses import dataclass

from atari_zoo.training.hyperparameters import Count, Positive, Share, Weight
from atari_zoo.training.trainers import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class ValueConfig(TrainingConfig):
    """Hyper-parameters of the three; the defaults are Dopamine's for DQN.

    An agent's step is one action in one environment.
    """

    buffer: Count = 1_000_000  # transitions in the replay
    min_history: Count = 20_000  # agent's steps before learning begins
    batch: Count = 32
    update_every: Count = 4  # agent's steps between updates
    target_every: Count = 2_000  # updates between copies to the target network
    steps: Count = 1  # n, over which rewards are summed before a value is trusted
    discount: Share = 0.99
    learning_rate: Positive = 6.25e-5  # of Adam
    adam_epsilon: Weight = 1.5e-4
    max_gradient: Positive | None = None  # norm that gradients are clipped to
    priority_exponent: Weight = 0.0  # transitions are drawn in proportion to priority ** this
    importance_exponent: Weight = 0.0  # and their losses weighted by probability ** -this
    epsilon: Share = 0.01  # share of random actions in the end
    epsilon_steps: Count = 250_000  # agent's steps over which it falls to that, once learning began
    # False: checkpoints are without the replay; a resumed run fills a new one before it learns
    # on, and is not exactly the run that nobody stopped
    keep_replay: bool = True
    cuda_graphs: bool = True  # without effect on a CPU

    def check(self) -> None:
        """Raises ValueError where a setting cannot be, or nothing could be learnt."""
        super().check()
        if self.preprocessing.rounding == "none":
            raise ValueError(
                f"preprocessing '{self.preprocessing.name}' does not round pixels to bytes, and a "
                "replay holds bytes: choose one that does"
            )
        rows = self.save_every // (self.envs * self.preprocessing.frame_skip)
        if rows <= self.steps:
            raise ValueError(
                f"save_every is {self.save_every} frames, {rows} steps of each environment; "
                f"no transition of {self.steps} steps fits between such checkpoints: make it larger"
            )
        least, most = self.envs * (self.steps + 1), self.buffer // self.envs * self.envs
        if not least <= self.min_history <= most:
            raise ValueError(
                f"min_history is {self.min_history}; with {self.envs} environments and a buffer "
                f"of {self.buffer} it must be from {least} to {most}"
            )
