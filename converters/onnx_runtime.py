"""onnxruntime, without its telemetry: that writes an id of the machine and a queue of events under
the home folder, and sends them, or complains where that folder cannot be written."""

from __future__ import annotations

import os
from types import ModuleType

SWITCH = "ORT_DISABLE_TELEMETRY"  # read when the library is loaded; its function comes too late


def silent_onnxruntime() -> ModuleType:
    """The module; ORT_DISABLE_TELEMETRY=0 in the environment leaves it as it comes."""
    os.environ.setdefault(SWITCH, "1")
    import onnxruntime

    return onnxruntime
