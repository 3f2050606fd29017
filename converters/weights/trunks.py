"""Trunks from weights alone: which strides, paddings and screen they were made for, and their copy.

Kernels and the size of the first dense layer tell that, where they tell it; every shape is checked
before it is copied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.activations import RELU
from atari_zoo.converters.network.agent_networks import AgentTrunk
from atari_zoo.converters.network.impala import (
    KERNEL,
    BlockShape,
    ImpalaTrunk,
    impala_blocks,
)
from atari_zoo.converters.network.networks import (
    GEOMETRIES,
    VALID,
    ConvShape,
    DenseShape,
    Trunk,
    dense_names,
    mnih_convolutions,
)
from atari_zoo.converters.weights.affine_layers import AffineLayer, fill

# height and width of what agents see, the usual first; the last is the emulator's own screen
RAW = (210, 160)
SCREENS = (*((side, side) for side in (84, 80, 64, 96, 128)), RAW)
MOST_FRAMES = 8
COLOURS = 3


class BlockLayers(NamedTuple):
    """A residual network's part: its first convolution, and the two of each residual block."""

    conv: AffineLayer
    residuals: Sequence[tuple[AffineLayer, AffineLayer]]

    @property
    def all(self) -> tuple[AffineLayer, ...]:
        """Its convolutions, first to last."""
        return (self.conv, *(layer for pair in self.residuals for layer in pair))


def plain_trunk(
    convolutions: Sequence[AffineLayer], dense: Sequence[AffineLayer], features: int
) -> Trunk:
    """The trunk of these convolutions and dense layers.

    features: what the first dense layer reads, or the head where there is none.
    Raises ConversionError where they do not follow each other, or are no such trunk.
    """
    kernels = _kernels(convolutions)
    geometry = next(
        (g for g in GEOMETRIES.values() if kernels == [(kernel, kernel) for kernel, _ in g]), None
    )
    frames = convolutions[0].weight.shape[1] if convolutions else 0
    if geometry is None or not 1 <= frames <= MOST_FRAMES:
        raise ConversionError(
            f"kernels of 8, 4 and 3 pixels, or 8 and 4, on 1 to {MOST_FRAMES} frames were "
            f"expected; it has {', '.join(f'{k[0]}x{k[1]}' for k in kernels)} on {frames}"
        )
    widths = [len(layer.weight) for layer in convolutions]
    if [layer.weight.shape[1] for layer in convolutions] != [frames, *widths[:-1]] or 0 in widths:
        raise _broken(convolutions)
    sizes: dict[int, str] = {}
    for screen, words, shapes in _geometries(widths):
        places = _left(screen, shapes)
        if features == widths[-1] * places:
            bent = [
                replace(shape, activation=layer.activation)
                for shape, layer in zip(shapes, convolutions, strict=True)
            ]
            trunk = Trunk(bent, _dense_shapes(dense), (frames, *screen))
            for index, layer in enumerate(convolutions, start=1):
                fill(trunk.get_submodule(f"conv{index}.conv"), layer)
            _fill_dense(trunk, dense)
            return trunk
        if screen == SCREENS[0]:
            sizes[widths[-1] * places] = words
    expected = " or ".join(f"{size} ({words})" for size, words in sizes.items())
    raise ConversionError(
        f"a dense layer of {features} inputs fits neither padding: {expected} were expected of "
        f"{_shown(SCREENS[0])} pixels, and other screens do not fit either"
    )


def residual_trunk(
    blocks: Sequence[BlockLayers], dense: Sequence[AffineLayer], features: int, same: bool = False
) -> ImpalaTrunk:
    """IMPALA's trunk of these parts and dense layers.

    same: its pools have TensorFlow's SAME padding, not torch's. features: as `plain_trunk` has it.
    Raises ConversionError as that does.
    """
    firsts = [block.conv for block in blocks]
    everything = [layer for block in blocks for layer in block.all]
    if any(layer.activation != RELU for layer in everything):
        raise ConversionError(
            "a residual network with PReLUs: where in its blocks they stand weights do not tell; "
            "export it to ONNX, whose graph does"
        )
    if set(_kernels(everything)) != {(KERNEL, KERNEL)}:
        raise ConversionError(
            f"a residual network's kernels of {KERNEL}x{KERNEL} were expected; it has "
            + ", ".join(f"'{x.name}' {tuple(x.weight.shape)}" for x in everything[:3])
        )
    frames, widths = firsts[0].weight.shape[1], [len(layer.weight) for layer in firsts]
    if [layer.weight.shape[1] for layer in firsts] != [frames, *widths[:-1]] or 0 in widths:
        raise _broken(firsts)
    for block in blocks:
        width = len(block.conv.weight)
        for pair in block.residuals:
            if any(tuple(x.weight.shape[:2]) != (width, width) for x in pair):
                raise _broken([block.conv, *pair])
    if not 1 <= frames <= MOST_FRAMES:
        raise ConversionError(f"1 to {MOST_FRAMES} frames were expected; it has {frames}")
    for screen in SCREENS:
        shapes = [
            BlockShape(shape.channels, len(block.residuals), shape.padding)
            for shape, block in zip(
                impala_blocks(widths, same=screen if same else None), blocks, strict=True
            )
        ]
        places = _left(screen, shapes)
        if places and features == widths[-1] * places:
            trunk = ImpalaTrunk(shapes, _dense_shapes(dense), (frames, *screen))
            _fill_blocks(trunk, blocks)
            _fill_dense(trunk, dense)
            return trunk
    raise ConversionError(
        f"a dense layer of {features} inputs does not read the {widths[-1]} channels that "
        f"{len(blocks)} parts of IMPALA's ResNet leave of {_shown(SCREENS[0])} pixels, nor of "
        "another usual screen"
    )


