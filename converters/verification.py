"""onnxruntime against torch, at every named layer: two programs that share no code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from jaxtyping import UInt8
from onnx import helper
from torch import Tensor

from atari_zoo.converters.convert import to_torch, white_of
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.half_floats import in_float32
from atari_zoo.converters.interchange import load_onnx
from atari_zoo.converters.network.foreign import ForeignNetwork
from atari_zoo.converters.network.hooks import recorded
from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.converters.network.outputs import OUTPUT, VALUE
from atari_zoo.converters.onnx_runtime import silent_onnxruntime
from atari_zoo.converters.recognition.recognise import Recognised, recognise

if TYPE_CHECKING:
    import onnxruntime

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
    A graph of another architecture is compared at its outputs alone.
    Raises ConversionError if the model cannot be run, or is nothing that `to_torch` translates.

    >>> max(layer.difference for layer in verify("agent.onnx")) < 1e-4
    True
    """
    model = load_onnx(model) if isinstance(model, str | Path) else in_float32(model)
    try:
        found = recognise(model, white_of(model))
    except ConversionError:
        network = to_torch(model)  # or the reasons why it is neither
        assert isinstance(network, ForeignNetwork)
        return compared_outputs(model, network, observations, seed)
    return compared_layers(model, found, observations, seed)


def compared_layers(
    model: onnx.ModelProto,
    found: Recognised,
    observations: UInt8[np.ndarray, "batch frames height width"] | None = None,
    seed: int = 0,
) -> list[Agreement]:
    """The same, of a model in which a network was `found`."""
    if observations is None:
        observations = _noise(found.network.trunk.shape, seed)
    ours = _through_torch(found.network, observations)
    theirs = _through_onnxruntime(model, found, observations)
    return [_compare(name, ours[name], theirs[name], found) for name in found.network.layers]


def _compare(name: str, ours: Tensor, theirs: np.ndarray, found: Recognised) -> Agreement:
    expected = found.layers[name].canonical(theirs, tuple(ours.shape))
    difference = float(np.abs(ours.numpy() - expected).max())
    return Agreement(name, tuple(ours.shape[1:]), difference, float(np.abs(expected).max()))


def compared_outputs(
    model: onnx.ModelProto,
    network: ForeignNetwork,
    observations: UInt8[np.ndarray, "batch frames height width"] | None = None,
    seed: int = 0,
) -> list[Agreement]:
    """The same, of a graph of another architecture: its outputs alone, the value's too."""
    seen = _noise(network.shape, seed) if observations is None else observations
    names = {OUTPUT: model.graph.output[network.roles.output].name}
    if network.roles.value >= 0:
        names = {VALUE: model.graph.output[network.roles.value].name} | names
    ours: dict[str, list[np.ndarray]] = {layer: [] for layer in names}
    with torch.no_grad(), recorded(network.eval(), list(names)) as values:
        for part in torch.from_numpy(seen).split(network.batch or len(seen)):
            network(part)
            for layer in names:
                ours[layer].append(values[layer][: len(part)].numpy())
    (given,) = (i for i in model.graph.input if i.name not in _weights(model))
    # what the file itself wants, computed without our code's help
    feed = seen if network.bytes else seen.astype(np.float32) * np.float32(network.maximum / 255)
    kind = given.type.tensor_type
    feed = feed.astype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    feed = feed.transpose(0, 2, 3, 1) if network.channels_last else feed
    session, size = _session(model), kind.shape.dim[0].dim_value or len(feed)
    batches = [feed[at : at + size] for at in range(0, len(feed) - size + 1, size)]
    feeds = [{given.name: np.ascontiguousarray(batch)} for batch in batches]
    runs = zip(*(_run(session, list(names.values()), feed) for feed in feeds), strict=True)
    return [
        _agreement(layer, np.concatenate(ours[layer]), np.concatenate(theirs))
        for layer, theirs in zip(names, runs, strict=True)
    ]


def _agreement(layer: str, ours: np.ndarray, theirs: np.ndarray) -> Agreement:
    """theirs: perhaps fewer, as a batch that is not whole cannot be run."""
    theirs = theirs.reshape(len(theirs), *ours.shape[1:])
    difference = float(np.abs(ours[: len(theirs)] - theirs).max())
    return Agreement(layer, tuple(ours.shape[1:]), difference, float(np.abs(theirs).max()))


def _weights(model: onnx.ModelProto) -> set[str]:
    return {weight.name for weight in model.graph.initializer}


def _noise(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (7, *shape), np.uint8)


def _through_torch(network: MnihNetwork, observations: np.ndarray) -> dict[str, Tensor]:
    with torch.no_grad(), recorded(network, list(network.layers)) as values:
        network(torch.from_numpy(observations))
    return values


def _through_onnxruntime(
    model: onnx.ModelProto, found: Recognised, observations: np.ndarray
) -> dict[str, np.ndarray]:
    tensors = [place.tensor for place in found.layers.values()]
    session = _session(_showing(model, tensors))
    batches = np.array_split(
        observations, len(observations) // (found.input.batch or len(observations))
    )
    runs = []
    for batch in batches:
        feed = found.input.feed(batch.astype(np.float32) / 255)
        runs.append(_run(session, tensors, {found.input.name: feed}))
    joined = [np.concatenate(parts) for parts in zip(*runs, strict=True)]
    return dict(zip(found.layers, joined, strict=True))


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    onnxruntime = silent_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its own exceptions have no common public base
        raise ConversionError(f"onnxruntime cannot load it: {_one_line(error)}") from error


def _run(
    session: onnxruntime.InferenceSession, tensors: list[str], feed: dict[str, np.ndarray]
) -> list[np.ndarray]:
    try:
        return session.run(tensors, feed)
    except Exception as error:
        raise ConversionError(f"onnxruntime cannot run it: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _showing(model: onnx.ModelProto, tensors: list[str]) -> onnx.ModelProto:
    """A copy of the model that has these tensors among its outputs."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    there = {output.name for output in model.graph.output}
    for tensor in dict.fromkeys(tensors):
        if tensor not in there:
            shown.graph.output.append(helper.make_empty_tensor_value_info(tensor))
    return shown
