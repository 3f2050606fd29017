"""An agent's network in onnxruntime against torch, also on what the agent sees when it plays."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from atari_zoo.converters.convert import to_torch
from atari_zoo.converters.interchange import read_card
from atari_zoo.converters.verification import verify
from atari_zoo.models import model_of
from atari_zoo.play.rollouts import rollout


def verify_model(name: str | Path, seed: int = 0) -> list[dict[str, Any]]:
    """onnxruntime against torch at every layer: the larger of the differences on noise and, where
    the card names a game, on what the agent sees when it plays.

    name: as in `a2c/Pong/1`, or the path of any file or folder `to_onnx` reads. seed: of the
        noise, and of the play.
    Returns a row (layer, shape, difference, magnitude) for each layer.
    Raises UnknownModel if there is neither a file nor a model of that name, ConversionError if
    the file cannot be read as an agent.
    """
    model = model_of(name)
    rows = verify(model, seed=seed)
    card = read_card(model)
    if card is not None and card.game:
        played = rollout(to_torch(model).eval(), steps=16, envs=2, seed=seed, keep=["screens"])
        real = verify(model, torch.cat([played.observations(e) for e in range(2)]).numpy())
        rows = [max(pair, key=lambda row: row.difference) for pair in zip(rows, real, strict=True)]
    return [asdict(row) for row in rows]
