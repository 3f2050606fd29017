"""Biases that KFAC split off, for its statistics, into modules of their own.

ACKTR's optimizer of pytorch-a2c-ppo-acktr-gail (algo/kfac.py: `SplitBias`, `AddBias`) makes of
each layer `base.main.0` a `base.main.0.module` without a bias and a `base.main.0.add_bias`, whose
`_bias` is a column; in 2017 the network itself (model.py: `CNNPolicy`) had `conv1` and `ab1`.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from atari_zoo.converters.errors import ConversionError

MODULE, COLUMN = ".module.weight", ".add_bias._bias"
# of 2017: the module with the bias, and the layer that it belongs to
LAYERS = {
    "ab1": "conv1",
    "ab2": "conv2",
    "ab3": "conv3",
    "ab_fc1": "linear1",
    "ab_fc2": "critic_linear",
    "ab_fc3": "actor_linear",
}


def with_joined_biases(weights: Mapping[str, Tensor]) -> tuple[Mapping[str, Tensor], list[str]]:
    """The same weights, each layer's bias beside its weights; and a note if any was apart.

    Raises ConversionError where a bias is not one number for each of its layer's outputs.
    """
    places = dict(_places(weights))
    if not places:
        return weights, []
    names = {f"{layer}{MODULE}": f"{layer}.weight" for layer in places.values()}
    joined = {names.get(name, name): tensor for name, tensor in weights.items()}
    for name, layer in places.items():
        weight, bias = joined.get(f"{layer}.weight"), joined.pop(name)
        if weight is None or weight.shape[:1] != (bias.numel(),) or f"{layer}.bias" in joined:
            raise ConversionError(
                f"'{name}' {tuple(bias.shape)} is not the bias that KFAC split from '{layer}'"
            )
        joined[f"{layer}.bias"] = bias.reshape(-1)
    return joined, [f"{len(places)} biases that KFAC had split off are put back into their layers"]


def _places(weights: Mapping[str, Tensor]) -> list[tuple[str, str]]:
    """The names of biases that stand apart, and of the layers that they belong to."""
    columns = [name for name in weights if name.endswith(COLUMN)]
    found = [(name, name.removesuffix(COLUMN)) for name in columns]
    old = {f"{module}.bias": layer for module, layer in LAYERS.items()}
    return found + [(name, old[name]) for name in weights if name in old]
