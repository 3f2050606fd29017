"""A network from its state dict: names and shapes, but no architecture.

Known names (`namings`) are matched first; else the layers are told by their order and shapes
(`shapes`), and what could be read in two ways is refused. Every tensor must have its place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from atari_zoo.converters.algorithms import ALGORITHMS
from atari_zoo.converters.cards import RANGE_ASSUMED, Preprocessing
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.heads import check_outputs
from atari_zoo.converters.registry import Source
from atari_zoo.converters.weights.assembling import AffineLayer, assembled
from atari_zoo.converters.weights.named_heads import HeadFacts, HeadLayers, named_head
from atari_zoo.converters.weights.namings import NAMINGS, LayerNames
from atari_zoo.converters.weights.recurrent_dicts import naming_of_recurrent, recurrent_in
from atari_zoo.converters.weights.recurrent_namings import RecurrentNames
from atari_zoo.converters.weights.shapes import naming_by_shape, shown

Weights = Mapping[str, Tensor]
# torch.compile and DataParallel put their own prefixes before every name
PREFIXES = ("_orig_mod.", "module.")
LONGEST = 1_000  # of a name
RELU_ASSUMED = "a ReLU after each convolution and the dense layer: weights do not tell"
# parts of names that other architectures have, and what those are
OTHERS = {
    "mlp_extractor": "it has extra dense layers before its heads (net_arch)",
    "res_block": "it is IMPALA's residual network, not the network of Mnih et al.",
}


@dataclass
class FoundNetwork:
    """A network, the names that its layers had, and what was assumed or left out."""

    network: AgentNetwork
    naming: LayerNames
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
    if naming.algorithm:
        card["algorithm"] = naming.algorithm
        card["action_rule"] = ALGORITHMS[naming.algorithm].action_rule
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
    facts = facts or HeadFacts()
    if (row := naming_of_recurrent(weights, facts.actions)) is not None:
        return _recurrent(weights, row, facts)
    naming = _known_naming(weights) or naming_by_shape(weights)
    _check(naming, weights)
    assumptions = [] if naming.library else [RANGE_ASSUMED, RELU_ASSUMED]
    layers = HeadLayers(weights, naming, facts, list(naming.notes), assumptions)
    head = named_head(layers)
    convolutions = [AffineLayer.of(weights, layer) for layer in naming.convolutions]
    fc = AffineLayer.of(weights, naming.fc) if naming.fc else None
    network = assembled(convolutions, fc, head)
    padding = [side for conv in network.trunk.convolutions for side in conv.padding]
    if naming.valid and any(padding):
        raise ConversionError(
            f"{naming.library} pads no convolution, but the dense layer has the size that padded "
            "ones leave on 84x84 pixels: was it trained on larger observations?"
        )
    check_outputs(network.actions)
    return FoundNetwork(network, naming, layers.notes, assumptions)


def seen_in(preprocessing: Preprocessing, frames: int) -> Preprocessing:
    """The same with as many frames in an observation as the network sees."""
    if frames == preprocessing.stack:
        return preprocessing
    name = f"{preprocessing.name}, {frames} frame{'s' * (frames > 1)}"
    return dataclasses.replace(preprocessing, name=name, stack=frames)


def _recurrent(weights: Weights, row: RecurrentNames, facts: HeadFacts) -> FoundNetwork:
    _check(row.names, weights)
    found = recurrent_in(weights, row, facts)
    check_outputs(found.network.actions)
    assumptions = [] if found.naming.library else [RANGE_ASSUMED, RELU_ASSUMED]
    assumptions += found.assumptions
    return FoundNetwork(found.network, found.naming, found.notes, assumptions)


def _known_naming(weights: Weights) -> LayerNames | None:
    """The row that accounts for every tensor; raises ConversionError if one does but for some."""
    rows = [(_unexplained(row, weights), row) for row in NAMINGS if _names(row) <= weights.keys()]
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
    plain = {*naming.convolutions, *([naming.fc] if naming.fc else [])}
    weight = "weight_mu" if naming.noisy else "weight"
    names = {f"{layer}.weight" for layer in plain}
    names |= {f"{layer}.{weight}" for layer in naming.layers.values()}
    return names | ({naming.support} if naming.support else set())


def _unexplained(naming: LayerNames, weights: Weights) -> Weights:
    noisy = [f"{p}_{s}" for p in ("weight", "bias") for s in ("mu", "sigma", "epsilon")]
    layers = {*naming.convolutions, naming.fc, *naming.layers.values()}
    parts = ["weight", "bias", *(noisy if naming.noisy else [])]
    known = {f"{layer}.{part}" for layer in layers for part in parts} | {naming.support}
    return {
        name: tensor
        for name, tensor in weights.items()
        if name not in known and not name.startswith(naming.ignored)
    }


def _check(naming: LayerNames, weights: Weights) -> None:
    """Refuses what is no table of weights before anything is computed with it."""
    for name in _names(naming):
        tensor = weights[name]
        axes = 1 if name == naming.support else 4 if name[:-7] in naming.convolutions else 2
        if tensor.ndim != axes or tensor.numel() == 0 or not tensor.is_floating_point():
            raise ConversionError(
                f"'{name}' is {str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}; "
                f"floats on {axes} axes were expected"
            )
