"""An ONNX graph in the making: the nodes and weights that trunks and heads add to it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.half_floats import HALF, in_half
from atari_zoo.converters.network.activations import Activation
from atari_zoo.converters.network.heads import Dense

# activation functions that are one operator, and what that calls their number
OPERATORS = {
    "relu": ("Relu", ""),
    "identity": ("Identity", ""),
    "elu": ("Elu", "alpha"),
    "leaky_relu": ("LeakyRelu", "alpha"),
    "celu": ("Celu", "alpha"),
    "tanh": ("Tanh", ""),
    "sigmoid": ("Sigmoid", ""),
    "selu": ("Selu", ""),
    "softplus": ("Softplus", ""),
    "softsign": ("Softsign", ""),
    "hardswish": ("HardSwish", ""),
}


class GraphWriter:
    """Nodes and weights of a graph in the making; each node is called by what it computes.

    float16: weights are stored in half the bytes, and cast to float32 before any arithmetic.
    """

    def __init__(self, float16: bool) -> None:
        self.float16 = float16
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """A node; returns `output`, as every method here returns what holds its value."""
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def several(self, op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        """A node with several outputs."""
        self.nodes.append(helper.make_node(op, inputs, outputs, name=outputs[0], **attributes))

    def weight(self, name: str, value: Tensor) -> str:
        """A layer's weights. Raises ConversionError where half a float cannot hold them."""
        array = value.detach().to("cpu").float().numpy()
        if not self.float16:
            self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
            return name
        self.weights.append(numpy_helper.from_array(in_half(array, name), f"{name}{HALF}"))
        return self.add("Cast", [f"{name}{HALF}"], name, to=TensorProto.FLOAT)

    def constant(self, name: str, values: list[int]) -> str:
        """Whole numbers: a shape, or axes."""
        self.weights.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def exact(self, name: str, value: Tensor) -> str:
        """A small table kept in float32 whatever the weights are."""
        array = np.ascontiguousarray(value.detach().cpu().float().numpy())
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def linear(self, name: str, layer: nn.Module, value: str, output: str) -> str:
        """A dense layer without its activation function."""
        assert isinstance(layer, nn.Linear)
        weights = [
            self.weight(f"{name}.weight", layer.weight),
            self.weight(f"{name}.bias", layer.bias),
        ]
        return self.add("Gemm", [value, *weights], output, transB=1)

    def dense(self, name: str, layer: Dense, value: str) -> str:
        """A dense layer and its activation function."""
        before = self.linear(name, layer.get_submodule("linear"), value, f"{name}.linear")
        return self.activation(layer.activation, before, name)

    def activation(self, function: Activation, value: str, output: str, axes: int = 2) -> str:
        """An activation function; what opset 17 has no operator for is made of several.

        axes: of the value; 4 of maps.
        """
        kind, numbers = function.kind, function.parameters
        if kind == "prelu":
            # a map's slopes stand before its height and width
            slopes = torch.tensor(numbers).reshape(-1, *[1] * (axes - 2))
            return self.add("PRelu", [value, self.exact(f"{output}.slopes", slopes)], output)
        if kind in OPERATORS:
            operator, number = OPERATORS[kind]
            return self.add(operator, [value], output, **dict(zip([number], numbers, strict=False)))
        if kind == "relu6":
            ends = [self.number(f"{output}.{end}", end) for end in (0, 6)]
            return self.add("Clip", [value, *ends], output)
        if kind == "hardsigmoid":
            return self.add("HardSigmoid", [value], output, alpha=1 / 6, beta=0.5)
        return self.add("Mul", [value, self._gate(kind, value, output)], output)

    def number(self, name: str, value: float) -> str:
        """A number in float32."""
        return self.exact(name, torch.tensor(float(value)))

    def _gate(self, kind: str, value: str, output: str) -> str:
        """What these functions multiply their argument by."""
        gate = f"{output}.gate"
        if kind == "silu":
            return self.add("Sigmoid", [value], gate)
        if kind == "mish":
            return self.add("Tanh", [self.add("Softplus", [value], f"{output}.soft")], gate)
        if kind not in ("gelu", "gelu_tanh"):
            raise ConversionError(f"no ONNX form for the activation function {kind}")
        exact = kind == "gelu"
        operator, factor = ("Erf", 0.5) if exact else ("Tanh", 2 / math.pi)
        if not exact:
            cube = self.add("Pow", [value, self.number(f"{output}.three", 3)], f"{output}.cube")
            part = self.add(
                "Mul", [cube, self.number(f"{output}.share", 0.044715)], f"{output}.part"
            )
            value = self.add("Add", [value, part], f"{output}.sum")
        root = self.number(f"{output}.root", math.sqrt(factor))
        bent = self.add(
            operator, [self.add("Mul", [value, root], f"{output}.wide")], f"{output}.bent"
        )
        risen = self.add("Add", [bent, self.number(f"{output}.one", 1)], f"{output}.risen")
        return self.add("Mul", [risen, self.number(f"{output}.half", 0.5)], gate)
