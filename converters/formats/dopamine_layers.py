"""The layers of Dopamine's TensorFlow agents, by the names and shapes of their variables.

Sources: dopamine/agents/*/*_agent.py and dopamine/discrete_domains/atari_lib.py, from the slim
layers of 2018 (`Online/Conv/weights`) to the keras layers since 2019 (`Online/Conv/kernel`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.formats.linen import Layers
from atari_zoo.converters.network.networks import PLACES
from atari_zoo.converters.tf.checkpoint import TfCheckpoint
from atari_zoo.converters.weights.affine_layers import AffineLayer

Shapes = Mapping[str, tuple[int, ...]]

ONLINE = "Online/"  # the network that acts; Target/ is an older copy of it
PARTS = {"weights": "biases", "kernel": "bias"}  # as slim and as keras call them
KERNELS = ((8, 8), (4, 4), (3, 3))
FRAMES = 4

ONLINE_NOTE = "the variables under Online/ are the policy; Target/ and the optimizer's are left out"
UNSCOPED_NOTE = "layers without Online/ in their names: the first of each kind are the policy"


@dataclass(frozen=True)
class Found:
    """A policy's layers in a checkpoint.

    release: which layers TensorFlow had then, "slim" or "keras". note: which were taken.
    """

    layers: Layers
    release: str
    note: str


@dataclass(frozen=True)
class _Named:
    """A layer's name, its variables, and the shape of its weights as TensorFlow has it."""

    name: str
    weights: str
    biases: str
    shape: tuple[int, ...]

    @property
    def number(self) -> int:
        """What a graph adds to a name to make it unique: `Conv`, `Conv_1`, `Conv_2`."""
        found = re.search(r"_([0-9]{1,9})$", self.name)
        return int(found[1]) if found else 0


def layers_in(checkpoint: TfCheckpoint) -> Found:
    """The layers of the policy in a checkpoint, in their order.

    Raises ConversionError if its variables are another network's.
    """
    shapes = checkpoint.shapes
    named, note = _online(shapes)
    convolutions = _convolutions(named)
    dense = _dense(named, convolutions[-1].shape[3]) if convolutions else []
    if not dense:
        raise ConversionError(_other(shapes))
    layers = Layers(
        [_affine(checkpoint, layer) for layer in convolutions],
        [_affine(checkpoint, layer) for layer in dense],
        kind="Dense",
        one_counter=False,
        described=_described(named),
    )
    release = "slim" if dense[-1].weights.endswith("/weights") else "keras"
    return Found(layers, release, note)


def _online(shapes: Shapes) -> tuple[list[_Named], str]:
    """The layers of the network that acts, in the order in which they were made."""
    named = sorted(_named(shapes), key=lambda layer: layer.number)
    online = [layer for layer in named if layer.name.startswith(ONLINE)]
    if online:
        return online, ONLINE_NOTE
    unscoped = [layer for layer in named if "/" not in layer.name]
    convolutions = [layer for layer in unscoped if len(layer.shape) == 4]
    others = [layer for layer in unscoped if len(layer.shape) != 4]
    if len(convolutions) == 6:  # the target network's were made after the policy's
        convolutions, others = convolutions[:3], others[: len(others) // 2]
    return convolutions + others, UNSCOPED_NOTE


def _named(shapes: Shapes) -> Iterator[_Named]:
    for weights, shape in shapes.items():
        name, _, part = weights.rpartition("/")
        if part in PARTS:
            yield _Named(name, weights, f"{name}/{PARTS[part]}", shape)


def _convolutions(named: Sequence[_Named]) -> list[_Named]:
    """The three convolutions, each on the one before; none if they are others."""
    found = [layer for layer in named if len(layer.shape) == 4]
    widths = [FRAMES, *(layer.shape[3] for layer in found)]
    expected = [(*k, w, v) for k, w, v in zip(KERNELS, widths, widths[1:], strict=False)]
    fits = len(expected) == 3 and [layer.shape for layer in found] == expected
    return found if fits and min(widths) > 0 else []


def _dense(named: Sequence[_Named], channels: int) -> list[_Named]:
    """IQN's embedding if there is one, the dense layer, the output; none if they are others.

    They are told by their shapes: IQN's changed their names in 2019. channels: of the last
    convolution.
    """
    found = [layer for layer in named if len(layer.shape) != 4]
    if len(found) not in (2, 3) or any(len(x.shape) != 2 or min(x.shape) < 1 for x in found):
        return []
    flat = [channels * places for places in PLACES]
    orders = [order for order in permutations(found) if _follow(order, flat)]
    if len(orders) > 1:
        raise ConversionError(
            f"its dense layers could be read in several ways: {_described(found)}"
        )
    return list(orders[0]) if orders else []


def _follow(dense: Sequence[_Named], flat: Sequence[int]) -> bool:
    """Whether dense layers in this order read the flattened convolution and each other."""
    *embedding, fc, output = (layer.shape for layer in dense)
    read = output[0] == fc[1] and all(embedded[1] == fc[0] for embedded in embedding)
    return fc[0] in flat and read


def _affine(checkpoint: TfCheckpoint, layer: _Named) -> AffineLayer:
    if layer.biases not in checkpoint.shapes:
        raise ConversionError(f"'{layer.biases}' is missing")
    return AffineLayer.of_tensorflow(
        checkpoint.tensor(layer.weights), checkpoint.tensor(layer.biases), layer.name
    )


def _described(named: Sequence[_Named]) -> str:
    return ", ".join(f"{layer.name[:80]!r} {layer.shape}" for layer in named)


def _other(shapes: Shapes) -> str:
    """What is said of a checkpoint of something else."""
    found = ", ".join(f"{name[:80]!r} {shape}" for name, shape in list(shapes.items())[:3])
    more = f" and {len(shapes) - 3} more" if len(shapes) > 3 else ""
    return (
        f"not a policy of Dopamine's DQN, C51, Rainbow or IQN: its variables are {found or 'none'}"
        f"{more}; three convolutions (8x8, 4x4, 3x3) and two or three dense layers, under "
        f"'{ONLINE}', were expected"
    )
