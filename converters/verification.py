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

from atari_zoo.converters.convert import to_torch, white_of
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.half_floats import in_float32
from atari_zoo.converters.interchange import load_onnx
from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.foreign import ForeignNetwork
from atari_zoo.converters.network.hooks import recorded
from atari_zoo.converters.network.loops import without_loops
from atari_zoo.converters.network.outputs import OUTPUT, VALUE
from atari_zoo.converters.network.probabilities import as_probabilities
from atari_zoo.converters.network.recurrent import RecurrentNetwork
from atari_zoo.converters.onnx_runtime import run_session, session_of
from atari_zoo.converters.recognition.contract import input_maximum
from atari_zoo.converters.recognition.recognise import Recognised, recognise
from atari_zoo.converters.recognition.recurrent import recognise_recurrent
from atari_zoo.converters.stepwise import fed, stepwise_pairs

TOLERANCE = 1e-4
STEPS = 4  # over which states are carried


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
    A graph of another architecture is compared at its outputs and its states alone.
    Raises ConversionError if the model cannot be run, or is nothing that `to_torch` translates.

    >>> max(layer.difference for layer in verify("agent.onnx")) < 1e-4
    True
    """
    given = load_onnx(model) if isinstance(model, str | Path) else in_float32(model)
    model = without_loops(given)
    try:
        found = recognise(model, white_of(model))
    except ConversionError:
        network = to_torch(model)  # or the reasons why it is neither
        if isinstance(network, RecurrentNetwork):
            return compared_memory(model, observations, seed)
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
        observations = _noise(found.network.shape, seed)
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
    """The same, of a graph of another architecture: its outputs, the value's too; or its output and
    states, carried over some steps."""
    if network.carried:
        return compared_steps(model, network, network, observations, seed)
    seen = _noise(network.shape, seed) if observations is None else observations
    names = {OUTPUT: model.graph.output[network.roles.output].name}
    if network.roles.value >= 0:
        names = {VALUE: model.graph.output[network.roles.value].name} | names
    ours: dict[str, list[Tensor]] = {layer: [] for layer in names}
    with torch.no_grad(), recorded(network.eval(), list(names)) as values:
        for part in torch.from_numpy(seen).split(network.batch or len(seen)):
            network(part)
            for layer in names:
                ours[layer].append(values[layer][: len(part)])
    found = {layer: torch.cat(parts) for layer, parts in ours.items()}
    found[OUTPUT] = as_probabilities(found[OUTPUT], network.softmax)
    (given,) = (i for i in model.graph.input if i.name not in _weights(model))
    feed, session = fed(model, network, seen), session_of(model)
    size = given.type.tensor_type.shape.dim[0].dim_value or len(feed)
    batches = [feed[at : at + size] for at in range(0, len(feed) - size + 1, size)]
    wanted = list(names.values())
    runs = zip(*(run_session(session, wanted, {given.name: b}) for b in batches), strict=True)
    return [
        _agreement(layer, found[layer].numpy(), np.concatenate(theirs))
        for layer, theirs in zip(names, runs, strict=True)
    ]


def compared_memory(
    model: onnx.ModelProto,
    observations: UInt8[np.ndarray, "batch frames height width"] | None = None,
    seed: int = 0,
) -> list[Agreement]:
    """The same, of a graph that is a recurrent agent of a known kind."""
    found = recognise_recurrent(model, white_of(model) or input_maximum(model))
    assert found is not None
    return compared_steps(found.model, found.contract, found.network, observations, seed)


def compared_steps(
    model: onnx.ModelProto,
    contract: ForeignNetwork,
    network: ForeignNetwork | RecurrentNetwork,
    observations: UInt8[np.ndarray, "batch frames height width"] | None = None,
    seed: int = 0,
) -> list[Agreement]:
    """The same of a network that carries states: its output and these, carried over steps.

    contract: the graph as it is, which tells how it is fed.
    observations: one after the other; some steps of several, random, if not given.
    """
    if observations is None:
        drawn = np.random.default_rng(seed)
        seen = drawn.integers(0, 256, (STEPS, 7, *contract.shape), np.uint8)
    else:
        seen = observations[:, None]
    rows = []
    for name, pair in stepwise_pairs(model, contract, network, seen).items():
        ours, theirs = (values.reshape(-1, *values.shape[2:]) for values in pair)
        rows.append(_agreement(name, ours, theirs))
    return rows


def _agreement(layer: str, ours: np.ndarray, theirs: np.ndarray) -> Agreement:
    """theirs: perhaps fewer, as a batch that is not whole cannot be run."""
    theirs = theirs.reshape(len(theirs), *ours.shape[1:])
    difference = float(np.abs(ours[: len(theirs)] - theirs).max())
    return Agreement(layer, tuple(ours.shape[1:]), difference, float(np.abs(theirs).max()))


def _weights(model: onnx.ModelProto) -> set[str]:
    return {weight.name for weight in model.graph.initializer}


def _noise(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (7, *shape), np.uint8)


def _through_torch(network: AgentNetwork, observations: np.ndarray) -> dict[str, Tensor]:
    with torch.no_grad(), recorded(network, list(network.layers)) as values:
        network(torch.from_numpy(observations))
    return values


def _through_onnxruntime(
    model: onnx.ModelProto, found: Recognised, observations: np.ndarray
) -> dict[str, np.ndarray]:
    tensors = [place.tensor for place in found.layers.values()]
    session = session_of(_showing(model, tensors))
    batches = np.array_split(
        observations, len(observations) // (found.input.batch or len(observations))
    )
    runs = []
    for batch in batches:
        feed = found.input.feed(batch.astype(np.float32) / 255)
        runs.append(run_session(session, tensors, {found.input.name: feed}))
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
