"""onnxruntime and torch side by side, step by step: a graph's own runtime carries its states, and
the torch module its own."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from jaxtyping import UInt8

from atari_zoo.converters.network.foreign import ForeignNetwork
from atari_zoo.converters.network.hooks import recorded
from atari_zoo.converters.network.probabilities import as_probabilities
from atari_zoo.converters.network.recurrent import RecurrentNetwork
from atari_zoo.converters.network.stateful import parts_of_state
from atari_zoo.converters.onnx_runtime import run_session, session_of

Pair = tuple[np.ndarray, np.ndarray]  # torch's, onnxruntime's


def stepwise_pairs(
    model: onnx.ModelProto,
    contract: ForeignNetwork,
    network: ForeignNetwork | RecurrentNetwork,
    observations: UInt8[np.ndarray, "steps batch frames height width"],
) -> dict[str, Pair]:
    """Outputs and states of all steps, by name: "output", each part of the state, and the layers
    that the graph gives by the names that the network has for them.

    contract: what of the graph is fed how. network: what is compared with it, with the same parts
        of a state in the same order.
    """
    session, image = session_of(model), _image(model, contract)
    (own,) = (i.type.tensor_type.shape.dim[0] for i in model.graph.input if i.name == image)
    batch = own.dim_value or observations.shape[1]  # a file may take so many at once, and no other
    states = [state.output for state in contract.carried]
    there = {output.name for output in model.graph.output} - {contract.main, *states}
    layers = [name for name in network.layers if name in there]
    names = [contract.main, *states, *layers]
    ours = network.initial_state(batch)
    feeds = {
        state.input: np.moveaxis(part.cpu().numpy(), 0, state.axis)
        for state, part in zip(
            contract.carried, parts_of_state(network, ours).values(), strict=True
        )
    }
    found: dict[str, list[Pair]] = {}
    for seen in observations[:, :batch]:
        with torch.no_grad(), recorded(network, layers) as values:
            outputs, ours = network.eval().step(torch.from_numpy(seen), ours)
        kinds = as_probabilities(outputs, contract.softmax)
        feed = {image: fed(model, contract, seen)} | feeds
        theirs = run_session(session, names, feed)
        feeds = dict(zip(feeds, theirs[1:], strict=False))
        found.setdefault("output", []).append((kinds.numpy(), theirs[0]))
        parts = parts_of_state(network, ours)
        for state, (name, part) in zip(contract.carried, parts.items(), strict=True):
            other = np.moveaxis(feeds[state.input], state.axis, 0)
            found.setdefault(name, []).append((part.numpy(), other.reshape(part.shape)))
        for name, other in zip(layers, theirs[1 + len(states) :], strict=True):
            found.setdefault(name, []).append((values[name].numpy(), other))
    return {
        name: (np.stack([a for a, _ in pairs]), np.stack([b for _, b in pairs]))
        for name, pairs in found.items()
    }


def fed(
    model: onnx.ModelProto,
    contract: ForeignNetwork,
    seen: UInt8[np.ndarray, "batch frames height width"],
) -> np.ndarray:
    """The observations as the file itself wants them, computed without the network's help."""
    white = np.float32(contract.maximum / 255)
    feed = seen if contract.bytes else seen.astype(np.float32) * white
    name = _image(model, contract)
    (kind,) = (i.type.tensor_type.elem_type for i in model.graph.input if i.name == name)
    feed = feed.astype(onnx.helper.tensor_dtype_to_np_dtype(kind))
    return np.ascontiguousarray(feed.transpose(0, 2, 3, 1) if contract.channels_last else feed)


def _image(model: onnx.ModelProto, contract: ForeignNetwork) -> str:
    """The name of the input that is the observations."""
    others = {tensor.name for tensor in model.graph.initializer}
    others |= {state.input for state in contract.carried}
    return next(given.name for given in model.graph.input if given.name not in others)
