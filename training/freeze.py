"""Frozen models: a run's checkpoints that fit criteria, as files that anyone can load.

What the Atari Zoo paper does after training (Such et al., 2019,
https://arxiv.org/abs/1812.07069, section 3.4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import pandas

from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.export.graph import network_to_onnx
from atari_zoo.converters.formats.dopamine_runs import FOLDER
from atari_zoo.converters.interchange import save_onnx, write_card
from atari_zoo.logs.checkpoint_files import Checkpoint, folder_checkpoints
from atari_zoo.logs.logs import LogError, training_log
from atari_zoo.logs.places import told_beside, told_by
from atari_zoo.models import convert
from atari_zoo.training.criteria import FRAMES, HOURS, criteria
from atari_zoo.training.trained_agents import trained_agent


@dataclass(frozen=True)
class Frozen:
    """What a criterion picked: the checkpoint and the file written; None if it was not reached."""

    tag: str
    checkpoint: Checkpoint | None = None
    file: Path | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """Tag, frames, hours, score and file, for JSON: None where unknown or not reached."""
        found = self.checkpoint
        return {
            "tag": self.tag,
            "frames": None if found is None else found.frames,
            "hours": None if found is None else _known(found.seconds / 3600),
            "score": None if found is None else _known(found.score),
            "file": None if self.file is None else str(self.file),
        }


def freeze(
    run: str | Path,
    into: str | Path | None = None,
    hours: Sequence[float] = HOURS,
    frames: Sequence[int] = FRAMES,
) -> list[Frozen]:
    """Writes the models that the criteria pick from a run's folder as float16 ONNX files.

    run: of the zoo's trainer, or of another whose checkpoints `zoo.checkpoints` reads.
    into: run/frozen if not given; the files are ALGORITHM-Game-RUN@TAG.onnx.
    Returns a row for each criterion. Raises ValueError if the folder is no run's, or if it or a
    checkpoint cannot be read.
    """
    folder = Path(run).resolve()
    if not folder.is_dir():
        raise ValueError(f"{run}: no such folder; give a run's, such as runs/a2c-Pong-1")
    folder = folder.parent if folder.name == FOLDER else folder
    checkpoints = sorted(folder_checkpoints(folder), key=lambda checkpoint: checkpoint.frames)
    facts = told_by(folder) | told_beside(folder)
    log, place = _log(folder), Path(into or folder / "frozen")
    rows = []
    for tag, criterion in criteria(facts.get("game", ""), hours, frames).items():
        checkpoint = criterion(checkpoints, log)
        file = None
        if checkpoint is not None:
            file = _write(folder, checkpoint, tag, facts, place)
        rows.append(Frozen(tag, checkpoint, file))
    return rows


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None  # NaN is no JSON


def _log(folder: Path) -> pandas.DataFrame:
    try:
        return training_log(folder)
    except LogError:  # there is none: a damaged one was refused with the checkpoints
        return pandas.DataFrame({"frames": [], "seconds": []})


def _write(
    folder: Path, checkpoint: Checkpoint, tag: str, facts: dict[str, str], into: Path
) -> Path:
    """The model's file, with its card inside."""
    model, card = _model(folder, checkpoint, facts)
    scores: dict[str, Any] = {"mean": checkpoint.score, "measured": "while training"}
    known = math.isfinite(checkpoint.score)
    card = card.replace(tag=tag, frames=checkpoint.frames, scores=scores if known else {})
    write_card(model, card)
    into.mkdir(parents=True, exist_ok=True)
    file = into / f"{card.algorithm}-{card.game or 'unknown'}-{card.run}@{tag}.onnx"
    save_onnx(model, file)
    return file


def _model(
    folder: Path, checkpoint: Checkpoint, facts: dict[str, str]
) -> tuple[onnx.ModelProto, ModelCard]:
    """The checkpoint with half the bytes, and what its run and its file tell of it."""
    path = Path(checkpoint.path)
    if path.suffix == ".safetensors":
        agent = trained_agent(folder, path)
        return network_to_onnx(agent, float16=True), agent.card
    done = convert(path, game=facts.get("game"), run=facts.get("run"), float16=True)
    return done.model, done.card
