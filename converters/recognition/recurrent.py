"""Recognition of recurrent agents: what stands before the memory, and what after it, are recognised
as they are in networks without one; the memory's operators give its weights.

What comes of it is compared with the graph itself, translated operator by operator.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import onnx
import onnx.inliner
import torch
from torch import nn

from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.carried_states import with_told_returned
from atari_zoo.converters.network.finite import finite_tensor
from atari_zoo.converters.network.foreign import ForeignNetwork
from atari_zoo.converters.network.memories import Critic, RecurrentLayers
from atari_zoo.converters.network.recurrent import ACTION, REWARD, RecurrentNetwork
from atari_zoo.converters.network.recurrent_operators import module_of, with_stored_weights
from atari_zoo.converters.network.state_ports import (
    CELL,
    HIDDEN,
    RECURRENT,
    Ports,
    input_ports,
)
from atari_zoo.converters.recognition.memory_cuts import CutGraph, MemoryNodes, first_output
from atari_zoo.converters.recognition.recognise import recognise

STEPS, BATCH = 3, 2  # over which it is compared
TOLERANCE = 1e-4


class RecognisedMemory(NamedTuple):
    """The network found in a graph; the graph, as it was read; and its contract with whoever feeds
    it, its states in the network's order."""

    network: RecurrentNetwork
    model: onnx.ModelProto
    contract: ForeignNetwork


def recognise_recurrent(
    model: onnx.ModelProto, maximum: float | None = None
) -> RecognisedMemory | None:
    """The recurrent agent in a graph; None where there is none that is known.

    maximum: the value of a white pixel; as the graph tells if not given.
    """
    told = any(given.name in (REWARD, ACTION) for given in model.graph.input)
    if not told and not any(node.op_type in RECURRENT for node in model.graph.node):
        return None
    try:
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
        model = with_stored_weights(with_told_returned(model))
        whole = ForeignNetwork(model, ModelCard(), maximum or 1.0)
        network = _network(model, whole, maximum).eval()
    except Exception:  # a malformed graph breaks whatever reads it: who translates it says how
        return None
    found = RecognisedMemory(network, model, whole)
    return found if _computes_the_same(network, whole) else None


def _network(
    model: onnx.ModelProto, whole: ForeignNetwork, maximum: float | None
) -> RecurrentNetwork:
    cut = CutGraph(model, whole.main)
    read = cut.read_by(whole.main)
    memories = {first_output(memory.nodes[-1]): memory for memory in cut.memories}
    if len(read) > 1 or not read <= memories.keys() or len(memories) > 2:
        raise ConversionError("its actions read several memories")
    memory = memories[read.pop()] if read else None
    core = memory.core if memory is not None else _told_core(cut)
    features, told = _features(cut, core)
    others = [other for other in memories.values() if other is not memory]
    if any(_features(cut, other.core)[0] != features for other in others):
        raise ConversionError("its memories read other features")
    width = _width(cut, memory, core) - sum({REWARD: 1, ACTION: whole.actions}[n] for n in told)
    found = recognise(cut.before(features, width), maximum)
    units = _units(cut, memory) if memory is not None else _width(cut, None, core)
    head = recognise(cut.after(memory, core, units), 1.0).network.head
    own = None if memory is None else _memory(cut, memory, "")
    critic = _critic(cut, others[0] if others else None, features)
    network = RecurrentNetwork(found.network.trunk, own, head, critic, told)
    order = [memory, *others]
    _put_in_order(network, whole, [part for part in order if part is not None], model)
    return network


def _told_core(cut: CutGraph) -> str:
    """What a head without a memory reads: the features, and what it is told."""
    cores = [
        node.output[0]
        for node in cut.graph.node
        if node.op_type == "Concat" and {REWARD, ACTION} & set(node.input)
    ]
    if len(cores) != 1:
        raise ConversionError("what it is told is not read with the features")
    return cores[0]


def _features(cut: CutGraph, core: str) -> tuple[str, tuple[str, ...]]:
    """What the trunk gives, and what stands behind it."""
    node = cut.makers.get(core)
    if node is None or node.op_type != "Concat":
        return core, ()
    features, *told = node.input
    if not told or not set(told) <= {REWARD, ACTION}:
        raise ConversionError("its memory reads something beside the features")
    return cut.flat(features), tuple(told)


def _constant(cut: CutGraph, name: str) -> np.ndarray:
    value = cut.constants.get(name, depth=16)
    if value is None:
        raise ConversionError(f"weights '{name}' are computed")
    return value


def _units(cut: CutGraph, memory: MemoryNodes) -> int:
    return int(_constant(cut, memory.nodes[-1].input[2]).shape[2])


def _width(cut: CutGraph, memory: MemoryNodes | None, core: str) -> int:
    """How many numbers a memory reads; without one, the first layer of the head."""
    if memory is not None:
        return int(_constant(cut, memory.nodes[0].input[1]).shape[2])
    for node in cut.graph.node:
        if node.op_type == "Gemm" and cut.root(node.input[0]) == core:
            return int(_constant(cut, node.input[1]).shape[1])
    raise ConversionError("no dense layer reads what it is told")


