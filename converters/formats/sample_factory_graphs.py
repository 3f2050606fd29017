"""Sample Factory's policies as ONNX: normalization, encoder, memory, decoder and heads, as its
source has them (model/{encoder,core,decoder,actor_critic}.py, algo/utils/running_mean_std.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.export.memories import write_layers
from atari_zoo.converters.recognition.symbols import BATCH
from atari_zoo.converters.tf.onnx_graph import OnnxGraph
from atari_zoo.converters.weights.memory_layers import memory_named, parts_of_memory

ACTIVATIONS = {"relu": "Relu", "elu": "Elu", "tanh": "Tanh"}
STATISTICS = "obs_normalizer.running_mean_std.running_mean_std.obs."
RETURNS = "returns_normalizer."
EPSILON, CLIP = 1e-5, 5.0
WHITE = 255.0  # pixels are divided by this, and what follows is made for that
# of convnet_atari and convnet_simple; of convnet_impala
STRIDES = {(8, 4, 3): ((4, 2, 1), (4, 2, 2)), (8, 4): ((4, 2),)}
ENCODERS = re.compile(r"(?:actor_)?encoder\.(?:encoders\.obs\.|basic_encoder\.)?(?:enc\.)?")
SIZE = 84
OUTPUT, VALUE = "action_parameterization.distribution_linear", "critic_linear"


@dataclass(frozen=True)
class Recipe:
    """Weights by name; the activation; what pixels of 0..255 are divided by.

    subtracted: from pixels, before they are divided.
    """

    weights: dict[str, np.ndarray]
    activation: str
    scale: float
    subtracted: float = 0.0


class _Policy:
    """The graph under construction; `value` is the tensor so far."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe, self.graph, self.used = recipe, OnnxGraph(), set[str]()
        self.value = ""

    def add(self, op: str, name: str, *inputs: str, **attributes: object) -> str:
        self.value = self.graph.add(op, [self.value, *inputs], name, name, **attributes)
        return self.value

    def constant(self, name: str, array: np.ndarray) -> str:
        return self.graph.constant(name, np.ascontiguousarray(array, np.float32))

    def weight(self, name: str, axes: int) -> np.ndarray:
        if name not in self.recipe.weights or self.recipe.weights[name].ndim != axes:
            raise ConversionError(f"'{name}' is missing, or not on {axes} axes")
        self.used.add(name)
        return self.recipe.weights[name]

    def bias(self, layer: str) -> str:
        array, outputs = (
            self.weight(f"{layer}.bias", 1),
            len(self.recipe.weights[f"{layer}.weight"]),
        )
        if array.shape != (outputs,):
            raise ConversionError(f"'{layer}.bias' {array.shape} for {outputs} outputs")
        return self.constant(f"{layer}.bias", array)

    def activate(self, name: str) -> None:
        self.add(ACTIVATIONS[self.recipe.activation], f"{name}/activation")

    def convolution(self, layer: str, stride: int, pad: int = 0) -> None:
        weight = self.weight(f"{layer}.weight", 4)
        if layer.endswith("conv_head.0") and f"{STATISTICS}running_mean" not in self.used:
            weight = weight * (WHITE / self.recipe.scale)
        kernel = self.constant(f"{layer}.weight", weight)
        bias = self.bias(layer)
        self.add("Conv", layer, kernel, bias, strides=[stride] * 2, pads=[pad] * 4)

    def dense(self, layer: str, name: str) -> None:
        kernel = self.constant(f"{layer}.weight", self.weight(f"{layer}.weight", 2))
        bias = self.bias(layer)
        self.add("Gemm", name, kernel, bias, transB=1)


