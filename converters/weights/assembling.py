"""Builds a network from weights alone: what a checkpoint without a graph holds.

The paddings follow from the size of the dense layer; every shape is checked before it is copied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.finite import finite_tensor
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
from atari_zoo.converters.network.networks import (
    PLACES,
    SAME,
    VALID,
    MnihNetwork,
    Trunk,
    mnih_convolutions,
)


class AffineLayer(NamedTuple):
    """A layer's weights as torch has them: (out, in) or (out, in, height, width), and (out,).

    name: of the layer in its file, for messages.
    """

    weight: Tensor
    bias: Tensor
    name: str = ""

    @classmethod
    def of(cls, weights: Mapping[str, Tensor], name: str) -> AffineLayer:
        """The layer called `name` in a torch state dict; raises ConversionError if it lacks it."""
        for part in ("weight", "bias"):
            if f"{name}.{part}" not in weights:
                raise ConversionError(f"'{name}.{part}' is missing")
        return cls(weights[f"{name}.weight"], weights[f"{name}.bias"], name)

    @classmethod
    def of_tensorflow(cls, kernel: np.ndarray, bias: np.ndarray, name: str = "") -> AffineLayer:
        """From TensorFlow's and JAX's orders: (height, width, in, out), or (in, out)."""
        if kernel.ndim not in (2, 4) or bias.ndim != 1:
            raise ConversionError(f"'{name}': weights {kernel.shape} and biases {bias.shape}")
        order = (3, 2, 0, 1) if kernel.ndim == 4 else (1, 0)
        weight = finite_tensor(kernel.transpose(order), name)
        return cls(weight, finite_tensor(bias, name), name)

    def from_height_width_channels(self, channels: int) -> AffineLayer:
        """A dense layer that read (height, width, channels), reading (channels, height, width)."""
        places = self.weight.shape[1] // max(channels, 1)
        if self.weight.ndim != 2 or places * channels != self.weight.shape[1]:
            raise ConversionError(
                f"'{self.name}' {tuple(self.weight.shape)} does not read {channels} channels"
            )
        moved = self.weight.reshape(-1, places, channels).transpose(1, 2)
        return self._replace(weight=moved.reshape(len(self.weight), -1).contiguous())

    def transposed(self, rows: int) -> AffineLayer:
        """Units that stood as (rows, columns), standing as (columns, rows)."""
        if self.weight.ndim != 2 or rows < 1 or len(self.weight) % rows:
            raise ConversionError(
                f"'{self.name}' {tuple(self.weight.shape)} does not have {rows} rows of units"
            )
        if self.bias.shape != self.weight.shape[:1]:
            raise ConversionError(f"'{self.name}' has biases {tuple(self.bias.shape)}")
        order = torch.arange(len(self.weight)).reshape(rows, -1).T.reshape(-1)
        return self._replace(weight=self.weight[order], bias=self.bias[order])


def assembled(
    convolutions: Sequence[AffineLayer], fc: AffineLayer | None, head: Head, frames: int = 4
) -> MnihNetwork:
    """The network of these three convolutions, this dense layer and a head.

    frames: in an observation.
    fc: None where the head reads the flattened convolution (streams of their own, IQN).
    Raises ConversionError where they are no such network.
    """
    features = head.features if fc is None else fc.weight.shape[-1]
    trunk = _trunk(convolutions, features, fc, frames)
    if trunk.features != head.features:
        raise ConversionError(
            f"the head reads {head.features} features, but '{fc.name if fc else ''}' has "
            f"{trunk.features}"
        )
    for index, layer in enumerate(convolutions, start=1):
        fill(trunk.get_submodule(f"conv{index}.conv"), layer)
    if fc is not None:
        assert trunk.fc is not None
        fill(trunk.fc, fc)
    return MnihNetwork(trunk, head)


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


def fill(module: nn.Module, layer: AffineLayer) -> None:
    """Copies the weights into the one linear or convolutional layer of `module`.

    Raises ConversionError where the shapes differ or a weight is no finite number.
    """
    (target,) = (m for m in module.modules() if isinstance(m, nn.Linear | nn.Conv2d))
    assert target.bias is not None
    for part, there, given in (
        ("weights", target.weight, layer.weight),
        ("biases", target.bias, layer.bias),
    ):
        if there.shape != given.shape:
            raise ConversionError(
                f"'{layer.name}' has {part} {tuple(given.shape)}; "
                f"{tuple(there.shape)} were expected"
            )
        with torch.no_grad():
            there.copy_(finite_tensor(given, layer.name))


def _trunk(
    convolutions: Sequence[AffineLayer], features: int, fc: AffineLayer | None, wanted: int
) -> Trunk:
    if any(layer.weight.ndim != 4 for layer in convolutions):
        raise ConversionError("a convolution whose weights do not have four axes")
    kernels = [tuple(layer.weight.shape[2:]) for layer in convolutions]
    frames = convolutions[0].weight.shape[1] if convolutions else 0
    if kernels != [(8, 8), (4, 4), (3, 3)] or frames != wanted:
        raise ConversionError(
            f"kernels of 8, 4 and 3 pixels on {wanted} frames were expected; it has "
            + ", ".join(f"{k[0]}x{k[1]}" for k in kernels)
            + f" on {frames}"
        )
    widths = [len(layer.weight) for layer in convolutions]
    if [layer.weight.shape[1] for layer in convolutions] != [frames, *widths[:2]] or 0 in widths:
        found = ", ".join(f"'{x.name}' {tuple(x.weight.shape)}" for x in convolutions)
        raise ConversionError(f"convolutions that do not follow each other: {found}")
    for paddings, places in zip((VALID, SAME), PLACES, strict=True):
        if features == widths[2] * places:
            shapes = mnih_convolutions(widths, paddings)
            units = None if fc is None else len(fc.weight)
            return Trunk(shapes, units, (frames, 84, 84))
    raise ConversionError(
        f"a dense layer of {features} inputs fits neither padding: "
        f"{widths[2] * PLACES[0]} (VALID) or {widths[2] * PLACES[1]} (SAME) were expected"
    )


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
