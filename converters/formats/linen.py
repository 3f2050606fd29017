"""The layers of a flax network, from the parameters alone.

flax names a layer by its class and a number: `Conv_0`, `Dense_1`. Since linen (2021) each class
counts for itself; before, one counter ran through all: `Conv_2`, `Dense_3`. Sources:
flax/linen/linear.py, flax/nn/base.py, and `NoisyNetwork` in dopamine/jax/networks.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.weights.affine_layers import AffineLayer
from atari_zoo.converters.weights.trunks import BlockLayers

LAYER = re.compile(r"(Conv|Dense|NoisyNetwork)_(0|[1-9]\d{0,3})")
# noise is drawn while training only: an evaluated network has the means
PARTS = {
    "Conv": ("kernel", "bias"),
    "Dense": ("kernel", "bias"),
    "NoisyNetwork": ("kernel_mu", "bias_mu"),
}
# how the names in other networks begin -> what those are
OTHERS = (
    (("Stack_", "ConvSequence_", "ResidualBlock_"), "an IMPALA network (residual blocks)"),
    (("_shared_network", "_actor", "_critic"), "Dopamine's PPO or SAC network"),
    (("LayerNorm_", "BatchNorm_"), "a network with normalisation layers"),
)
SHOWN = 8  # layers in a message
DENSE = 3  # of IQN and of the dueling networks
NESTED = 3  # dicts `params` one within another, as a saved TrainState has them


@dataclass(frozen=True)
class Layers:
    """The layers in order, with torch's axes: three convolutions, then the dense ones.

    blocks: of a residual network, in place of the convolutions.
    kind: the dense ones' class; noisy networks have their means here.
    one_counter: whether one counter numbers them all, as before linen.
    described: their names and shapes as in the file, for messages.
    """

    convolutions: list[AffineLayer]
    dense: list[AffineLayer]
    kind: str
    one_counter: bool
    described: str
    blocks: list[BlockLayers] = field(default_factory=list)

    @property
    def channels(self) -> int:
        """Of the last map, which the first dense layer reads."""
        last = self.blocks[-1].conv if self.blocks else self.convolutions[-1]
        return len(last.weight)

    @property
    def noisy(self) -> bool:
        """Whether the dense layers are noisy networks (Fortunato et al., arXiv:1706.10295)."""
        return self.kind == "NoisyNetwork"


def layers(params: Any) -> Layers:
    """The layers of flax's parameters: {"Conv_0": {"kernel": ..., "bias": ...}, ...}.

    Raises ConversionError, with the layers and their shapes, if they are not three convolutions
    and some dense layers, each on the one before.
    """
    params = by_name(params)
    described = described_layers(params)
    names = sorted(params, key=_number)
    for name in names:
        _check_name(name, described)
    convolutions = [name for name in names if name.startswith("Conv")]
    dense = [name for name in names if not name.startswith("Conv")]
    kinds = {name.partition("_")[0] for name in dense}
    expected = "three convolutions, each on the one before, and dense layers were expected"
    if len(convolutions) != 3 or len(kinds) != 1 or len(dense) > DENSE:
        raise ConversionError(f"{expected}; it has {described}")
    filters = [affine_layer(name, params[name]) for name in convolutions]
    if not all(len(a.weight) == b.weight.shape[1] for a, b in pairwise(filters)):
        raise ConversionError(f"{expected}; it has {described}")
    return Layers(
        filters,
        [affine_layer(name, params[name]) for name in dense],
        kinds.pop(),
        _number(dense[0]) == len(convolutions),
        described,
    )


def only_dense(params: Any) -> AffineLayer:
    """The layer of a network of one dense layer, {"Dense_0": ...}, with torch's axes.

    Raises ConversionError if it is none.
    """
    params = by_name(params)
    if list(params) != ["Dense_0"]:
        raise ConversionError(f"one dense layer was expected; it has {described_layers(params)}")
    return affine_layer("Dense_0", params["Dense_0"])


def by_name(params: Any) -> Mapping[Any, Any]:
    """The layers by their names. Raises ConversionError if there are none."""
    for _ in range(NESTED):
        if isinstance(params, Mapping) and "params" in params:
            params = params["params"]
    if not isinstance(params, Mapping) or not params:
        raise ConversionError("no parameters by layer, such as 'Conv_0', in it")
    return params


def _number(name: Any) -> int:
    found = LAYER.fullmatch(name) if isinstance(name, str) else None
    return int(found[2]) if found else 0


def _check_name(name: Any, described: str) -> None:
    if isinstance(name, str) and LAYER.fullmatch(name):
        return
    for starts, network in OTHERS:
        if str(name).startswith(starts):
            raise ConversionError(f"{network}, not that of Mnih et al.: it has {described}")
    raise ConversionError(
        f"convolutions and dense layers ('Conv_0', 'Dense_0') were expected; it has {described}"
    )


def affine_layer(name: str, parts: Any) -> AffineLayer:
    """A layer with torch's axes. Raises ConversionError if it is none."""
    kernel, bias = (_array(name, parts, part) for part in PARTS[name.partition("_")[0]])
    layer = AffineLayer.of_tensorflow(kernel, bias, name)
    if layer.weight.ndim != (4 if name.startswith("Conv") else 2):
        raise ConversionError(f"'{name}' has weights {kernel.shape}")
    return layer


def _array(name: str, parts: Any, part: str) -> np.ndarray:
    array = parts.get(part) if isinstance(parts, Mapping) else None
    if not isinstance(array, np.ndarray) or array.size == 0:
        raise ConversionError(f"'{name}': no weights '{part}'")
    return array


def described_layers(params: Mapping[Any, Any]) -> str:
    """Their names and shapes as in the file, for messages."""
    shown = (f"'{_text(name)}' {_shape(params[name])}".rstrip() for name in list(params)[:SHOWN])
    more = f" and {len(params) - SHOWN} more" if len(params) > SHOWN else ""
    return ", ".join(shown) + more


def _text(name: Any) -> str:
    return name[:40].encode("unicode_escape").decode() if isinstance(name, str) else "?"


def _shape(parts: Any) -> tuple[int, ...] | str:
    for kernel, _ in PARTS.values():
        if isinstance(parts, Mapping) and isinstance(parts.get(kernel), np.ndarray):
            return tuple(parts[kernel].shape)
    return ""