def policy_graph(recipe: Recipe) -> tuple[onnx.ModelProto, list[str]]:
    """The policy's graph, fed 0..255, with "output" and "value"; and notes.

    A memory's states are inputs, (layers, batch, units), and outputs behind these.
    Raises ConversionError if it has other layers than the library's own.
    """
    made, notes = _Policy(recipe), []
    prefix = _prefix(recipe.weights)
    convs = [name for name in recipe.weights if name.startswith(f"{prefix}conv_head.")]
    frames = made.weight(f"{prefix}conv_head.0.weight", 4).shape[1]
    made.value = made.graph.input(
        "observations", [BATCH, frames, SIZE, SIZE], onnx.TensorProto.FLOAT
    )
    if recipe.subtracted:
        made.add("Sub", "shifted", made.constant("subtracted", np.array(recipe.subtracted)))
    made.add("Mul", "scaled", made.constant("scale", np.array(1 / WHITE)))
    if f"{STATISTICS}running_mean" in recipe.weights:
        _normalize(made)
        notes.append("each pixel is normalized by the statistics in the file")
    if any("res_block_core" in name for name in convs):
        _residual(made, prefix)
    else:
        _plain(made, prefix)
    _layers(made, f"{prefix}mlp_layers.")
    separate = prefix.startswith("actor_")
    states = _memory(made, "actor_core.core" if separate else "core.core")
    _layers(made, "actor_decoder.mlp." if separate else "decoder.mlp.")
    trunk = made.value
    made.dense(OUTPUT, "output")
    outputs = ["output"]
    if not separate:
        made.value = trunk
        made.dense(VALUE, "value")
        outputs.append("value")
        notes += _value_units(recipe.weights)
    else:
        notes.append("the critic has a network of its own, which is left out")
    _refuse_rest(made, separate)
    model = made.graph.model([*outputs, *(f"next_{name}" for name in states)])
    return model, notes


def _prefix(weights: dict[str, np.ndarray]) -> str:
    for name in weights:
        found = re.fullmatch(rf"({ENCODERS.pattern})conv_head\.0\.weight", name)
        if found:
            return found[1]
    raise ConversionError("no encoder of its own kind ('encoder.encoders.obs.enc.conv_head')")


