"""A Keras model in ONNX: its layers in order, with their weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.keras.models import KerasLayer, KerasModel
from atari_zoo.converters.keras.steps import KERAS_LAYERS, KerasStep
from atari_zoo.converters.keras.stored_weights import StoredLayers, arrays_of
from atari_zoo.converters.recognition.symbols import BATCH
from atari_zoo.converters.tf.onnx_graph import OnnxGraph

WEIGHTED = ("Conv2D", "Dense", "BatchNormalization", "PReLU")
INPUTS = ("batch_shape", "batch_input_shape", "input_shape")
LARGEST = 1 << 10  # pixels of an observation's side
SHOWN = 60


def translated(model: KerasModel, stored: StoredLayers) -> onnx.ModelProto:
    """The graph of a model's outputs: "output", and "value" where a critic is beside it.

    Raises ConversionError, naming the layer, if one has no translation or not its weights.
    """
    graph = OnnxGraph()
    values: dict[str, str] = {}
    for layer in model.layers:
        try:
            arrays = arrays_of(layer, stored)
            values[layer.name] = _translated(layer, arrays, stored, graph, values)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            known = isinstance(error, ConversionError)
            reason = error if known else f"its settings are damaged ({type(error).__name__})"
            name, kind = layer.name[:SHOWN], layer.kind[:SHOWN]
            raise ConversionError(f"layer {name!a} ({kind}): {reason}") from error
    ends = [_named(graph, values, name, kind) for name, kind in _outputs(graph, values, model)]
    made = graph.model(ends)
    made.producer_name = "keras"  # whose graphs do not say what they are fed
    return made


def _translated(
    layer: KerasLayer,
    arrays: list[np.ndarray],
    stored: StoredLayers,
    graph: OnnxGraph,
    values: dict[str, str],
) -> str:
    if layer.kind == "InputLayer":
        if values:
            raise ConversionError("a second input; one of observations was expected")
        return graph.input(layer.name, [BATCH, *_sizes(layer)], onnx.TensorProto.FLOAT)
    if layer.kind == "Lambda":
        raise ConversionError(
            "Python code of its own, which is not run; build the model with Rescaling or other "
            "layers in its place and set_weights, or save the weights alone (save_weights)"
        )
    if layer.kind not in KERAS_LAYERS:
        raise ConversionError("no translation for layers of this class")
    if layer.kind in WEIGHTED and not arrays:
        raise ConversionError("its weights are not in the file")
    if layer.kind == "Conv2D":
        arrays = [ordered_kernel(arrays[0], layer, stored), *arrays[1:]]
    inputs = [values[name] for name in layer.inputs]
    step = KerasStep(layer, inputs, arrays, graph, theano=stored.flipped)
    if not step.inputs:
        raise ConversionError("a layer without an input")
    return KERAS_LAYERS[layer.kind](step)


def ordered_kernel(
    kernel: np.ndarray, layer: KerasLayer | None, stored: StoredLayers
) -> np.ndarray:
    """A kernel as (height, width, in, out), turned over if it was Theano's.

    Keras 1 had (out, in, height, width) where channels are first.
    """
    if kernel.ndim != 4:
        raise ConversionError(f"a convolution with kernels {kernel.shape}")
    first = layer is not None and layer.settings.get("data_format") == "channels_first"
    if stored.old and (first if layer is not None else is_theanos_order(kernel.shape)):
        kernel = kernel.transpose(2, 3, 1, 0)
    return kernel[::-1, ::-1] if stored.flipped else kernel


def is_theanos_order(shape: Sequence[int]) -> bool:
    """Whether a kernel is (out, in, height, width), as Keras 1 had it; both may be square."""
    return shape[2] == shape[3] and shape[0] != shape[1]


def _sizes(layer: KerasLayer) -> list[int]:
    shape = next((layer.settings[name] for name in INPUTS if layer.settings.get(name)), None)
    if isinstance(shape, list) and len(shape) in (3, 4):
        sizes = shape[-3:]
        if all(type(n) is int and 0 < n <= LARGEST for n in sizes):
            return list(sizes)
    raise ConversionError(
        f"observations of {str(shape)[:40]}; height, width and frames were expected"
    )


def _outputs(graph: OnnxGraph, values: dict[str, str], model: KerasModel) -> list[tuple[str, str]]:
    """The layers of the actions and the value; raises ConversionError if it is not clear which."""
    widths = {name: graph.shape(values[name])[1:] for name in model.outputs if name in values}
    actions = [name for name, sizes in widths.items() if len(sizes) == 1 and sizes[0] > 1]
    single = [name for name, sizes in widths.items() if sizes == (1,)]
    if len(actions) != 1 or len(single) > 1 or len(widths) != len(actions) + len(single):
        shown = ", ".join(f"{name[:SHOWN]!a} {sizes}" for name, sizes in list(widths.items())[:6])
        raise ConversionError(
            f"one output of actions, and perhaps a value, was expected; it has {shown}"
        )
    return [(actions[0], "output"), *((name, "value") for name in single)]


def _named(graph: OnnxGraph, values: dict[str, str], name: str, kind: str) -> str:
    return graph.add("Identity", [values[name]], kind, kind)