def plain_places(count: int) -> list[int]:
    """How many places the map after so many convolutions may have, the most usual screen first."""
    return [_left(screen, shapes) for screen, _, shapes in _geometries([1] * count)]


def residual_places(count: int) -> list[int]:
    """The same after so many parts of IMPALA's ResNet."""
    return [_left(screen, impala_blocks([1] * count)) for screen in SCREENS]


def _left(screen: tuple[int, int], shapes: Sequence[ConvShape | BlockShape]) -> int:
    """The places of the map that is left of a screen; 0 if nothing is."""
    height, width = screen
    for shape in shapes:
        height, width = shape.output_size(height, width)
    return height * width if min(height, width) > 0 else 0


def _shown(screen: tuple[int, int]) -> str:
    return "x".join(map(str, screen))


def trunk_assumptions(trunk: AgentTrunk) -> list[str]:
    """What the sizes of a trunk's layers leave open, a line each."""
    frames, height, width = trunk.shape
    lines = []
    if (height, width) == RAW:
        if frames == COLOURS:
            return ["the emulator's own screens of 210x160 pixels, in colour"]
        return [f"{frames} of the emulator's own screens of 210x160 pixels, in grey"]
    if height != SCREENS[0][0]:
        lines.append(
            f"screens of {height}x{width} pixels: the dense layer's size would allow a few more"
        )
    if frames == COLOURS:
        lines.append(f"its {frames} channels are frames, not colours: weights do not tell")
    return lines


def _geometries(
    widths: Sequence[int],
) -> Iterator[tuple[tuple[int, int], str, tuple[ConvShape, ...]]]:
    """Of each screen: its size, the padding's name, and the convolutions.

    The usual screens come first, as a size may fit several; of the others those without padding,
    for few networks are padded.
    """
    usual, others = SCREENS[:2], SCREENS[2:]
    for screen in usual:
        yield screen, "VALID", mnih_convolutions(widths, VALID)
        yield screen, "SAME", mnih_convolutions(widths, _same(widths, screen))
    for screen in others:
        yield screen, "VALID", mnih_convolutions(widths, VALID)
    for screen in others:
        yield screen, "SAME", mnih_convolutions(widths, _same(widths, screen))


def _same(widths: Sequence[int], screen: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """TensorFlow's SAME padding of each convolution on a screen."""
    (height, width), paddings = screen, []
    for shape in mnih_convolutions(widths, VALID):
        kernel, stride = shape.kernel[0], shape.stride[0]
        paddings.append((*_around(width, kernel, stride), *_around(height, kernel, stride)))
        height, width = -(-height // stride), -(-width // stride)
    return paddings


def _around(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """What TensorFlow's SAME pads before and after so many pixels."""
    amount = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return amount // 2, amount - amount // 2


def _kernels(convolutions: Sequence[AffineLayer]) -> list[tuple[int, ...]]:
    if any(layer.weight.ndim != 4 for layer in convolutions):
        raise ConversionError("a convolution whose weights do not have four axes")
    return [tuple(layer.weight.shape[2:]) for layer in convolutions]


def _broken(layers: Sequence[AffineLayer]) -> ConversionError:
    found = ", ".join(f"'{x.name}' {tuple(x.weight.shape)}" for x in layers)
    return ConversionError(f"convolutions that do not follow each other: {found}")


def _dense_shapes(dense: Sequence[AffineLayer]) -> list[DenseShape]:
    for before, after in pairwise(dense):
        if after.weight.shape[-1] != len(before.weight):
            raise ConversionError(
                f"'{after.name}' {tuple(after.weight.shape)} does not read what '{before.name}' "
                f"{tuple(before.weight.shape)} gives"
            )
    return [DenseShape(len(layer.weight), layer.activation) for layer in dense]


def _fill_dense(trunk: Trunk | ImpalaTrunk, dense: Sequence[AffineLayer]) -> None:
    for name, layer in zip(dense_names(len(dense)), dense, strict=True):
        fill(trunk.get_submodule(name), layer)


def _fill_blocks(trunk: ImpalaTrunk, blocks: Sequence[BlockLayers]) -> None:
    for index, block in enumerate(blocks, start=1):
        fill(trunk.get_submodule(f"block{index}.conv"), block.conv)
        for number, pair in enumerate(block.residuals, start=1):
            for part, layer in zip(("conv1", "conv2"), pair, strict=True):
                fill(trunk.get_submodule(f"block{index}.residual{number}.{part}"), layer)
