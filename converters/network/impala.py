"""IMPALA's residual network (Espeholt et al., 2018, https://arxiv.org/abs/1802.01561, figure 3).

A convolution, a maximum over 3x3 places by 2, and residual blocks; that three times; then a dense
layer. torchbeast, CleanRL, cleanba and Procgen's baselines have it; widths and depths differ.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.network.activations import RELU, Activation, activation_words
from atari_zoo.converters.network.agent_networks import AgentNetwork, AgentTrunk, UnitRange
from atari_zoo.converters.network.heads import Dense, Head
from atari_zoo.converters.network.networks import DenseShape, dense_names, dense_shapes
from atari_zoo.converters.network.relevance import Flatten, Proportional

KERNEL, POOL, STRIDE = 3, 3, 2  # of every convolution; and of every pool, in pixels


@dataclass(frozen=True)
class BlockShape:
    """One of the parts that follow each other.

    channels: of all its convolutions. residuals: how many residual blocks.
    padding: places before the pool's map: 1 as torch's scripts have it; or 0, and one behind if
        the map needs it, which is TensorFlow's and JAX's SAME on an even number of places.
    """

    channels: int
    residuals: int = 2
    padding: int = 1

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of its output for an input of `height` x `width`."""
        return pooled(height, self.padding), pooled(width, self.padding)


def pooled(size: int, padding: int) -> int:
    """Places that the pool leaves of so many."""
    return (size + 2 * padding - POOL) // STRIDE + 1 if padding else -(-(size - POOL) // STRIDE) + 1


def impala_blocks(
    channels: Sequence[int] = (16, 32, 32), residuals: int = 2, same: tuple[int, int] | None = None
) -> tuple[BlockShape, ...]:
    """The paper's three, with torch's padding.

    same: height and width of an observation, for TensorFlow's and JAX's SAME padding.
    """
    blocks, sizes = [], same
    for width in channels:
        # SAME adds one place before an odd number of them, and one behind
        padding = 1 if sizes is None else sizes[0] % 2
        blocks.append(BlockShape(width, residuals, padding))
        sizes = blocks[-1].output_size(*sizes) if sizes else None
    return tuple(blocks)


class ResidualSum(Proportional, nn.Module):
    """What goes past the convolutions, and what goes through them, together."""

    def forward(self, past: Tensor, through: Tensor) -> Tensor:
        return past + through


class ResidualBlock(nn.Module):
    """x + conv2(f(conv1(f(x)))), f the activation function; its output is that sum."""

    def __init__(self, channels: int, activation: Activation = RELU) -> None:
        super().__init__()
        self.activation1 = activation.module()
        self.conv1 = nn.Conv2d(channels, channels, KERNEL, padding=KERNEL // 2)
        self.activation2 = activation.module()
        self.conv2 = nn.Conv2d(channels, channels, KERNEL, padding=KERNEL // 2)
        self.sum = ResidualSum()

    def forward(self, maps: Tensor) -> Tensor:
        through = self.conv2(self.activation2(self.conv1(self.activation1(maps))))
        return self.sum(maps, through)


class ImpalaBlock(nn.Sequential):
    """`conv`, `pool`, `residual1`, `residual2` ..., one after the other."""

    def __init__(self, inputs: int, shape: BlockShape, activation: Activation = RELU) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv=nn.Conv2d(inputs, shape.channels, KERNEL, padding=KERNEL // 2),
            # rounded up, a window may reach behind the map; what it finds there does not count
            pool=nn.MaxPool2d(POOL, STRIDE, shape.padding, ceil_mode=not shape.padding),
        )
        for index in range(1, shape.residuals + 1):
            layers[f"residual{index}"] = ResidualBlock(shape.channels, activation)
        super().__init__(layers)
        self.shape = shape


class ImpalaTrunk(AgentTrunk):
    """The blocks, an activation function, and the dense layers that the head's parts share.

    Its layers are `block1.conv` (before any activation function), `block1.pool`,
    `block1.residual1` and so on, `block1` (what its last residual block gives), and `fc`.

    blocks: the paper's if not given. units: as `networks.Trunk` has them.
    shape: (frames, height, width) of an observation.

    Raises ValueError where the blocks leave nothing of such an observation.
    """

    fc: Dense | None

    def __init__(
        self,
        blocks: Sequence[BlockShape] | None = None,
        units: int | Sequence[DenseShape] | None = 256,
        shape: tuple[int, int, int] = (4, 84, 84),
        activation: Activation = RELU,
    ) -> None:
        super().__init__()
        self.blocks, self.dense = tuple(blocks or impala_blocks()), dense_shapes(units)
        self.shape, self.nonlinearity = shape, activation
        self.scale = UnitRange()
        channels, height, width = shape
        for index, block in enumerate(self.blocks, start=1):
            self.add_module(f"block{index}", ImpalaBlock(channels, block, activation))
            channels, (height, width) = block.channels, block.output_size(height, width)
            if min(height, width) < 1:
                raise ValueError(f"these blocks leave nothing of {shape[1]}x{shape[2]} pixels")
        self.maps = (channels, height, width)
        self.activation = activation.module()
        self.flatten = Flatten()
        self.features = channels * height * width
        for name, dense in zip(dense_names(len(self.dense)), self.dense, strict=True):
            self.add_module(name, Dense(self.features, dense.units, dense.activation))
            self.features = dense.units
        if not self.dense:
            self.fc = None

    @property
    def architecture(self) -> str:
        bent = activation_words([self.nonlinearity, *(part.activation for part in self.dense)])
        return "".join(["IMPALA's ResNet", *(f", {kind}" for kind in bent)])

    @property
    def layers(self) -> dict[str, nn.Module]:
        found: dict[str, nn.Module] = {}
        for index in range(1, len(self.blocks) + 1):
            block = self.get_submodule(f"block{index}")
            parts = list(block.named_children())
            # the last part's output is the block's, under the block's own name
            found |= {f"block{index}.{name}": part for name, part in parts[:-1]}
            found[f"block{index}"] = block
        return found | {name: self.get_submodule(name) for name in dense_names(len(self.dense))}


class ImpalaNetwork(AgentNetwork):
    """IMPALA's residual network, and a head.

    >>> network = ImpalaNetwork(ImpalaTrunk(), ActorCriticHead(256, actions=6))
    >>> network(torch.zeros(2, 4, 84, 84, dtype=torch.uint8)).shape
    torch.Size([2, 6])
    """

    trunk: ImpalaTrunk

    def __init__(self, trunk: ImpalaTrunk, head: Head, card: ModelCard | None = None) -> None:
        super().__init__(trunk, head, card)
