"""Many copies of the network of Mnih et al., each with weights of its own, run as one.

Convolutions are done as products of matrices (weights times patches of the image), which batch
over the copies: on a CPU a little faster than one convolution with a group for each copy.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from atari_zoo.converters.heads import PolicyHead
from atari_zoo.converters.networks import ConvShape, MnihNetwork, Trunk

ALIGNED = 16  # numbers: each copy's weights begin at such a multiple, so that all sum alike


class Layer(NamedTuple):
    """One layer's weights in every copy; `shape` is None for a dense one."""

    shape: ConvShape | None
    weight: Float[Tensor, "copies outputs inputs"]
    bias: Float[Tensor, "copies outputs"]


def new_policy(actions: int) -> MnihNetwork:
    """A new network: weights normal with the deviations of `deviations`, biases 0."""
    network = MnihNetwork(Trunk(), PolicyHead(512, actions))
    flat = deviations(network)
    write_parameters(network, torch.randn_like(flat) * flat)
    return network


def deviations(network: MnihNetwork) -> Float[Tensor, "parameters"]:
    """The standard deviation of each weight before training, 1 / sqrt(inputs); 0 for biases.

    A tenth of that for the output. From `LargeModel` of Such et al. (2017),
    https://github.com/uber-research/deep-neuroevolution, `models/dqn.py`.
    """
    head = network.head
    assert isinstance(head, PolicyHead)
    parts = []
    for parameter in network.parameters():
        inputs = parameter[0].numel()
        scale = 0.1 if parameter is head.output.weight else 1.0
        parts.append(torch.full((parameter.numel(),), scale / inputs**0.5 * (parameter.ndim > 1)))
    return torch.cat(parts)


def write_parameters(network: MnihNetwork, flat: Float[Tensor, "parameters"]) -> None:
    """Copies `flat` into the network's parameters, in their order."""
    start = 0
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(flat[start : start + parameter.numel()].view_as(parameter))
            start += parameter.numel()


def layers(network: MnihNetwork, rows: Float[Tensor, "copies parameters"]) -> list[Layer]:
    """Views of the weights in `rows`, each a network's parameters in their order."""
    shapes: list[ConvShape | None] = [*network.trunk.convolutions, None, None]
    found, start = [], 0
    modules = (m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear))
    for shape, module in zip(shapes, modules, strict=True):
        outputs, size = len(module.weight), module.weight.numel()
        weight = rows[:, start : start + size].unflatten(1, (outputs, size // outputs))
        found.append(Layer(shape, weight, rows[:, start + size : start + size + outputs]))
        start += size + outputs
    return found


class BatchedNetworks:
    """`count` copies of a policy, on `device`; `weights[i]` are those of copy i, flat."""

    def __init__(self, network: MnihNetwork, count: int, device: torch.device | str) -> None:
        size = sum(parameter.numel() for parameter in network.parameters())
        rows = torch.zeros(count, -(-size // ALIGNED) * ALIGNED, device=device)
        self.weights = rows[:, :size]
        self.layers = layers(network, self.weights)
        self.scale = network.trunk.scale

    @torch.inference_mode()
    def __call__(
        self, observations: Shaped[Tensor, "copies frames height width"]
    ) -> Float[Tensor, "copies actions"]:
        """What copy i gives for observation i: bytes, or floats in 0..1."""
        x = self.scale(observations)
        for shape, weight, bias in self.layers[:-1]:
            x = _product(x, shape, weight, bias).relu_()
        return _product(x, *self.layers[-1]).flatten(1)


def _product(x: Tensor, shape: ConvShape | None, weight: Tensor, bias: Tensor) -> Tensor:
    if shape is None:
        # as a row times a matrix: twice as fast on a CPU as a matrix times a column
        return torch.baddbmm(bias[:, None], x.flatten(1)[:, None], weight.transpose(1, 2))
    if any(shape.padding):
        x = functional.pad(x, shape.padding)
    (height, width), (down, right) = shape.kernel, shape.stride
    patches = x.unfold(2, height, down).unfold(3, width, right)
    rows, columns = patches.shape[2:4]
    patches = patches.permute(0, 1, 4, 5, 2, 3).flatten(4).flatten(1, 3)
    return torch.baddbmm(bias[:, :, None], weight, patches).unflatten(2, (rows, columns))