def _memory(cut: CutGraph, found: MemoryNodes, prefix: str) -> RecurrentLayers:
    """The memory with its weights."""
    nodes = found.nodes
    kinds = {node.op_type for node in nodes}
    if len(kinds) != 1:
        raise ConversionError("layers of several kinds in one memory")
    modules = [
        module_of(node, [_constant(cut, name) if name else None for name in node.input[1:4]])
        for node in nodes
    ]
    layers = [module for module in modules if isinstance(module, nn.RNNBase)]
    if len(layers) != len(modules) or any(layer.bidirectional for layer in layers):
        raise ConversionError("a memory of another kind")
    inputs, units = layers[0].input_size, layers[0].hidden_size
    if any((m.input_size, m.hidden_size) != (units, units) for m in layers[1:]):
        raise ConversionError("layers of several sizes in one memory")
    memory = RecurrentLayers(kinds.pop().lower(), inputs, units, len(nodes), prefix)
    with torch.no_grad():
        for layer, module in enumerate(modules):
            for name, value in module.named_parameters():
                memory.rnn.get_parameter(name.replace("_l0", f"_l{layer}")).copy_(value)
    return memory


def _critic(cut: CutGraph, memory: MemoryNodes | None, features: str) -> Critic | None:
    """A value that the head does not compute, if the graph gives one."""
    for output in cut.graph.output:
        name = cut.root(output.name)
        value = _dense(cut, name)
        if output.name == cut.main or value is None or len(value[1]) != 1:
            continue
        weight, bias, below = value
        if memory is not None and below in memory.nodes[-1].output:
            critic = Critic(_memory(cut, memory, "critic_"))
        else:
            between = _dense(cut, below)
            if between is None or cut.flat(between[2]) != features:
                continue
            critic = Critic(nn.Linear(between[0].shape[1], between[0].shape[0]))
            assert isinstance(critic.between, nn.Linear)
            _fill(critic.between, between[0], between[1])
        _fill(critic.value, weight, bias)
        return critic
    if memory is not None:
        raise ConversionError("a memory that nothing is read from")
    return None


def _dense(cut: CutGraph, name: str) -> tuple[np.ndarray, np.ndarray, str] | None:
    """Weights (out, in) and biases of the dense layer that gives a tensor, and what it reads."""
    node = cut.makers.get(name)
    if node is None or node.op_type != "Gemm" or len(node.input) != 3:
        return None
    facts = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    plain = facts.get("alpha", 1.0) == facts.get("beta", 1.0) == 1.0 and not facts.get("transA", 0)
    weight, bias = (cut.constants.get(part) for part in node.input[1:])
    if not plain or weight is None or bias is None or bias.ndim != 1:
        return None
    return weight if facts.get("transB", 0) else weight.T, bias, cut.root(node.input[0])


def _fill(module: nn.Linear, weight: np.ndarray, bias: np.ndarray) -> None:
    if module.weight.shape != weight.shape or module.bias.shape != bias.shape:
        raise ConversionError("a critic of another size")
    with torch.no_grad():
        module.weight.copy_(finite_tensor(weight))
        module.bias.copy_(finite_tensor(bias))


def _put_in_order(
    network: RecurrentNetwork,
    whole: ForeignNetwork,
    memories: list[MemoryNodes],
    model: onnx.ModelProto,
) -> None:
    """Has the graph carry its states in the network's order."""
    ports = input_ports(model.graph, [state.input for state in whole.carried])
    wanted: list[Ports | str] = []
    for memory in memories:
        kinds = (HIDDEN, CELL) if memory.nodes[0].op_type == "LSTM" else (HIDDEN,)
        wanted += [frozenset((kind, first_output(n)) for n in memory.nodes) for kind in kinds]
    wanted += network.told_parts
    found = [
        next((s for s in whole.carried if same in (ports[s.input], s.input)), None)
        for same in wanted
    ]
    shapes = [None if state is None else state.part.shape for state in found]
    if len(found) != len(whole.carried) or shapes != [part.shape for part in network.states]:
        raise ConversionError("its states are arranged in another way")
    whole.take_in_order([state for state in found if state is not None])


@torch.no_grad()
def _computes_the_same(network: RecurrentNetwork, whole: ForeignNetwork) -> bool:
    """Whether outputs and states are the graph's own, over some steps of noise."""
    drawn = torch.Generator().manual_seed(0)
    size = sum(part.size for part in network.states)
    ours = theirs = torch.rand(BATCH, size, generator=drawn) - 0.5
    for _ in range(STEPS):
        seen = torch.randint(0, 256, (BATCH, *whole.shape), generator=drawn, dtype=torch.uint8)
        try:
            (outputs, ours), (expected, theirs) = network.step(seen, ours), whole.step(seen, theirs)
        except RuntimeError:
            return False
        for found, wanted in ((outputs, expected), (ours, theirs)):
            allowed = TOLERANCE * max(1.0, float(wanted.abs().max()))
            if found.shape != wanted.shape or not (found - wanted).abs().max() <= allowed:
                return False
    return True
