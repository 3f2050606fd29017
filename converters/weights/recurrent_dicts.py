"""A recurrent network from its state dict: by the names of its layers, else by order and shape.

Weights do not tell how an agent's state begins: at zero, as all of these libraries have it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.agent_networks import AgentTrunk
from atari_zoo.converters.network.heads import PolicyHead
from atari_zoo.converters.network.memories import Critic, RecurrentLayers
from atari_zoo.converters.network.networks import Trunk
from atari_zoo.converters.network.recurrent import ACTION, REWARD, RecurrentNetwork
from atari_zoo.converters.weights.affine_layers import AffineLayer, fill
from atari_zoo.converters.weights.memory_layers import (
    PLAIN_ASSUMED,
    memories_in,
    memory_named,
    parts_of_memory,
)
from atari_zoo.converters.weights.named_heads import (
    HeadFacts,
    HeadLayers,
    critic_is_apart,
    named_head,
)
from atari_zoo.converters.weights.named_networks import named_network
from atari_zoo.converters.weights.namings import LayerNames
from atari_zoo.converters.weights.recurrent_namings import RecurrentNames, recurrent_namings
from atari_zoo.converters.weights.shapes import head_by_shape, naming_by_shape, shown

Weights = Mapping[str, Tensor]


@dataclass
class FoundRecurrent:
    """A network, the row whose names it had, and what was assumed or left out."""

    network: RecurrentNetwork
    naming: LayerNames
    notes: list[str]
    assumptions: list[str]


def naming_of_recurrent(weights: Weights, actions: int = 0) -> RecurrentNames | None:
    """The row that these weights are of; None where they are of no recurrent agent.

    actions: how many there are, where that is known.
    Raises ConversionError if they are of one that is not known, or could be read in two ways.
    """
    rows = [
        row for row in recurrent_namings(weights.keys()) if _names(row, weights) <= weights.keys()
    ]
    whole = [row for row in rows if not _unexplained(row, weights)]
    found = [row for row in whole if _told_fits(row, weights, actions)]
    memories = memories_in(weights)
    if found or (whole and memories):
        return (found or whole)[0]  # of sizes that do not fit, who reads them says which
    if not memories:
        return None
    best = min(rows, key=lambda row: len(_unexplained(row, weights)), default=None)
    if best is not None and (rest := _unexplained(best, weights)):
        raise ConversionError(f"beside the layers of {best.names.library} it has {shown(rest)}")
    if len(memories) > 1:
        words = ", ".join(f"'{name}'" for name in memories)
        raise ConversionError(f"it has several memories ({words}), whose parts are not known")
    rest = {n: t for n, t in weights.items() if n not in parts_of_memory(weights, memories[0])}
    return RecurrentNames(_by_shape(rest, weights, memories[0]), memories[0])


def recurrent_in(weights: Weights, row: RecurrentNames, facts: HeadFacts) -> FoundRecurrent:
    """The network with these weights. Raises ConversionError where they do not fit together."""
    names, notes, assumptions = row.names, list(row.names.notes), list[str]()
    critic_name = row.critic
    if critic_is_apart(weights, names):
        notes.append("the critic has convolutions and a memory of its own, which are left out")
        names, critic_name = _without_value(names), ""
    elif critic_name:
        names = _without_value(names)
    plain = dataclasses.replace(names, fc=names.fc or "none")  # no streams of their own
    whole = names if names.fc is None and "value fc" in names.layers else plain
    head = named_head(HeadLayers(weights, whole, facts, notes, assumptions))
    memory = memory_named(weights, row.memory) if row.memory else None
    if memory is not None and memory.kind == "rnn":
        assumptions.append(PLAIN_ASSUMED)
    told = sum({REWARD: 1, ACTION: head.actions}[name] for name in row.told)
    read = memory.rnn.input_size if memory is not None else head.features
    trunk = _known_trunk(weights, row) if row.convolutions else None
    if trunk is None or trunk.features != read - told:
        trunk = named_network(weights, names, PolicyHead(read - told, 2)).trunk
    if memory is not None and memory.features != head.features:
        raise ConversionError(
            f"the head reads {head.features} features, but '{row.memory}' has {memory.features} "
            "units"
        )
    critic = _critic(weights, row, critic_name, trunk) if critic_name else None
    network = RecurrentNetwork(trunk, memory, head, critic, row.told)
    return FoundRecurrent(network, names, notes, assumptions)


def _known_trunk(weights: Weights, row: RecurrentNames) -> AgentTrunk:
    """That of a library whose weights do not tell its strides and activation functions."""
    trunk = Trunk(row.convolutions, None, row.screen)
    for number, name in enumerate(row.names.convolutions, start=1):
        fill(trunk.get_submodule(f"conv{number}.conv"), AffineLayer.of(weights, name))
    return trunk


def _critic(weights: Weights, row: RecurrentNames, name: str, trunk: AgentTrunk) -> Critic:
    between: RecurrentLayers | nn.Linear
    if parts_of_memory(weights, name):
        between = memory_named(weights, name, "critic_")
        read = between.rnn.input_size
    else:
        layer = AffineLayer.of(weights, name)
        if layer.weight.ndim != 2:
            raise ConversionError(f"'{name}' has weights {tuple(layer.weight.shape)}, not a table")
        between = nn.Linear(layer.weight.shape[1], layer.weight.shape[0])
        fill(between, layer)
        read = between.in_features
    if read != trunk.features:
        raise ConversionError(f"'{name}' reads {read} features, but there are {trunk.features}")
    critic = Critic(between)
    fill(critic.value, AffineLayer.of(weights, row.names.layers["value"]))
    return critic


def _without_value(names: LayerNames) -> LayerNames:
    layers = {part: name for part, name in names.layers.items() if part != "value"}
    return dataclasses.replace(names, head="policy", layers=layers, critic_trunk=None)


def _by_shape(rest: Weights, weights: Weights, memory: str) -> LayerNames:
    """The layers beside a memory whose names nobody knows."""
    found = memory_named(weights, memory)
    dense = [n for n in rest if n.endswith(".weight") and rest[n].ndim == 2]
    first = [n for n in dense if len(rest[n]) == found.rnn.input_size]
    if first:
        # as if the heads read the dense layer, whose features the memory has in between
        naming = naming_by_shape(
            {
                name: torch.empty(len(tensor), found.rnn.input_size, device="meta")
                if name in dense and name not in first
                else tensor
                for name, tensor in rest.items()
            }
        )
    else:
        convs = [n.removesuffix(".weight") for n in rest if n.endswith("t") and rest[n].ndim == 4]
        known = {f"{n}.{part}" for n in convs for part in ("weight", "bias")}
        heads = [n.removesuffix(".weight") for n in dense]
        known |= {f"{n}.{part}" for n in heads for part in ("weight", "bias")}
        if len(convs) != 3 or rest.keys() - known:
            raise ConversionError(
                f"three convolutions and the layers after its memory were expected; beside it are "
                f"{shown(rest)}"
            )
        sizes = {n: tuple(rest[f"{n}.weight"].shape) for n in heads}
        head, layers = head_by_shape(heads, sizes, memory)
        three = (convs[0], convs[1], convs[2])
        naming = LayerNames("", head, three, layers, None, valid=False)
    return naming


def _names(row: RecurrentNames, weights: Weights) -> set[str]:
    """The tensors by which a row is told."""
    names = row.names
    layers = {*names.all_convolutions, *names.dense, *names.layers.values()}
    found = {f"{layer}.weight" for layer in layers} | ({names.support} if names.support else set())
    for memory in filter(None, (row.memory, row.critic)):
        parts = [f"{memory}.weight_ih_l0", f"{memory}.weight_ih"]
        known = next((part for part in parts if part in weights), None)
        if known is None and memory == row.critic:
            known = f"{memory}.weight"
        found.add(known or parts[0])
    return found


def _unexplained(row: RecurrentNames, weights: Weights) -> Weights:
    names = row.names
    layers = {*names.all_convolutions, *names.dense, *names.layers.values(), row.critic or None}
    known = {f"{layer}.{part}" for layer in layers if layer for part in ("weight", "bias")}
    known.add(names.support)
    for memory in filter(None, (row.memory, row.critic)):
        known |= parts_of_memory(weights, memory)
    return {
        name: tensor
        for name, tensor in weights.items()
        if name not in known and not name.startswith(names.ignored)
    }


def _told_fits(row: RecurrentNames, weights: Weights, actions: int) -> bool:
    """Whether the memory, or the head, reads as many numbers as features and what it is told."""
    names = row.names
    part = next(
        part for part in ("output", "advantage", "atoms", "quantiles") if part in names.layers
    )
    output = weights[f"{names.layers[part]}.weight"]
    if not actions:
        actions = len(output) // (len(weights[names.support]) if names.support else 1)
    if row.memory:
        parts = (f"{row.memory}.weight_ih_l0", f"{row.memory}.weight_ih")
        reader = next(weights[part] for part in parts if part in weights)
    else:
        reader = output
    told = sum({REWARD: 1, ACTION: actions}[name] for name in row.told)
    if names.dense:
        features = len(weights[f"{names.dense[-1]}.weight"])
    else:
        features = len(weights[f"{names.all_convolutions[-1]}.weight"])
        return reader.ndim == 2 and (reader.shape[1] - told) % features == 0
    return reader.ndim == 2 and reader.shape[1] == features + told
