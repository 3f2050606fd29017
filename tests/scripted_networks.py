"""Networks as somebody writes them in torch: convolutions, dense layers, functions, a head."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

NATURE = ((6, 8, 4), (8, 4, 2), (8, 3, 1))
NIPS = NATURE[:2]


class Scripted(nn.Module):
    """Convolutions, dense layers and a head as somebody writes them: with functions, not modules.

    geometry: channels, kernel and stride of each convolution. bend: the activation function.
    """

    def __init__(
        self,
        geometry: tuple[tuple[int, int, int], ...],
        dense: tuple[int, ...] = (20,),
        bend: Callable[[Tensor], Tensor] = F.relu,
        shape: tuple[int, int, int] = (4, 84, 84),
        dueling: bool = False,
    ) -> None:
        super().__init__()
        self.shape, self.bend, self.dueling = shape, bend, dueling
        channels, side, _ = shape
        self.convolutions, self.dense = nn.ModuleList(), nn.ModuleList()
        for width, kernel, stride in geometry:
            self.convolutions.append(nn.Conv2d(channels, width, kernel, stride))
            channels, side = width, (side - kernel) // stride + 1
        features = channels * side**2
        for units in dense:
            self.dense.append(nn.Linear(features, units))
            features = units
        if dueling:
            self.streams = nn.ModuleList(nn.Linear(features, 12) for _ in range(2))
            features = 12
        self.policy, self.value = nn.Linear(features, 6), nn.Linear(features, 1)

    def forward(self, seen: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = seen.float() / 255
        for convolution in self.convolutions:
            x = self.bend(convolution(x))
        x = x.flatten(1)
        for layer in self.dense:
            x = self.bend(layer(x))
        if not self.dueling:
            return self.policy(x), self.value(x)
        value, advantage = (self.bend(stream(x)) for stream in self.streams)
        values = self.policy(advantage)
        return self.value(value) + values - values.mean(1, keepdim=True)
