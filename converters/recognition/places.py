"""Places of a network's layers and weights in a graph, from which they move into the network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from torch import nn

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.finite import finite_tensor
from atari_zoo.converters.network.heads import Head
from atari_zoo.converters.recognition.symbols import Atom, Axis, Layer, Symbol

# layers of the graph, the modules that take their weights, and the order of their units
Weights = list[tuple[Layer, nn.Module, tuple[Atom, ...]]]


@dataclass(frozen=True)
class GraphPlace:
    """Where a named layer is in a graph.

    order: of the units, where a reshape has split them and not in the network's order.
    """

    tensor: str
    axes: tuple[Axis, ...]
    order: tuple[Atom, ...] = ()

    @classmethod
    def of(cls, value: Symbol, order: tuple[Atom, ...] = ()) -> GraphPlace:
        return cls(value.layer.tensor, value.layer.axes, order)

    def canonical(self, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The tensor's content, its axes as the network has them."""
        atoms = [leaf for axis in self.axes for leaf in leaves(axis)]
        sizes = [len(array) if atom.label == "N" else atom.size for atom in atoms]
        wanted = [*(a for a in atoms if a not in self.order), *self.order]
        if not self.order:
            wanted = sorted(atoms, key=lambda atom: "NSFCHWU".find(atom.label[0]))
        return array.reshape(sizes).transpose([atoms.index(a) for a in wanted]).reshape(shape)


@dataclass
class FoundHead:
    """A head found in a graph: the value it reads, its named layers, and its weights."""

    head: Head
    features: Symbol
    layers: dict[str, GraphPlace]
    weights: Weights


def fill_dense(module: nn.Module, layer: Layer, order: tuple[Atom, ...]) -> None:
    """Copies a dense layer, its units put into `order` where a reshape has split them."""
    assert isinstance(module, nn.Linear)
    weight, bias = layer.data["weight"], layer.data["bias"]
    stored = leaves(layer.axes[-1])
    if order and list(order) != stored:
        sizes = [atom.size for atom in stored]
        moved = [stored.index(atom) for atom in order]
        weight = weight.reshape(*sizes, -1).transpose(*moved, len(sizes)).reshape(weight.shape)
        bias = bias.reshape(sizes).transpose(moved).reshape(-1)
    module.weight.copy_(finite_tensor(weight))
    module.bias.copy_(finite_tensor(bias))


def leaves(axis: Iterable[Atom]) -> list[Atom]:
    """An axis's atoms, those that were split replaced by their parts."""
    return [leaf for atom in axis for leaf in (leaves(atom.parts) if atom.parts else [atom])]


def dense_layer(value: Symbol) -> Layer:
    """The dense layer that a value is; raises ConversionError if it is another."""
    if value.layer.op != "dense":
        raise ConversionError(f"'{value.layer.tensor}' is {value.layer.op}, not a dense layer")
    return value.layer


def width(layer: Layer) -> int:
    """How many features a dense layer reads."""
    return int(layer.data["weight"].shape[1])


def dense_units(layer: Layer) -> int:
    """How many units a dense layer has."""
    return len(layer.data["weight"])


def size(axis: Iterable[Atom]) -> int:
    """The product of an axis's atoms."""
    size = 1
    for atom in axis:
        size *= atom.size
    return size
