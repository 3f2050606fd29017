"""ONNX files, whoever exported them (https://onnx.ai/onnx/repo-docs/IR.html)."""

from __future__ import annotations

from pathlib import Path

from atari_zoo.converters.interchange import load_onnx
from atari_zoo.converters.registry import Probe, Source, reader


def _is_onnx(probe: Probe) -> bool:
    if probe.path.suffix.lower() == ".pb" and probe.start.startswith(b"\x08\x01\x12"):
        return False  # TensorFlow's SavedModel, whose first field is a version too
    # protobuf writes fields in order, and an ONNX file's first is its version, a small number;
    # safetensors begin with a length, whose low bytes can look the same
    starts = len(probe.start) > 2 and probe.start[0] == 8 and 0 < probe.start[1] < 32
    starts = starts and probe.start[2] in _SECOND_TAGS
    return starts or probe.path.suffix.lower() == ".onnx"


# tags of ModelProto's other fields: producer, domain, version, texts, graph, opsets, metadata
_SECOND_TAGS = b"\x12\x1a\x22\x28\x32\x3a\x42\x72"


@reader(
    "onnx",
    "ONNX",
    "the architectures below with any head of the zoo, from the zoo, torch.onnx.export, tf2onnx or "
    "Stable-Baselines3's export; other graphs of opset 9 and later through onnx2torch",
    _is_onnx,
)
def read_onnx(path: Path) -> Source:
    """An ONNX file, whoever exported it."""
    model = load_onnx(path)
    written_by = f"{model.producer_name} {model.producer_version}".strip()
    return Source(model, written_by=written_by)
