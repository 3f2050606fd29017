"""A network from its state dict: names and shapes, but no architecture.

Known names (`namings`) are matched first; else the layers are told by their order and shapes
(`shapes`), and what could be read in two ways is refused. Every tensor must have its place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from atari_zoo.converters.algorithms import ALGORITHMS
from atari_zoo.converters.cards import BYTES_ASSUMED, RANGE_ASSUMED, Preprocessing
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.heads import check_outputs
from atari_zoo.converters.network.networks import Trunk
from atari_zoo.converters.registry import Source
from atari_zoo.converters.weights.chainerrl_names import CHAINERRL, with_split_streams
from atari_zoo.converters.weights.counted_namings import counted_namings
from atari_zoo.converters.weights.named_heads import HeadFacts, HeadLayers, named_head
from atari_zoo.converters.weights.named_networks import named_network
from atari_zoo.converters.weights.namings import NAMINGS, OWN, LayerNames
from atari_zoo.converters.weights.recurrent_dicts import naming_of_recurrent, recurrent_in
from atari_zoo.converters.weights.recurrent_namings import RecurrentNames
from atari_zoo.converters.weights.shapes import naming_by_shape, shown
from atari_zoo.converters.weights.slopes import (
    SLOPES,
    SLOPES_ASSUMED,
    refuse_prelus_elsewhere,
    with_slopes_beside,
)
from atari_zoo.converters.weights.split_biases import with_joined_biases
from atari_zoo.converters.weights.tianshou_names import TIANSHOU, without_tianshous_own
from atari_zoo.converters.weights.trunks import trunk_assumptions

Weights = Mapping[str, Tensor]
# torch.compile and DataParallel put their own prefixes before every name
PREFIXES = ("_orig_mod.", "module.")
ROWS = NAMINGS + TIANSHOU + CHAINERRL
LONGEST = 1_000  # of a name
RELU_ASSUMED = "a ReLU after each convolution and the dense layer: weights do not tell"
RESIDUAL_ASSUMED = (
    "a ReLU before each convolution of IMPALA's residual blocks and after the dense layer, and "
    "pools padded as torch's scripts have them: weights do not tell"
)
# parts of names that other architectures have, and what those are
OTHERS = {
    "mlp_extractor": "it has extra dense layers before its heads (net_arch)",
}


@dataclass
class FoundNetwork:
    """A network, the names that its layers had, and what was assumed or left out.

    algorithm: as the names tell it; "" where they do not.
    """

    network: AgentNetwork
    naming: LayerNames
    algorithm: str
    notes: list[str]
    assumptions: list[str]


def network_from_state_dict(weights: Weights) -> AgentNetwork:
    """The network with these weights.

    Raises ConversionError if they are another architecture's, or could be read in two ways.
    """
    return found_in(weights).network


def source_of(weights: Weights, facts: HeadFacts | None = None) -> Source:
    """The network with these weights, and what its names tell of it.

    Raises ConversionError as `network_from_state_dict` does.
    """
    found = found_in(weights, facts)
    naming = found.naming
    card: dict[str, Any] = {}
    if found.algorithm:
        card["algorithm"] = found.algorithm
        card["action_rule"] = ALGORITHMS[found.algorithm].action_rule
    if naming.action_rule:
        card["action_rule"] = naming.action_rule
    if naming.preprocessing:
        card["preprocessing"] = seen_in(naming.preprocessing, found.network.shape[0])
    source = Source(found.network, card, naming.library, flatten="C, H, W", notes=found.notes)
    source.assumptions = found.assumptions
    return source


def found_in(weights: Weights, facts: HeadFacts | None = None) -> FoundNetwork:
    """The network with these weights, and how it was found.

    Raises ConversionError as `network_from_state_dict` does.
    """
    for prefix in PREFIXES:
        weights = {name.removeprefix(prefix): tensor for name, tensor in weights.items()}
    if not all(name.isprintable() and len(name) < LONGEST for name in weights):
        raise ConversionError("tensors with names that cannot be printed: damaged")
    weights = with_split_streams(without_tianshous_own(weights))
    weights, joined = with_joined_biases(weights)
    weights = with_slopes_beside(weights)
    if (row := naming_of_recurrent(weights, facts.actions if facts else 0)) is not None:
        return _recurrent(weights, row, facts or HeadFacts(), joined)
    naming = _known_naming(weights) or naming_by_shape(weights)
    _check(naming, weights)
    refuse_prelus_elsewhere(weights, (*naming.all_convolutions, *naming.dense))
    assumptions = [] if naming.library else [RANGE_ASSUMED]
    if not naming.library or (naming.library == OWN and facts is None):
        assumptions.append(RESIDUAL_ASSUMED if naming.blocks else RELU_ASSUMED)
    if not naming.library and any(name.endswith(SLOPES) for name in weights):
        assumptions.append(SLOPES_ASSUMED)
    facts = facts or HeadFacts()
    layers = HeadLayers(weights, naming, facts, [*naming.notes, *joined], assumptions)
    head = named_head(layers)
    network = named_network(weights, naming, head)
    if not naming.scaled:
        with torch.no_grad():
            network.trunk.first.weight.mul_(255)
        assumptions.append(BYTES_ASSUMED)
    assumptions += trunk_assumptions(network.trunk)
    if naming.valid and isinstance(network.trunk, Trunk) and network.trunk.padded:
        raise ConversionError(
            f"{naming.library} pads no convolution, but the dense layer has the size that padded "
            "ones leave: was it trained on larger observations?"
        )
    check_outputs(network.actions)
    algorithm = "acktr" if joined else naming.algorithm  # no other uses KFAC
    return FoundNetwork(network, naming, algorithm, layers.notes, assumptions)


def seen_in(preprocessing: Preprocessing, frames: int) -> Preprocessing:
    """The same with as many frames in an observation as the network sees."""
    if frames == preprocessing.stack:
        return preprocessing
    name = f"{preprocessing.name}, {frames} frame{'s' * (frames > 1)}"
    return dataclasses.replace(preprocessing, name=name, stack=frames)


def _recurrent(
    weights: Weights, row: RecurrentNames, facts: HeadFacts, joined: list[str]
) -> FoundNetwork:
    _check(row.names, weights)
    refuse_prelus_elsewhere(weights, (*row.names.all_convolutions, *row.names.dense))
    found = recurrent_in(weights, row, facts)
    check_outputs(found.network.actions)
    assumptions = [] if found.naming.library else [RANGE_ASSUMED, RELU_ASSUMED]
    assumptions += found.assumptions
    if not row.convolutions:
        assumptions += trunk_assumptions(found.network.trunk)
    algorithm = "acktr" if joined else found.naming.algorithm
    notes = [*found.notes, *joined]
    return FoundNetwork(found.network, found.naming, algorithm, notes, assumptions)


def _known_naming(weights: Weights) -> LayerNames | None:
    """The row that accounts for every tensor; raises ConversionError if one does but for some."""
    rows = [
        (_unexplained(row, weights), row)
        for row in (*ROWS, *counted_namings(weights.keys()))
        if _names(row) <= weights.keys()
    ]
    rest, naming = min(rows, key=lambda found: len(found[0]), default=(weights, None))
    if naming is not None and not rest:
        return naming
    reason = next((why for part, why in OTHERS.items() if any(part in x for x in rest)), "")
    if naming is None and not reason:
        return None
    beside = f"beside the layers of {naming.library} it has {shown(rest)}" if naming else ""
    raise ConversionError(": ".join(part for part in (reason, beside) if part))


def _names(naming: LayerNames) -> set[str]:
    """The tensors by which a row is told: every layer's weights, but not its biases."""
    plain = {*naming.all_convolutions, *naming.dense}
    weight = "weight_mu" if naming.noisy else "weight"
    names = {f"{layer}.weight" for layer in plain}
    names |= {f"{layer}.{weight}" for layer in naming.layers.values()}
    return names | ({naming.support} if naming.support else set())


def _unexplained(naming: LayerNames, weights: Weights) -> Weights:
    noisy = [f"{p}_{s}" for p in ("weight", "bias") for s in ("mu", "sigma", "epsilon")]
    layers = {*naming.all_convolutions, *naming.dense, *naming.layers.values()}
    parts = ["weight", "bias", *(noisy if naming.noisy else [])]
    known = {f"{layer}.{part}" for layer in layers for part in parts} | {naming.support}
    known |= {f"{layer}{SLOPES}" for layer in (*naming.all_convolutions, *naming.dense)}
    return {
        name: tensor
        for name, tensor in weights.items()
        if name not in known and not name.startswith(naming.ignored)
    }


def _check(naming: LayerNames, weights: Weights) -> None:
    """Refuses what is no table of weights before anything is computed with it."""
    for name in _names(naming):
        tensor = weights[name]
        axes = 1 if name == naming.support else 4 if name[:-7] in naming.all_convolutions else 2
        if tensor.ndim != axes or tensor.numel() == 0 or not tensor.is_floating_point():
            raise ConversionError(
                f"'{name}' is {str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}; "
                f"floats on {axes} axes were expected"
            )
