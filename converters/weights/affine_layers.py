"""One layer's weights and biases, in torch's order of axes, from whatever order a file has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.activations import RELU, Activation, prelu_of
from atari_zoo.converters.network.finite import finite_tensor
from atari_zoo.converters.weights.slopes import SLOPES


class AffineLayer(NamedTuple):
    """A layer's weights as torch has them: (out, in) or (out, in, height, width), and (out,).

    name: of the layer in its file, for messages. activation: what stands after it.
    """

    weight: Tensor
    bias: Tensor
    name: str = ""
    activation: Activation = RELU

    @classmethod
    def of(cls, weights: Mapping[str, Tensor], name: str) -> AffineLayer:
        """The layer called `name` in a torch state dict; raises ConversionError if it lacks it."""
        for part in ("weight", "bias"):
            if f"{name}.{part}" not in weights:
                raise ConversionError(f"'{name}.{part}' is missing")
        slopes = weights.get(f"{name}{SLOPES}")
        bent = RELU if slopes is None else prelu_of(slopes.tolist())
        return cls(weights[f"{name}.weight"], weights[f"{name}.bias"], name, bent)

    @classmethod
    def of_tensorflow(cls, kernel: np.ndarray, bias: np.ndarray, name: str = "") -> AffineLayer:
        """From TensorFlow's and JAX's orders: (height, width, in, out), or (in, out)."""
        if kernel.ndim not in (2, 4) or bias.ndim != 1:
            raise ConversionError(f"'{name}': weights {kernel.shape} and biases {bias.shape}")
        order = (3, 2, 0, 1) if kernel.ndim == 4 else (1, 0)
        weight = finite_tensor(kernel.transpose(order), name)
        return cls(weight, finite_tensor(bias, name), name)

    def from_height_width_channels(self, channels: int) -> AffineLayer:
        """A dense layer that read (height, width, channels), reading (channels, height, width)."""
        places = self.weight.shape[1] // max(channels, 1)
        if self.weight.ndim != 2 or places * channels != self.weight.shape[1]:
            raise ConversionError(
                f"'{self.name}' {tuple(self.weight.shape)} does not read {channels} channels"
            )
        moved = self.weight.reshape(-1, places, channels).transpose(1, 2)
        return self._replace(weight=moved.reshape(len(self.weight), -1).contiguous())

    def transposed(self, rows: int) -> AffineLayer:
        """Units that stood as (rows, columns), standing as (columns, rows)."""
        if self.weight.ndim != 2 or rows < 1 or len(self.weight) % rows:
            raise ConversionError(
                f"'{self.name}' {tuple(self.weight.shape)} does not have {rows} rows of units"
            )
        if self.bias.shape != self.weight.shape[:1]:
            raise ConversionError(f"'{self.name}' has biases {tuple(self.bias.shape)}")
        order = torch.arange(len(self.weight)).reshape(rows, -1).T.reshape(-1)
        return self._replace(weight=self.weight[order], bias=self.bias[order])


def fill(module: nn.Module, layer: AffineLayer) -> None:
    """Copies the weights into the one linear or convolutional layer of `module`.

    Raises ConversionError where the shapes differ or a weight is no finite number.
    """
    (target,) = (m for m in module.modules() if isinstance(m, nn.Linear | nn.Conv2d))
    assert target.bias is not None
    for part, there, given in (
        ("weights", target.weight, layer.weight),
        ("biases", target.bias, layer.bias),
    ):
        if there.shape != given.shape:
            raise ConversionError(
                f"'{layer.name}' has {part} {tuple(given.shape)}; "
                f"{tuple(there.shape)} were expected"
            )
        with torch.no_grad():
            there.copy_(finite_tensor(given, layer.name))
