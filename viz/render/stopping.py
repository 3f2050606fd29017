"""Stopping of single samples of a batch: its image then stays, and the others go on."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

PROGRESS = 1e-4  # a new best is better by this part of its size, or it is rounding


class Stopping:
    """Follows the objectives of a batch, and keeps the images of the samples that stopped.

    taken: how many steps were taken.
    """

    def __init__(
        self,
        samples: int,
        threshold: float | None,
        patience: int | None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.taken = 0
        self._threshold, self._patience = threshold, patience
        self._asked = threshold is not None or patience is not None
        self._best = torch.full((samples,), -torch.inf, device=device)
        self._best_step = torch.zeros(samples, dtype=torch.int64, device=device)
        self._end = torch.full((samples,), -1, dtype=torch.int64, device=device)
        self._images: Tensor | None = None

    def recorded(
        self, heights: Float[Tensor, "batch"], images: Tensor, step: int
    ) -> Float[Tensor, "batch"]:
        """Takes note of the objectives at a step; returns them, NaN where a sample had stopped."""
        if not self._asked:
            return heights
        running = self._end < 0
        better = heights > self._best + PROGRESS * self._best.abs().nan_to_num(posinf=0)
        self._best = torch.where(better, heights, self._best)
        self._best_step = torch.where(better, step, self._best_step)
        stops = torch.zeros_like(running)
        if self._threshold is not None:
            stops = stops | (heights >= self._threshold)
        if self._patience is not None:
            stops = stops | (step - self._best_step >= self._patience)
        newly = running & stops
        self._images = self.kept(images, newly)
        self._end = torch.where(newly, step, self._end)
        return heights.masked_fill(~running, torch.nan)

    def all_done(self) -> bool:
        """Whether no sample goes on."""
        return self._asked and bool((self._end >= 0).all())

    def kept(self, images: Tensor, newly: Tensor | None = None) -> Tensor:
        """The images, those of stopped samples as they were then; `newly` stop now."""
        images = images.detach()
        if self._images is None:
            return images
        old = (self._end >= 0) if newly is None else ~newly & (self._end >= 0)
        return torch.where(old[:, None, None, None], self._images, images)

    def steps(self) -> Int[Tensor, "batch"]:
        """How many steps each sample took."""
        return torch.where(self._end < 0, self.taken, self._end)
