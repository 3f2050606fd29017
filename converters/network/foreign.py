"""ONNX graphs of other architectures: through onnx2torch, still modules with named layers."""

from __future__ import annotations

import onnx
import torch
from torch import Tensor, nn

from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.heads import check_outputs
from atari_zoo.converters.network.networks import MnihNetwork

OLDER_OPSET = 17


class ForeignNetwork(nn.Module):
    """An ONNX graph of another architecture, through onnx2torch; its layers keep their names.

    `forward` takes (batch, 4, 84, 84), bytes or floats in 0..1 as every network of the zoo does,
    hands the graph the range that it wants, and gives its first output.

    maximum: the value of a white pixel in the graph's input, 1 or 255.
    """

    def __init__(self, model: onnx.ModelProto, card: ModelCard, maximum: float = 1.0) -> None:
        super().__init__()
        self.card, self.maximum = card, maximum
        weights = {weight.name for weight in model.graph.initializer}
        inputs = [i.type.tensor_type for i in model.graph.input if i.name not in weights]
        outputs = [o.type.tensor_type.shape.dim for o in model.graph.output]
        if len(inputs) != 1 or len(inputs[0].shape.dim) != 4:
            raise ConversionError("an agent takes one input of four axes, its observations")
        if len(outputs[0]) != 2 or outputs[0][1].dim_value < 2:
            raise ConversionError("an agent's first output is (batch, actions); this one's is not")
        self.actions = outputs[0][1].dim_value
        check_outputs(self.actions)
        self.bytes = inputs[0].elem_type == onnx.TensorProto.UINT8
        self.graph = _through_onnx2torch(model)

    @property
    def layers(self) -> dict[str, nn.Module]:
        """The graph's modules by the names of their nodes."""
        return dict(self.graph.named_children())

    def forward(self, observations: Tensor) -> Tensor:
        if not self.bytes:
            observations = scaled(observations, self.maximum)
        elif observations.is_floating_point():
            observations = observations * 255
        outputs = self.graph(observations)
        return outputs[0] if isinstance(outputs, list | tuple) else outputs


Network = MnihNetwork | ForeignNetwork


def scaled(observations: Tensor, maximum: float) -> Tensor:
    """Bytes, or floats in 0..1, as floats up to `maximum`, 1 or 255."""
    if observations.dtype == torch.uint8:
        return observations.float() if maximum == 255 else observations.float() / 255
    return observations if maximum == 1 else observations * maximum


def observation_shape(network: Network) -> tuple[int, int, int]:
    """Frames, height and width of what the network sees."""
    return network.trunk.shape if isinstance(network, MnihNetwork) else (4, 84, 84)


def _through_onnx2torch(model: onnx.ModelProto) -> nn.Module:
    import onnx2torch

    try:
        return onnx2torch.convert(model)
    except Exception as error:  # it raises whatever its converters meet
        reason = error
    try:  # it knows fewer operators of the newer opsets
        return onnx2torch.convert(onnx.version_converter.convert_version(model, OLDER_OPSET))
    except Exception:
        raise ConversionError(f"onnx2torch cannot translate it either: {reason}") from reason
