"""A replay to learn from, without play."""

from __future__ import annotations

import numpy as np
import torch

from atari_zoo.training.off_policy.replay import CUT, GOES_ON, TERMINATED
from atari_zoo.training.off_policy.value_training import ValueTrainer


def fill(trainer: ValueTrainer, rows: int = 12) -> None:
    """Fills the replay with noise by hand, and the target network with other weights."""
    random, device = np.random.default_rng(0), trainer.fabric.device
    for _ in range(rows):
        envs = trainer.config.envs
        endings = random.choice([GOES_ON, TERMINATED, CUT], envs, p=[0.7, 0.2, 0.1])
        parts = (
            random.integers(256, size=(envs, 84, 84), dtype=np.uint8),
            random.integers(6, size=envs),
            random.normal(size=envs).astype(np.float32),
            endings,
        )
        trainer.replay.add(*(torch.from_numpy(part).to(device) for part in parts))
        trainer.memory.enter()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in trainer.target.parameters():
            weight += 0.02 * torch.randn(weight.shape, generator=generator).to(device)
