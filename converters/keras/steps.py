"""A layer of Keras to be translated: what it reads, its arrays; and the registry of translators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.keras.models import KerasLayer
from atari_zoo.converters.registration import Registry
from atari_zoo.converters.tf.onnx_graph import OnnxGraph

CHANNELS_FIRST, CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
LARGEST = 1 << 12  # a size or a stride


@dataclass
class KerasStep:
    """A layer, the tensors that it reads, its arrays, and the graph that is written.

    theano: what Keras ran on, whose "same" padding is another.
    """

    layer: KerasLayer
    inputs: list[str]
    arrays: list[np.ndarray]
    graph: OnnxGraph
    parts: int = 0
    theano: bool = False

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """A node; the last one's result is the layer's."""
        self.parts += 1
        name = f"{self.layer.name}/{op}{self.parts}"
        return self.graph.add(op, inputs, name, name, **attributes)

    def constant(self, array: Any, name: str = "constant") -> str:
        self.parts += 1
        return self.graph.constant(f"{self.layer.name}/{name}{self.parts}", np.asarray(array))

    @property
    def channels_last(self) -> bool:
        """Which axis its channels are on."""
        return self.layer.settings.get("data_format", "channels_last") != "channels_first"

    def first(self, value: str) -> str:
        """The value with its channels on the second axis, where ONNX has them."""
        if self.channels_last:
            return self.add("Transpose", value, perm=CHANNELS_FIRST)
        return value

    def back(self, value: str) -> str:
        """And where the layer has them."""
        if self.channels_last:
            return self.add("Transpose", value, perm=CHANNELS_LAST)
        return value

    def pair(self, name: str, default: int = 1) -> list[int]:
        """A setting of height and width; raises ConversionError if it is none."""
        value = self.layer.settings.get(name, default)
        value = [value, value] if type(value) is int else value
        numbers = isinstance(value, list) and len(value) == 2
        if not numbers or not all(type(n) is int and 0 < n < LARGEST for n in value):
            raise ConversionError(f"its {name} is {str(value)[:40]}; two numbers were expected")
        return list(value)

    def pads(
        self, kernel: Sequence[int], strides: Sequence[int], sizes: Sequence[int]
    ) -> list[int]:
        """Pixels above, left, below, right; "same" has the odd one below and right.

        Theano's convolutions have half a kernel before, and are cut to the same size.
        """
        padding = self.layer.settings.get("padding", "valid")
        if padding not in ("valid", "same"):
            raise ConversionError(f"padding {str(padding)[:20]!a}; 'valid' or 'same' was expected")
        amounts = [
            max((-(-size // stride) - 1) * stride + width - size, 0) if padding == "same" else 0
            for size, width, stride in zip(sizes, kernel, strides, strict=True)
        ]
        theanos = self.theano and padding == "same"
        before = [n // 2 for n in (kernel if theanos else amounts)]
        return before + [max(a - b, 0) for a, b in zip(amounts, before, strict=True)]


Translator = Callable[[KerasStep], str]
KERAS_LAYERS: Registry[Translator] = Registry("Keras layer", "atari_zoo.converters.keras.layers")


def keras_layer(*kinds: str) -> Callable[[Translator], Translator]:
    """Registers a function as the translator of layers of these classes."""

    def register(function: Translator) -> Translator:
        for kind in kinds:
            KERAS_LAYERS.add(kind, function, function)
        return function

    return register
