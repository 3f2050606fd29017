"""Training of the classifier of frames, until the loss on frames that are held back rises."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from atari_zoo.seeds import generator_seed

if TYPE_CHECKING:
    from atari_zoo.analysis.classifier.network import FrameClassifier

BATCH, PATIENCE = 32, 2


@dataclass(frozen=True)
class Batches:
    """Batches of some frames and their labels, in a new order each time if there is a seed."""

    frames: Float[Tensor, "moments channels height width"]
    labels: Int[Tensor, "moments"]
    places: Int[np.ndarray, "some"]
    random: np.random.Generator | None = None

    def __len__(self) -> int:
        return -(-len(self.places) // BATCH)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = self.places if self.random is None else self.random.permutation(self.places)
        for begin in range(0, len(order), BATCH):
            some = torch.from_numpy(order[begin : begin + BATCH])
            yield self.frames[some], self.labels[some]


def trained_classifier(
    learnt: Batches,
    held: Batches,
    classes: int,
    epochs: int,
    seed: int,
    told: Callable[[int], None] = lambda epoch: None,
) -> FrameClassifier:
    """A classifier that learnt from some batches, as it was when the loss on the others was least.

    It stops after two epochs that did not lower that. told: called with the epochs done.
    """
    from lightning.pytorch import Callback, Trainer
    from lightning.pytorch.callbacks import EarlyStopping

    from atari_zoo.analysis.classifier.network import VALIDATION, FrameClassifier

    channels, height, width = learnt.frames.shape[1:]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator_seed(seed))
        model = FrameClassifier((channels, height, width), classes)

    class Best(Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            self.loss, self.state = float("inf"), copy.deepcopy(model.state_dict())

        def on_validation_end(self, trainer: Any, module: Any) -> None:
            loss = float(trainer.callback_metrics[VALIDATION])
            if loss < self.loss:
                self.loss, self.state = loss, copy.deepcopy(module.state_dict())
            told(trainer.current_epoch + 1)

    best = Best()
    with quiet_lightning():
        trainer = Trainer(
            max_epochs=epochs,
            accelerator="auto",
            devices=1,
            callbacks=[best, EarlyStopping(VALIDATION, patience=PATIENCE)],
            num_sanity_val_steps=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(model, learnt, held)
    model.load_state_dict(best.state)
    return model.cpu().eval()


def classified(
    model: FrameClassifier, frames: Float[Tensor, "moments channels height width"]
) -> Int[np.ndarray, "moments"]:
    """The class that each frame is taken for."""
    with torch.inference_mode():
        parts = [model(some).argmax(dim=1) for some in frames.split(BATCH)]
    return torch.cat(parts).numpy()


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Without its notes on the machine, and its advice on workers, which batches in memory lack."""
    from lightning.fabric.utilities.warnings import PossibleUserWarning

    notes = logging.getLogger("lightning.pytorch")
    level = notes.level
    notes.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PossibleUserWarning)
            # of torch's, that it calls in an old way
            warnings.filterwarnings("ignore", category=FutureWarning, module=r"lightning\.")
            yield
    finally:
        notes.setLevel(level)
