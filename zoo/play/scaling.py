"""Scaling: what a recording tells of the arithmetic that played it, so that it goes on alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from atari_zoo.converters.errors import ConversionError
from atari_zoo.play.inference import Inference
from atari_zoo.play.plans import INT8, Plan
from atari_zoo.recordings.files import open_recording

SCALING = "scaling"  # of a header's options: where 1/255 is, if bytes are not divided by 255
IN_WEIGHTS = "in weights"


def computed_options(inference: Inference) -> dict[str, Any]:
    """What a recording's header tells of how outputs were computed, beside the plan's options."""
    if inference.int8 is not None:
        return {INT8: {"agreement": inference.int8.agreement, "model": inference.int8.key}}
    return {SCALING: IN_WEIGHTS} if inference.folds else {}


def divided(plan: Plan) -> bool:
    """Whether bytes are to be divided: the recording that is gone on with was played so."""
    if plan.path is None or not plan.resume or not Path(plan.path).exists():
        return False
    try:
        return SCALING not in open_recording(plan.path).options
    except (OSError, ConversionError):  # told of where it is to be written to
        return False