@dataclass
class _Layers:
    """The graph as whoever writes memories has it (`export.memories`)."""

    graph: OnnxGraph

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        return self.graph.add(op, inputs, output, output, **attributes)

    def several(self, op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        self.graph.several(op, inputs, outputs, **attributes)

    def constant(self, name: str, values: list[int]) -> str:
        return self.graph.constant(name, np.array(values, np.int64))

    def weight(self, name: str, value: Tensor) -> str:
        return self.graph.constant(name, value.detach().numpy())


def _memory(made: _Policy, name: str) -> list[str]:
    """torch's GRU or LSTM between encoder and decoder (model/core.py: ModelCoreRNN), where there is
    one; the names of its states."""
    weights = {n: torch.from_numpy(w) for n, w in made.recipe.weights.items() if ".core." in n}
    if not any(part.startswith(f"{name}.") for part in weights):
        return []
    memory = memory_named(weights, name)
    if memory.kind not in ("gru", "lstm"):
        raise ConversionError(f"'{name}' is a plain recurrent layer; a GRU or an LSTM was expected")
    made.used |= parts_of_memory(weights, name)
    width = made.graph.shape(made.value)[-1]
    if memory.rnn.input_size != width:
        raise ConversionError(
            f"'{name}' reads {memory.rnn.input_size} features, but the encoder gives {width}"
        )
    for part in memory.states:
        layers, units = part.shape
        made.graph.input(part.name, [layers, BATCH, units], onnx.TensorProto.FLOAT)
    made.value = write_layers(memory, _Layers(made.graph), made.value, "memory")
    return [part.name for part in memory.states]


def _normalize(made: _Policy) -> None:
    """(x - mean) / sqrt(variance + 1e-5), at most 5 either way, for each pixel."""
    mean = made.weight(f"{STATISTICS}running_mean", 3)
    variance = made.weight(f"{STATISTICS}running_var", 3)
    if not (np.isfinite(mean).all() and np.isfinite(variance).all() and (variance >= 0).all()):
        raise ConversionError("statistics of pixels that are no numbers")
    times = WHITE / made.recipe.scale
    factor = times / np.sqrt(variance[None] + EPSILON)
    made.add("Sub", "centred", made.constant("mean", mean[None] / times))
    made.add("Mul", "normalized", made.constant("factor", factor))
    limits = [made.constant(name, np.array(n)) for name, n in (("least", -CLIP), ("most", CLIP))]
    made.add("Clip", "clipped", *limits)


def _value_units(weights: dict[str, np.ndarray]) -> list[str]:
    """What a value is measured in, where it was learnt from normalized returns."""
    if not any(name.startswith(RETURNS) for name in weights):
        return []
    mean, variance = (weights.get(f"{RETURNS}{part}") for part in ("running_mean", "running_var"))
    note = "value is in units of normalized returns, as it was learnt"
    if mean is None or variance is None or mean.size != 1 or variance.size != 1:
        return [note]
    spread = np.sqrt(np.maximum(variance, 0) + EPSILON).item()
    return [f"{note}; times {spread:.6g}, plus {mean.item():.6g}, it is in the rewards' own"]


def _plain(made: _Policy, prefix: str) -> None:
    """Convolutions, each with its activation; strides are told by the kernels and what follows."""
    layers = [f"{prefix}conv_head.{2 * i}" for i in range(3)]
    layers = [layer for layer in layers if f"{layer}.weight" in made.recipe.weights]
    kernels = tuple(made.weight(f"{layer}.weight", 4).shape[-1] for layer in layers)
    after = made.recipe.weights.get(f"{prefix}mlp_layers.0.weight")
    wanted = after.shape[-1] if after is not None else -1
    for strides in STRIDES.get(kernels, ()):
        width = len(made.weight(f"{layers[-1]}.weight", 4))
        if _side(kernels, strides) ** 2 * width == wanted:
            for layer, stride in zip(layers, strides, strict=True):
                made.convolution(layer, stride)
                made.activate(layer)
            made.add("Flatten", "flat")
            return
    raise ConversionError(
        f"kernels of {', '.join(map(str, kernels))} pixels before {wanted} inputs: none of its own "
        "encoders on 84x84 pixels (convnet_atari, convnet_simple, convnet_impala, resnet_impala)"
    )


def _side(kernels: Sequence[int], strides: Sequence[int]) -> int:
    side = SIZE
    for kernel, stride in zip(kernels, strides, strict=True):
        side = (side - kernel) // stride + 1
    return side


def _residual(made: _Policy, prefix: str) -> None:
    """resnet_impala: three times a convolution, a pooling, and two blocks."""
    head = f"{prefix}conv_head."
    for stage in range(3):
        first = 4 * stage
        made.convolution(f"{head}{first}", 1, 1)
        pool = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
        made.add("MaxPool", f"{head}{first + 1}", **pool)
        for block in (first + 2, first + 3):
            before = made.value
            for part in (1, 3):
                layer = f"{head}{block}.res_block_core.{part}"
                made.activate(layer)
                made.convolution(layer, 1, 1)
            made.add("Add", f"{head}{block}", before)
    made.activate(f"{head}12")
    made.add("Flatten", "flat")


def _layers(made: _Policy, prefix: str) -> None:
    """Dense layers, each with its activation."""
    numbers = sorted(
        int(found[1])
        for name in made.recipe.weights
        if (found := re.fullmatch(rf"{re.escape(prefix)}(\d{{1,3}})\.weight", name))
    )
    for number in numbers:
        made.dense(f"{prefix}{number}", f"{prefix}{number}")
        made.activate(f"{prefix}{number}")


def _refuse_rest(made: _Policy, separate: bool) -> None:
    own = ("obs_normalizer.", RETURNS, *(("critic_",) if separate else ()))
    rest = [n for n in made.recipe.weights if n not in made.used and not n.startswith(own)]
    if rest:
        raise ConversionError(f"beside its layers it has {rest[0][:80]!a}, whose part is not known")
