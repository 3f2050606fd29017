"""The network of Mnih et al. (2015, https://doi.org/10.1038/nature14236), with any head.

One trunk (three convolutions and a dense layer), one head. Widths, paddings and heads are
arguments: a converter reads them from the file it converts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.network.agent_networks import AgentNetwork, AgentTrunk, UnitRange
from atari_zoo.converters.network.heads import Dense, Head
from atari_zoo.converters.network.relevance import Flatten, ZeroPad

Padding = tuple[int, int, int, int]  # left, right, top, bottom, as torch.nn.ZeroPad2d has it
VALID: tuple[Padding, ...] = ((0, 0, 0, 0),) * 3
# TensorFlow's SAME on an 84x84 input: at the second layer it pads 1 before and 2 after
SAME: tuple[Padding, ...] = ((2, 2, 2, 2), (1, 2, 1, 2), (1, 1, 1, 1))
PLACES = (49, 121)  # of a unit of the last convolution, VALID (7x7) or SAME (11x11), on 84x84


@dataclass(frozen=True)
class ConvShape:
    """One convolution: its output channels, kernel, stride and padding, in pixels."""

    channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding = (0, 0, 0, 0)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of its output for an input of `height` x `width`."""
        left, right, top, bottom = self.padding
        return (
            (height + top + bottom - self.kernel[0]) // self.stride[0] + 1,
            (width + left + right - self.kernel[1]) // self.stride[1] + 1,
        )


def mnih_convolutions(
    channels: Sequence[int] = (32, 64, 64), paddings: Sequence[Padding] = VALID
) -> tuple[ConvShape, ...]:
    """The three convolutions of the paper: 8x8 stride 4, 4x4 stride 2, 3x3 stride 1."""
    geometry = ((8, 4), (4, 2), (3, 1))
    return tuple(
        ConvShape(width, (kernel, kernel), (stride, stride), padding)
        for width, (kernel, stride), padding in zip(channels, geometry, paddings, strict=True)
    )


class Convolution(nn.Sequential):
    """Padding, convolution and ReLU; its output is the layer's activation after the ReLU."""

    def __init__(self, inputs: int, shape: ConvShape) -> None:
        left, right, top, bottom = shape.padding
        symmetric = left == right and top == bottom
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if not symmetric:
            layers["pad"] = ZeroPad(shape.padding)
        layers["conv"] = nn.Conv2d(
            inputs,
            shape.channels,
            shape.kernel,
            shape.stride,
            padding=(top, left) if symmetric else 0,
        )
        layers["relu"] = nn.ReLU()
        super().__init__(layers)
        self.shape = shape


class Trunk(AgentTrunk):
    """The convolutions and, where the head's parts share one, the dense layer.

    shape: (frames, height, width) of an observation.
    units: of the dense layer; None where the head brings its own (Ape-X's two streams, IQN).
    """

    def __init__(
        self,
        convolutions: Sequence[ConvShape] | None = None,
        units: int | None = 512,
        shape: tuple[int, int, int] = (4, 84, 84),
    ) -> None:
        super().__init__()
        self.convolutions = tuple(convolutions or mnih_convolutions())
        self.shape = shape
        self.scale = UnitRange()
        channels, height, width = shape
        for index, conv in enumerate(self.convolutions, start=1):
            self.add_module(f"conv{index}", Convolution(channels, conv))
            channels, (height, width) = conv.channels, conv.output_size(height, width)
        self.maps = (channels, height, width)
        self.flatten = Flatten()
        self.fc = Dense(channels * height * width, units) if units else None
        self.features = units or channels * height * width

    @property
    def architecture(self) -> str:
        return "Mnih et al. (2015)"

    @property
    def layers(self) -> dict[str, nn.Module]:
        names = [f"conv{index + 1}" for index in range(len(self.convolutions))]
        names += ["fc"] if self.fc is not None else []
        return {name: self.get_submodule(name) for name in names}


class MnihNetwork(AgentNetwork):
    """The convolutions and the dense layer of Mnih et al., and a head.

    Its layers are `conv1 conv2 conv3 fc output`, and where the head has them `value`,
    `advantage`, `atoms`, `quantiles`. A layer's value is what follows its ReLU.

    >>> network = MnihNetwork(Trunk(), QHead(512, actions=6))
    >>> network(torch.zeros(2, 4, 84, 84, dtype=torch.uint8)).shape
    torch.Size([2, 6])
    """

    trunk: Trunk

    def __init__(self, trunk: Trunk, head: Head, card: ModelCard | None = None) -> None:
        super().__init__(trunk, head, card)
