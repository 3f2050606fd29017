"""Learning of sparse features: an autoencoder fitted to a layer's activations, by Lightning.

After Gao et al. (2024, https://arxiv.org/abs/2406.04093), at the size of an agent's layer: a few
thousand rows of a few hundred units, where their 10 million samples of silence would never come.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Bool, Float
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from atari_zoo.analysis.dictionaries.autoencoders import LearningSettings, TopKAutoencoder

ACTIVE = 1e-3  # of a feature that is not silent, where the rows' variance is 1


class FeatureLearning(LightningModule):
    """The loss of Gao et al. and what keeps the decoder's rows of length 1.

    variance: of the rows' numbers. epoch: rows in one.
    """

    def __init__(
        self, autoencoder: TopKAutoencoder, settings: LearningSettings, variance: float, epoch: int
    ) -> None:
        super().__init__()
        self.autoencoder, self.settings, self.variance = autoencoder, settings, variance
        features, units = autoencoder.decoder.shape
        self.most = 1 << max(0, round(units / 2).bit_length() - 1)  # a power of two up to half
        self.patience = settings.dead_after * epoch
        self.silent_for: Tensor
        self.register_buffer("silent_for", torch.zeros(features, dtype=torch.int64))

    @property
    def dead(self) -> Bool[Tensor, "features"]:
        """Features that were not active for as many rows as patience lasts."""
        return self.silent_for >= self.patience

    def training_step(self, rows: Float[Tensor, "rows units"], index: int = 0) -> Tensor:
        active = self.autoencoder.active(rows)
        missed = rows - self.autoencoder.decode(active)
        self._note(active.features[active.values > ACTIVE], len(rows))
        loss = missed.square().mean() / self.variance
        dead = self.dead
        if dead.any():
            loss = loss + self.settings.auxiliary * self._auxiliary_loss(rows, missed, dead)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(
            self.autoencoder.parameters(), self.settings.rate, eps=6.25e-10, fused=True
        )

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.autoencoder.remove_radial_gradient()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.autoencoder.normalize_decoder()

    def _note(self, active: Tensor, rows: int) -> None:
        self.silent_for += rows
        self.silent_for[active] = 0

    def _auxiliary_loss(self, rows: Tensor, missed: Tensor, dead: Tensor) -> Tensor:
        """How much of what the others leave the dead ones miss, of 1 if they give its mean."""
        missed = missed.detach()
        made = self.autoencoder.residual_of_dead(rows, dead, self.most)
        spread = (missed - missed.mean(dim=0)).square().mean()
        return ((made - missed).square().mean() / spread).nan_to_num(0, 0, 0)


def fit_autoencoder(
    rows: Float[Tensor, "rows units"],
    settings: LearningSettings | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> TopKAutoencoder:
    """The autoencoder of these rows, on their device; the same for the same seed and threads.

    rows: float32, about centred, of variance about 1. progress: called with updates done, and all.
    Raises ValueError where there are no rows, or fewer features than k.
    """
    settings = settings or LearningSettings()
    if not len(rows):
        raise ValueError("no activations: there is nothing to learn from")
    generator = torch.Generator().manual_seed(seed)
    units = rows.shape[1]
    autoencoder = TopKAutoencoder(units, settings.expansion * units, settings.k, generator)
    autoencoder.fit_start(rows.cpu())
    variance = float((rows - rows.mean(dim=0)).square().mean())
    if not variance > 0:
        raise ValueError("the activations never change: there is nothing to learn from")
    batches = _Batches(rows, settings.batch, generator)
    epochs = max(settings.epochs, -(-settings.steps // len(batches)))
    learning = FeatureLearning(autoencoder, settings, variance, len(rows))
    with _quiet():
        trainer = Trainer(
            accelerator="cpu" if rows.device.type == "cpu" else "gpu",
            devices=1 if rows.device.type == "cpu" else [rows.device.index or 0],
            max_epochs=epochs,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[_Told(progress, epochs * len(batches))],
        )
        trainer.fit(learning, batches)
    return autoencoder.to(rows.device).requires_grad_(False).eval()


class _Batches:
    """The rows in another order each time; the last few fill no batch and wait."""

    def __init__(self, rows: Tensor, batch: int, generator: torch.Generator) -> None:
        self.rows, self.batch, self.generator = rows, min(batch, len(rows)), generator

    def __len__(self) -> int:
        return len(self.rows) // self.batch

    def __iter__(self) -> Iterator[Tensor]:
        order = torch.randperm(len(self.rows), generator=self.generator).to(self.rows.device)
        for start in range(0, len(self) * self.batch, self.batch):
            yield self.rows[order[start : start + self.batch]]


class _Told(Callback):
    def __init__(self, progress: Callable[[int, int], None], total: int) -> None:
        self.progress, self.total = progress, total

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self.progress(trainer.global_step, self.total)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's remarks on the machine and on torch, which are not about the features."""
    logger = logging.getLogger("lightning.pytorch")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Lightning 2.6 asks torch 2.14 for a class that will go
            warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)
            yield
    finally:
        logger.setLevel(before)
