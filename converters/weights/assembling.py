"""Builds a network from weights alone: what a checkpoint without a graph holds.

The trunk follows from the kernels and the size of the dense layer (`trunks`); every shape is
checked before it is copied.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.heads import (
    ActorCriticHead,
    CategoricalHead,
    Dense,
    DuelingHead,
    Head,
    ImplicitQuantileHead,
    PolicyHead,
    QHead,
    QuantileHead,
)
from atari_zoo.converters.network.impala import ImpalaNetwork
from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.converters.weights.affine_layers import AffineLayer, fill
from atari_zoo.converters.weights.trunks import BlockLayers, plain_trunk, residual_trunk


def assembled(
    convolutions: Sequence[AffineLayer],
    dense: AffineLayer | Sequence[AffineLayer] | None,
    head: Head,
) -> MnihNetwork:
    """The network of these convolutions, these dense layers and a head.

    dense: one layer or several; None where the head reads the flattened convolution (streams of
        their own, IQN, or a head without a dense layer).
    Raises ConversionError where they are no such network.
    """
    layers = _listed(dense)
    features = layers[0].weight.shape[-1] if layers else head.features
    trunk = plain_trunk(convolutions, layers, features)
    _check_read(trunk.features, layers, head)
    return MnihNetwork(trunk, head)


def assembled_residual(
    blocks: Sequence[BlockLayers],
    dense: AffineLayer | Sequence[AffineLayer] | None,
    head: Head,
    same: bool = False,
) -> ImpalaNetwork:
    """The same of IMPALA's residual network. same: see `residual_trunk`."""
    layers = _listed(dense)
    features = layers[0].weight.shape[-1] if layers else head.features
    trunk = residual_trunk(blocks, layers, features, same)
    _check_read(trunk.features, layers, head)
    return ImpalaNetwork(trunk, head)


def _listed(dense: AffineLayer | Sequence[AffineLayer] | None) -> list[AffineLayer]:
    if dense is None:
        return []
    layers = [dense] if isinstance(dense, AffineLayer) else list(dense)
    for layer in layers:
        _sizes(layer)  # raises ConversionError
    return layers


def _check_read(features: int, dense: Sequence[AffineLayer], head: Head) -> None:
    if features != head.features:
        raise ConversionError(
            f"the head reads {head.features} features, but '{dense[-1].name if dense else ''}' has "
            f"{features}"
        )


def policy_head(output: AffineLayer) -> PolicyHead:
    """Scores or logits without a critic."""
    head = PolicyHead(*_sizes(output))
    fill(head.output, output)
    return head


def q_head(output: AffineLayer) -> QHead:
    """Q-values."""
    head = QHead(*_sizes(output))
    fill(head.output, output)
    return head


def actor_critic_head(output: AffineLayer, value: AffineLayer) -> ActorCriticHead:
    """Policy logits, and the state's value."""
    head = ActorCriticHead(*_sizes(output))
    fill(head.output, output)
    fill(head.value, value)
    return head


def dueling_head(
    value: AffineLayer,
    advantage: AffineLayer,
    streams: tuple[AffineLayer, AffineLayer] | None = None,
) -> DuelingHead:
    """Value and advantage. streams: the dense layers before them, if each has its own."""
    features, units = _before(value, advantage, streams)
    head = DuelingHead(features, len(advantage.weight), units)
    _fill_streams(head.fc, head.advantage_fc, streams)
    fill(head.value, value)
    fill(head.advantage, advantage)
    return head


def categorical_head(atoms: AffineLayer, support: Tensor) -> CategoricalHead:
    """C51's logits, the atoms of an action side by side."""
    features, outputs = _sizes(atoms)
    head = CategoricalHead(features, _per(outputs, len(support), "atoms", atoms), support)
    fill(head.atoms, atoms)
    return head


def categorical_dueling_head(
    value: AffineLayer,
    advantage: AffineLayer,
    support: Tensor,
    streams: tuple[AffineLayer, AffineLayer] | None = None,
) -> CategoricalHead:
    """C51's logits as value plus advantage, the atoms of an action side by side."""
    features, units = _before(value, advantage, streams)
    actions = _per(len(advantage.weight), len(support), "atoms", advantage)
    head = CategoricalHead(features, actions, support, dueling=True, units=units)
    assert head.value is not None and head.advantage is not None
    _fill_streams(head.fc, head.advantage_fc, streams)
    fill(head.value, value)
    fill(head.advantage, advantage)
    return head


def quantile_head(quantiles: AffineLayer, count: int) -> QuantileHead:
    """QR-DQN's quantiles, `count` of an action side by side."""
    features, outputs = _sizes(quantiles)
    head = QuantileHead(features, _per(outputs, count, "quantiles", quantiles), count)
    fill(head.quantiles, quantiles)
    return head


def implicit_quantile_head(
    embedding: AffineLayer, fc: AffineLayer, quantiles: AffineLayer, samples: int = 32
) -> ImplicitQuantileHead:
    """IQN, at `samples` fixed quantiles. embedding: (features, cosines)."""
    cosines, features = _sizes(embedding)
    units, actions = _sizes(quantiles)
    if _sizes(fc) != (features, units):
        raise ConversionError(
            f"'{fc.name}' {tuple(fc.weight.shape)} does not stand between {features} features "
            f"and '{quantiles.name}' {tuple(quantiles.weight.shape)}"
        )
    head = ImplicitQuantileHead(features, actions, units, cosines, samples)
    fill(head.embedding.linear, embedding)
    fill(head.fc, fc)
    fill(head.quantiles, quantiles)
    return head


def _sizes(layer: AffineLayer) -> tuple[int, int]:
    """Inputs and outputs of a dense layer."""
    if layer.weight.ndim != 2:
        raise ConversionError(
            f"'{layer.name}' has weights {tuple(layer.weight.shape)}, not a table"
        )
    return layer.weight.shape[1], layer.weight.shape[0]


def _per(outputs: int, each: int, what: str, layer: AffineLayer) -> int:
    if each < 1 or outputs % each or outputs == 0:
        raise ConversionError(
            f"'{layer.name}' has {outputs} outputs, not a multiple of {each} {what}"
        )
    return outputs // each


def _before(
    value: AffineLayer, advantage: AffineLayer, streams: tuple[AffineLayer, AffineLayer] | None
) -> tuple[int, int | None]:
    """Features, and the units of the streams' own layers; sizes that differ are refused."""
    features, units = (_sizes(value)[0], None) if streams is None else _sizes(streams[0])
    for layer, inputs in ((value, units or features), (advantage, units or features)):
        # before a module is made of them: its size would be a product that no file holds
        if _sizes(layer)[0] != inputs:
            raise ConversionError(
                f"'{layer.name}' reads {_sizes(layer)[0]} units, but {inputs} stand before it"
            )
    if streams is not None and _sizes(streams[1]) != (features, units):
        raise ConversionError(f"'{streams[1].name}' is not of the size of '{streams[0].name}'")
    return features, units


def _fill_streams(
    fc: Dense | None, advantage_fc: Dense | None, streams: tuple[AffineLayer, AffineLayer] | None
) -> None:
    if streams is not None:
        assert fc is not None and advantage_fc is not None
        fill(fc, streams[0])
        fill(advantage_fc, streams[1])
