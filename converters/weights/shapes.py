"""The layers of a state dict whose names nobody knows, told by their order and their shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.impala import KERNEL
from atari_zoo.converters.network.networks import GEOMETRIES
from atari_zoo.converters.weights.namings import BlockNames, LayerNames
from atari_zoo.converters.weights.slopes import SLOPES
from atari_zoo.converters.weights.trunks import plain_places, residual_places

NAMED, SHOWN = 3, 6  # tensors, and kernels, that a message shows
MOST_RESIDUALS = 4  # blocks in a part of a residual network
ELSEWHERE = (
    "where others, such as normalisation, stand weights do not tell: export the agent to ONNX, or "
    "give the module itself to zoo.wrap"
)
EXPECTED = (
    "convolutions of 8, 4 and 3 pixels, or 8 and 4 (Mnih et al.), or all of 3 (IMPALA's ResNet, in "
    "the order in which its layers follow each other) were expected"
)


def naming_by_shape(weights: Mapping[str, Tensor]) -> LayerNames:
    """Convolutions, dense layers one on the other, and an output with or without a value.

    Raises ConversionError if it is no architecture with a name, or could be one in two ways.
    """
    layers = [name.removesuffix(".weight") for name in weights if name.endswith(".weight")]
    convs = [x for x in layers if weights[f"{x}.weight"].ndim == 4]
    dense = [x for x in layers if weights[f"{x}.weight"].ndim == 2]
    other = [x for x in layers if x not in convs and x not in dense]
    found = f"{len(convs)} convolutions and {len(dense)} dense layers"
    if not convs or other:
        more = f" and {len(other)} others ('{other[0]}')" if other else ""
        hint = f"; {ELSEWHERE}" if convs and other else ""
        raise ConversionError(
            f"convolutions and dense layers were expected; it has {found}{more}{hint}"
        )
    _refuse_rest(weights, layers)
    shapes = {x: tuple(weights[f"{x}.weight"].shape) for x in (*convs, *dense)}
    trunks = _trunks(convs, shapes)
    if not trunks:
        kernels = ", ".join("x".join(map(str, shapes[x][2:])) for x in convs[:SHOWN])
        more = ", ..." * (len(convs) > SHOWN)
        raise ConversionError(f"{EXPECTED}; it has {found}, kernels of {kernels}{more}")
    last = shapes[convs[-1]][0]
    read = [(trunk, _readers(dense, shapes, last, trunk)) for trunk in trunks]
    read = [(trunk, first) for trunk, first in read if first]
    if len(read) != 1:
        sizes = ", ".join(f"'{x}' {shapes[x]}" for x in dense[:NAMED]) or "none"
        which = "several ways to read it" if read else "none"
        raise ConversionError(
            f"one dense layer on the {last} channels of '{convs[-1]}' was expected, and there is "
            f"{which}: it has {found}: {sizes}"
        )
    ((trunk, first),) = read
    chain = _chain(first, dense, shapes)
    heads = [x for x in dense if x not in chain]
    head, parts = head_by_shape(heads, shapes, chain[-1] if chain else convs[-1])
    return LayerNames(
        "",
        head,
        () if trunk.blocks else tuple(convs),
        parts,
        chain[0] if chain else None,
        more=tuple(chain[1:]),
        blocks=trunk.blocks,
        valid=False,
    )


class _Trunk(NamedTuple):
    """How the convolutions may be meant.

    sizes: places of the last map, of any usual screen, the most usual first.
    """

    blocks: tuple[BlockNames, ...]
    sizes: list[int]


def _trunks(convs: Sequence[str], shapes: Mapping[str, tuple[int, ...]]) -> list[_Trunk]:
    """The ways to read the convolutions, in their order."""
    kernels = [shapes[x][2:] for x in convs]
    for geometry in GEOMETRIES.values():
        if kernels == [(kernel, kernel) for kernel, _ in geometry]:
            return [_Trunk((), plain_places(len(convs)))]
    if set(kernels) != {(KERNEL, KERNEL)}:
        return []
    ways = []
    for residuals in range(1, MOST_RESIDUALS + 1):
        each = 1 + 2 * residuals
        parts = [convs[at : at + each] for at in range(0, len(convs), each)]
        if len(parts[-1]) == each and all(_is_part(part, shapes) for part in parts):
            blocks = tuple(
                BlockNames(part[0], tuple(zip(part[1::2], part[2::2], strict=True)))
                for part in parts
            )
            ways.append(_Trunk(blocks, residual_places(len(blocks))))
    return ways


def _is_part(part: Sequence[str], shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether all but the first convolution keep the number of channels that that one makes."""
    width = shapes[part[0]][0]
    return all(shapes[x][:2] == (width, width) for x in part[1:])


def _readers(
    dense: Sequence[str], shapes: Mapping[str, tuple[int, ...]], channels: int, trunk: _Trunk
) -> list[str]:
    """The dense layers that may read the flattened map, of the most usual screen that fits any."""
    for places in trunk.sizes:
        if readers := [x for x in dense if shapes[x][1] == channels * places]:
            return readers
    return []


def _chain(
    first: Sequence[str], dense: Sequence[str], shapes: Mapping[str, tuple[int, ...]]
) -> list[str]:
    """The dense layers that others read, one on the other; the rest are the head's.

    None where several read the map, as a head without a dense layer does.
    """
    chain: list[str] = []
    readers = list(first)
    while len(readers) == 1 and (units := shapes[readers[0]][0]) > 1:
        after = [x for x in dense if x not in (*chain, *readers) and shapes[x][1] == units]
        if not after:
            break
        chain.append(readers[0])
        # of several, the next of the trunk is one that others read; or one of as many units, which
        # a single output can but follow
        inner = [x for x in after if any(shapes[y][1] == shapes[x][0] != units for y in dense)]
        square = [x for x in after if shapes[x][0] == units]
        if len(square) == 1 and len(after) == 2:
            chain.append(square[0])
            break
        readers = inner if len(inner) == 1 else after
    return chain


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
    known = {f"{layer}{part}" for layer in layers for part in (".weight", ".bias", SLOPES)}
    rest = {name: tensor for name, tensor in weights.items() if name not in known}
    if rest:
        raise ConversionError(f"beside its layers it has {shown(rest)}, whose part is not known")
