"""The layers of a state dict whose names nobody knows, told by their order and their shapes."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.networks import PLACES
from atari_zoo.converters.weights.namings import LayerNames

NAMED = 3  # tensors that a message shows


def naming_by_shape(weights: Mapping[str, Tensor]) -> LayerNames:
    """Three convolutions, a dense layer, and an output with or without a value.

    Raises ConversionError if it is not that, or could be that in two ways.
    """
    layers = [name.removesuffix(".weight") for name in weights if name.endswith(".weight")]
    convs = [x for x in layers if weights[f"{x}.weight"].ndim == 4]
    dense = [x for x in layers if weights[f"{x}.weight"].ndim == 2]
    other = [x for x in layers if x not in convs and x not in dense]
    found = f"{len(convs)} convolutions and {len(dense)} dense layers"
    if len(convs) != 3 or other:
        more = f" and {len(other)} others ('{other[0]}')" if other else ""
        raise ConversionError(f"three convolutions were expected; it has {found}{more}")
    _refuse_rest(weights, layers)
    sizes = {x: tuple(weights[f"{x}.weight"].shape) for x in dense}
    last = len(weights[f"{convs[-1]}.weight"])
    first = [x for x in dense if sizes[x][1] in [last * places for places in PLACES]]
    if len(first) != 1:
        raise ConversionError(f"one dense layer on the convolutions was expected; it has {found}")
    head, parts = head_by_shape([x for x in dense if x != first[0]], sizes, first[0])
    return LayerNames("", head, (convs[0], convs[1], convs[2]), parts, first[0], valid=False)


def shown(weights: Mapping[str, Tensor]) -> str:
    """The first tensors with their shapes, for a message."""
    parts = [f"'{name}' {tuple(tensor.shape)}" for name, tensor in weights.items()]
    more = f" and {len(parts) - NAMED} more" if len(parts) > NAMED else ""
    return ", ".join(parts[:NAMED]) + more


def head_by_shape(
    heads: list[str], sizes: dict[str, tuple[int, ...]], fc: str
) -> tuple[str, dict[str, str]]:
    """The kind of head that layers of these sizes are, and their parts in it; fc: before them.

    Raises ConversionError if they are not one output, or one and a value.
    """
    values = [x for x in heads if sizes[x][0] == 1]
    outputs = [x for x in heads if sizes[x][0] > 1]
    if len(outputs) != 1 or len(values) > 1:
        names = ", ".join(f"'{x}' {sizes[x]}" for x in heads) or "none"
        raise ConversionError(
            f"one output layer, or one and a value, was expected after '{fc}'; found {names}"
        )
    if not values:
        return "policy", {"output": outputs[0]}
    # a critic's value stands beside the policy, a dueling network's is added to the advantages
    if "adv" in outputs[0].lower():
        return "dueling", {"advantage": outputs[0], "value": values[0]}
    return "actor-critic", {"output": outputs[0], "value": values[0]}


def _refuse_rest(weights: Mapping[str, Tensor], layers: list[str]) -> None:
    known = {f"{layer}.{part}" for layer in layers for part in ("weight", "bias")}
    rest = {name: tensor for name, tensor in weights.items() if name not in known}
    if rest:
        raise ConversionError(f"beside its layers it has {shown(rest)}, whose part is not known")
