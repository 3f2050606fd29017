"""The first convolution, computed another way that is faster where images are optimized.

An 8x8 kernel that moves by 4 over 4 frames is a kernel of 2 rows that moves down by 1 over 16
channels, each every fourth row of one frame. The sums are the same but for the order of their
terms; on a CPU image and gradient take less than half the time, since 4 channels fill no vector.
Made by hand, since torch computes a convolution as it is given.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from atari_zoo.converters.network.networks import Convolution, MnihNetwork

Module = TypeVar("Module", bound=nn.Module)


class RowConvolution(nn.Module):
    """What `conv` computes after `padding` (left, right, top, bottom); its weights stay as now.

    Kernel, stride and image must allow it: see `allows`.
    """

    def __init__(self, conv: nn.Conv2d, padding: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.step, self.across, self.padding = conv.stride[0], conv.stride[1], padding
        self.register_buffer("weight", _rows_as_channels(conv.weight.detach(), self.step), False)
        self.bias = conv.bias

    def forward(self, images: Tensor) -> Tensor:
        padded = F.pad(images, self.padding) if any(self.padding) else images
        weight = self.get_buffer("weight")
        return F.conv2d(
            _rows_as_channels(padded, self.step), weight, self.bias, stride=(1, self.across)
        )


def quickened(network: MnihNetwork) -> MnihNetwork:
    """The same network with the same modules, but for the first convolution where that pays.

    Hooks on that one would not run: where it has any, the network is given back as it is.
    """
    first = network.layers.get("conv1")
    if not isinstance(first, Convolution) or not allows(first, network.trunk.shape):
        return network
    conv = first.get_submodule("conv")
    assert isinstance(conv, nn.Conv2d)
    quick = _copied(network)
    trunk, layer = _copied(network.trunk), _copied(first)
    layer._modules["conv"] = RowConvolution(conv, first.shape.padding)
    layer._modules.pop("pad", None)
    trunk._modules["conv1"] = layer
    quick._modules["trunk"] = trunk
    return quick


def allows(layer: Convolution, shape: tuple[int, int, int]) -> bool:
    """Whether the heights of the kernel and of the padded image are multiples of the stride, and
    no one listens to the convolution."""
    conv, convolved = layer.get_submodule("conv"), layer.shape
    _, _, top, bottom = convolved.padding
    step = convolved.stride[0]
    whole = convolved.kernel[0] % step == 0 and (shape[1] + top + bottom) % step == 0
    return step > 1 and whole and not conv._forward_hooks and not conv._forward_pre_hooks


def _rows_as_channels(
    images: Float[Tensor, "batch frames height width"], step: int
) -> Float[Tensor, "batch channels rows width"]:
    """Channel `frame * step + r` has the rows r, r + step, r + 2 step ... of that frame."""
    rows = images.unflatten(2, (-1, step)).transpose(2, 3).flatten(1, 2)
    return rows.contiguous(memory_format=torch.channels_last)


def _copied(module: Module) -> Module:
    """A module with the same parts and hooks, whose parts can be exchanged."""
    twin = copy.copy(module)
    twin._modules = dict(module._modules)
    return twin
