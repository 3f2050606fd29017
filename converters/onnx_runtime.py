"""onnxruntime, without its telemetry: that writes an id of the machine and a queue of events under
the home folder, and sends them, or complains where that folder cannot be written."""

from __future__ import annotations

import os
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import onnx

from atari_zoo.converters.errors import ConversionError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SWITCH = "ORT_DISABLE_TELEMETRY"  # read when the library is loaded; its function comes too late


def silent_onnxruntime() -> ModuleType:
    """The module; ORT_DISABLE_TELEMETRY=0 in the environment leaves it as it comes."""
    os.environ.setdefault(SWITCH, "1")
    import onnxruntime

    return onnxruntime


def session_of(model: onnx.ModelProto) -> InferenceSession:
    """A session of the model, on the CPU.

    Raises ConversionError where onnxruntime cannot load it.
    """
    onnxruntime = silent_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its own exceptions have no common public base
        raise ConversionError(f"onnxruntime cannot load it: {_one_line(error)}") from error


def run_session(
    session: InferenceSession, tensors: list[str], feed: dict[str, np.ndarray]
) -> list[np.ndarray]:
    """These tensors of what is fed; raises ConversionError where it cannot be run."""
    try:
        return session.run(tensors, feed)
    except Exception as error:
        raise ConversionError(f"onnxruntime cannot run it: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
