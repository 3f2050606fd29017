"""The network of Mnih et al. (2015, https://doi.org/10.1038/nature14236), with any head.

One trunk (convolutions one after the other, mostly three, and dense layers, mostly one), one head.
Widths, strides, paddings, activation functions and heads are arguments: a converter reads them from
the file it converts. So the network of 2013, with two convolutions, is the same class.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.network.activations import RELU, Activation, activation_words
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
    """One convolution: its output channels, kernel, stride and padding, in pixels, and the
    activation function after it."""

    channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding = (0, 0, 0, 0)
    activation: Activation = RELU

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of its output for an input of `height` x `width`."""
        left, right, top, bottom = self.padding
        return (
            (height + top + bottom - self.kernel[0]) // self.stride[0] + 1,
            (width + left + right - self.kernel[1]) // self.stride[1] + 1,
        )


@dataclass(frozen=True)
class DenseShape:
    """One dense layer: its units, and the activation function after it."""

    units: int
    activation: Activation = RELU


# kernel and stride of each convolution: Mnih et al. (2013, https://arxiv.org/abs/1312.5602) had two
GEOMETRIES: dict[str, tuple[tuple[int, int], ...]] = {
    "Mnih et al. (2015)": ((8, 4), (4, 2), (3, 1)),
    "Mnih et al. (2013)": ((8, 4), (4, 2)),
}


def mnih_convolutions(
    channels: Sequence[int] = (32, 64, 64), paddings: Sequence[Padding] = VALID
) -> tuple[ConvShape, ...]:
    """The three convolutions of 2015: 8x8 stride 4, 4x4 stride 2, 3x3 stride 1; or, of two
    channels, the two of 2013, which are the first of them (16 and 32 channels there)."""
    geometry = GEOMETRIES["Mnih et al. (2015)"][: len(channels)]
    return tuple(
        ConvShape(width, (kernel, kernel), (stride, stride), padding)
        for width, (kernel, stride), padding in zip(channels, geometry, paddings, strict=False)
    )


class Convolution(nn.Sequential):
    """Padding, convolution and its activation function, mostly `relu`: its value leaves that."""

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
        layers[shape.activation.kind] = shape.activation.module()
        super().__init__(layers)
        self.shape = shape


class Trunk(AgentTrunk):
    """Convolutions, and the dense layers that the head's parts share: one, several or none.

    units: of the dense layer, or the layers; None where the head stands on the flattened map, or
        brings dense layers of its own (Ape-X's two streams, IQN).
    shape: (frames, height, width) of an observation.

    Raises ValueError where the convolutions leave nothing of such an observation.
    """

    fc: Dense | None

    def __init__(
        self,
        convolutions: Sequence[ConvShape] | None = None,
        units: int | Sequence[DenseShape] | None = 512,
        shape: tuple[int, int, int] = (4, 84, 84),
    ) -> None:
        super().__init__()
        self.convolutions = tuple(convolutions or mnih_convolutions())
        self.dense = dense_shapes(units)
        self.shape = shape
        self.scale = UnitRange()
        channels, height, width = shape
        for index, conv in enumerate(self.convolutions, start=1):
            self.add_module(f"conv{index}", Convolution(channels, conv))
            channels, (height, width) = conv.channels, conv.output_size(height, width)
        if min(height, width) < 1:
            raise ValueError(f"these convolutions leave nothing of {shape[1]}x{shape[2]} pixels")
        self.maps = (channels, height, width)
        self.flatten = Flatten()
        self.features = channels * height * width
        for name, dense in zip(dense_names(len(self.dense)), self.dense, strict=True):
            self.add_module(name, Dense(self.features, dense.units, dense.activation))
            self.features = dense.units
        if not self.dense:
            self.fc = None

    @property
    def padded(self) -> bool:
        """Whether a convolution is padded."""
        return any(any(conv.padding) for conv in self.convolutions)

    @property
    def architecture(self) -> str:
        found = tuple((conv.kernel, conv.stride) for conv in self.convolutions)
        for name, geometry in GEOMETRIES.items():
            if found == tuple(((k, k), (s, s)) for k, s in geometry):
                return name + self.variation
        count = len(self.convolutions)
        return f"{count} convolution{'s' * (count > 1)}{self.variation}"

    @property
    def variation(self) -> str:
        """Where its layers' kinds differ from the papers': ", ELU (1)"; ", 2 dense layers"."""
        activations = [conv.activation for conv in self.convolutions]
        activations += [dense.activation for dense in self.dense]
        words = activation_words(activations)
        if len(self.dense) > 1:
            words.append(f"{len(self.dense)} dense layers")
        return "".join(f", {word}" for word in words)

    @property
    def layers(self) -> dict[str, nn.Module]:
        names = [f"conv{index + 1}" for index in range(len(self.convolutions))]
        return {name: self.get_submodule(name) for name in (*names, *dense_names(len(self.dense)))}


def dense_shapes(units: int | Sequence[DenseShape] | None) -> tuple[DenseShape, ...]:
    """A trunk's dense layers, from what its `units` may be."""
    if units is None:
        return ()
    return (DenseShape(units),) if isinstance(units, int) else tuple(units)


def dense_names(count: int) -> tuple[str, ...]:
    """What so many dense layers of a trunk are called: fc, fc2, fc3 ..."""
    return tuple(f"fc{index or ''}" for index in (0, *range(2, count + 1)))[:count]


class MnihNetwork(AgentNetwork):
    """Convolutions and dense layers as those of Mnih et al., and a head.

    Its layers are `conv1 conv2 conv3 fc output`, and where the head has them `value`,
    `advantage`, `atoms`, `quantiles`. A layer's value is what follows its ReLU, or whatever
    activation function it has.

    >>> network = MnihNetwork(Trunk(), QHead(512, actions=6))
    >>> network(torch.zeros(2, 4, 84, 84, dtype=torch.uint8)).shape
    torch.Size([2, 6])
    """

    trunk: Trunk

    def __init__(self, trunk: Trunk, head: Head, card: ModelCard | None = None) -> None:
        super().__init__(trunk, head, card)
