"""A network's weights as one row of numbers, or those of many copies as rows."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from atari_zoo.converters.network.networks import ConvShape, MnihNetwork


class FlatLayer(NamedTuple):
    """One layer's weights in every copy; `shape` is None for a dense one."""

    shape: ConvShape | None
    weight: Float[Tensor, "copies outputs inputs"]
    bias: Float[Tensor, "copies outputs"]


def write_parameters(network: MnihNetwork, flat: Float[Tensor, "parameters"]) -> None:
    """Copies `flat` into the network's parameters, in their order."""
    start = 0
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(flat[start : start + parameter.numel()].view_as(parameter))
            start += parameter.numel()


def flat_layers(network: MnihNetwork, rows: Float[Tensor, "copies parameters"]) -> list[FlatLayer]:
    """Views of the weights in `rows`, each a network's parameters in their order."""
    shapes: list[ConvShape | None] = [*network.trunk.convolutions, None, None]
    found, start = [], 0
    modules = (m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear))
    for shape, module in zip(shapes, modules, strict=True):
        outputs, size = len(module.weight), module.weight.numel()
        weight = rows[:, start : start + size].unflatten(1, (outputs, size // outputs))
        found.append(FlatLayer(shape, weight, rows[:, start + size : start + size + outputs]))
        start += size + outputs
    return found
