"""onnxruntime against torch, at every named layer: two programs that share no code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from jaxtyping import UInt8
from onnx import helper
from torch import Tensor

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.hooks import recorded
from atari_zoo.converters.interchange import load_onnx
from atari_zoo.converters.networks import MnihNetwork
from atari_zoo.converters.recognise import Recognised, recognise

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Agreement:
    """How one layer compares: its shape without the batch, and the largest values met.

    difference: the largest absolute difference between onnxruntime and torch.
    magnitude: the largest absolute value, to judge it by.
    """

    layer: str
    shape: tuple[int, ...]
    difference: float
    magnitude: float


def verify(
    model: str | Path | onnx.ModelProto,
    observations: UInt8[np.ndarray, "batch frames height width"] | None = None,
    seed: int = 0,
) -> list[Agreement]:
    """Runs an ONNX model in onnxruntime, and as a torch module, and compares each named layer.

    observations: real ones; random noise, seeded, if not given.
    Raises ConversionError if the model is not one that `to_torch` recognises.

    >>> max(layer.difference for layer in verify("agent.onnx")) < 1e-4
    True
    """
    model = load_onnx(model) if isinstance(model, str | Path) else model
    found = recognise(model)
    if observations is None:
        shape = (7, *found.network.trunk.shape)
        observations = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    ours = _through_torch(found.network, observations)
    theirs = _through_onnxruntime(model, found, observations)
    return [_compare(name, ours[name], theirs[name], found) for name in found.network.layers]


def _compare(name: str, ours: Tensor, theirs: np.ndarray, found: Recognised) -> Agreement:
    expected = found.layers[name].canonical(theirs, tuple(ours.shape))
    difference = float(np.abs(ours.numpy() - expected).max())
    return Agreement(name, tuple(ours.shape[1:]), difference, float(np.abs(expected).max()))


def _through_torch(network: MnihNetwork, observations: np.ndarray) -> dict[str, Tensor]:
    with torch.no_grad(), recorded(network, list(network.layers)) as values:
        network(torch.from_numpy(observations))
    return values


def _through_onnxruntime(
    model: onnx.ModelProto, found: Recognised, observations: np.ndarray
) -> dict[str, np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    tensors = [place.tensor for place in found.layers.values()]
    session = onnxruntime.InferenceSession(
        _showing(model, tensors).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    batches = np.array_split(
        observations, len(observations) // (found.input.batch or len(observations))
    )
    runs = []
    for batch in batches:
        feed = found.input.feed(batch.astype(np.float32) / 255)
        try:
            runs.append(session.run(tensors, {found.input.name: feed}))
        except Exception as error:  # onnxruntime's own exceptions have no common public base
            raise ConversionError(f"onnxruntime cannot run it: {error}") from error
    joined = [np.concatenate(parts) for parts in zip(*runs, strict=True)]
    return dict(zip(found.layers, joined, strict=True))


def _showing(model: onnx.ModelProto, tensors: list[str]) -> onnx.ModelProto:
    """A copy of the model that has these tensors among its outputs."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    there = {output.name for output in model.graph.output}
    for tensor in dict.fromkeys(tensors):
        if tensor not in there:
            shown.graph.output.append(helper.make_empty_tensor_value_info(tensor))
    return shown
