"""Symbolic tensors: which layer a tensor of an ONNX graph is, and how its axes are laid out.

Transposes, reshapes and flattens only move axes about. Following each axis as a product of
named atoms tells exactly which order a dense layer's weights expect, whatever the exporter did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import onnx

from atari_zoo.converters.errors import ConversionError

# stands for "any batch size" while a graph is followed: large and prime, so that no other axis
# is mistaken for it
BATCH = 1_000_003


@dataclass(eq=False)
class Atom:
    """An indivisible axis: "N", "F" (frames), "C", "H", "W" or "U" (units)."""

    label: str
    size: int
    parts: tuple[Atom, ...] = ()  # if a reshape has split it

    def split(self, size: int) -> tuple[Atom, Atom]:
        """Splits it into `size` and the rest, the same way each time."""
        if self.parts:
            if self.parts[0].size != size:
                raise ConversionError(f"an axis of {self.size} is split in two different ways")
            return self.parts[0], self.parts[1]
        self.parts = (
            Atom(f"{self.label}0", size),
            Atom(f"{self.label}1", self.size // size),
        )
        return self.parts[0], self.parts[1]


Axis = tuple[Atom, ...]


@dataclass(eq=False)
class Layer:
    """What a tensor holds: an operation on other values, with its weights.

    tensor, axes: the ONNX tensor that holds it, and that tensor's axes.
    """

    op: str
    args: tuple[Symbol, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)
    tensor: str = ""
    axes: tuple[Axis, ...] = ()


@dataclass(frozen=True, eq=False)
class Symbol:
    """A view of a layer, with the axes in some order."""

    layer: Layer
    axes: tuple[Axis, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(prod(atom.size for atom in axis) for axis in self.axes)

    @property
    def atoms(self) -> tuple[Atom, ...]:
        return tuple(atom for axis in self.axes for atom in axis)

    def permuted(self, order: Sequence[int]) -> Symbol:
        return Symbol(self.layer, tuple(self.axes[i] for i in order))

    def squeezed(self, axes: Sequence[int] | None) -> Symbol:
        """Without the axes of size 1 (all, or those given)."""
        rank = len(self.axes)
        gone = {a % rank for a in axes} if axes is not None else set(range(rank))
        kept = (axis for i, axis in enumerate(self.axes) if i not in gone or axis)
        return Symbol(self.layer, tuple(kept))

    def unsqueezed(self, axes: Sequence[int]) -> Symbol:
        """With new axes of size 1 at these positions of the result."""
        rank = len(self.axes) + len(axes)
        new = {a % rank for a in axes}
        old = iter(self.axes)
        return Symbol(self.layer, tuple(() if i in new else next(old) for i in range(rank)))

    def reshaped(self, shape: Sequence[int], static_batch: int | None = None) -> Symbol:
        """With its atoms grouped into axes of these sizes; -1 and 0 as ONNX has them.

        static_batch: the batch size baked into the graph, where there is one: at the front of
            a shape it means the batch.
        """
        wanted = [self.shape[i] if size == 0 else int(size) for i, size in enumerate(shape)]
        leads = bool(self.atoms) and self.atoms[0].label == "N"
        if leads and wanted and static_batch is not None:
            if wanted[0] == static_batch:
                wanted[0] = BATCH
            elif prod(wanted) * BATCH == prod(self.shape) * static_batch:
                wanted[0] = wanted[0] * BATCH // static_batch  # the batch and another axis in one
        if -1 in wanted:
            rest = prod(size for size in wanted if size != -1)
            wanted[wanted.index(-1)] = prod(self.shape) // max(rest, 1)
        if prod(wanted) != prod(self.shape):
            raise ConversionError(f"{_sizes(self.shape)} values cannot become {_sizes(wanted)}")
        return Symbol(self.layer, _regroup(self.atoms, wanted))


def _regroup(atoms: Sequence[Atom], sizes: Sequence[int]) -> tuple[Axis, ...]:
    left = list(atoms)
    axes = []
    for size in sizes:
        axis: list[Atom] = []
        while size > 1:
            atom = left.pop(0)
            if size % atom.size:
                if atom.size % size:
                    raise ConversionError(f"an axis of {atom.size} is cut at {size}")
                atom, rest = atom.split(size)
                left.insert(0, rest)
            axis.append(atom)
            size //= atom.size
        axes.append(tuple(axis))
    return tuple(axes)


def _sizes(shape: Sequence[int]) -> str:
    return "x".join("batch" if size == BATCH else str(size) for size in shape)


def ancestors(layer: Layer) -> list[Layer]:
    """What a layer is computed from, at any distance, each once."""
    found: dict[int, Layer] = {}
    queue = [value.layer for value in layer.args]
    while queue:
        next_one = queue.pop()
        if id(next_one) not in found:
            found[id(next_one)] = next_one
            queue.extend(value.layer for value in next_one.args)
    return list(found.values())


@dataclass
class Graph:
    """An ONNX graph that was followed: what each tensor holds, and which node made it."""

    values: dict[str, Symbol | np.ndarray | None]
    producers: dict[str, onnx.NodeProto]

    @property
    def layers(self) -> list[Layer]:
        """Its layers, in order, each once."""
        found = {id(v.layer): v.layer for v in self.values.values() if isinstance(v, Symbol)}
        return list(found.values())

    def embedding(self, table: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Angles (samples, cosines), weight and bias of the cosine embedding behind a constant.

        Raises ConversionError if the exporter has folded them into one table.
        """
        relu = self._maker(table, "Relu")
        dense = self._maker(relu.input[0], "Gemm", "Add")
        if dense.op_type == "Add":
            dense, bias = self._maker(dense.input[0], "MatMul"), dense.input[1]
            weight = self._array(dense.input[1]).T
        else:
            bias, weight = dense.input[2], self._array(dense.input[1])
        cosines = self._maker(dense.input[0], "Cos")
        return self._array(cosines.input[0]), weight, self._array(bias)

    def _maker(self, tensor: str, *ops: str) -> onnx.NodeProto:
        node = self.producers.get(tensor)
        while node is not None and node.op_type in ("Identity", "Unsqueeze", "Reshape"):
            node = self.producers.get(node.input[0])
        if node is None or node.op_type not in ops:
            raise ConversionError(
                "the cosine embedding of its quantiles was folded into a constant; "
                "export it again without constant folding"
            )
        return node

    def _array(self, tensor: str) -> np.ndarray:
        value = self.values[tensor]
        if not isinstance(value, np.ndarray):
            raise ConversionError("a cosine embedding whose weights are not constants")
        return value
