"""The network that tells algorithms by a frame, as the supplement of Such et al. (2019,
https://arxiv.org/abs/1812.07069, S1.3) describes it."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

VALIDATION = "validation_loss"


class FrameClassifier(LightningModule):
    """Two 3x3 convolutions of 16 and 32 maps, a dense layer of 128, a softmax; Adam."""

    def __init__(
        self, shape: tuple[int, int, int], classes: int, learning_rate: float = 1e-3
    ) -> None:
        super().__init__()
        channels, height, width = shape
        self.learning_rate = learning_rate
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 16, 3),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * (height - 4) * (width - 4), 128),
            nn.ReLU(),
            nn.Linear(128, classes),
        )

    def forward(
        self, frames: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Logits. frames: 0 to 1."""
        return self.layers(frames)

    def training_step(self, batch: tuple[Tensor, Int[Tensor, "batch"]], number: int) -> Tensor:
        """The cross entropy of a batch."""
        frames, labels = batch
        return cross_entropy(self(frames), labels)

    def validation_step(self, batch: tuple[Tensor, Int[Tensor, "batch"]], number: int) -> None:
        """The same, which training stops by."""
        frames, labels = batch
        self.log(VALIDATION, cross_entropy(self(frames), labels), batch_size=len(labels))

    def configure_optimizers(self) -> Any:
        """Adam."""
        return torch.optim.Adam(self.parameters(), self.learning_rate)
