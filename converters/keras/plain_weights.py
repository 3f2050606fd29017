"""Keras's weights without a configuration: by their order and shapes, as torch would have them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.keras.stored_weights import StoredLayers
from atari_zoo.converters.keras.translation import is_theanos_order, ordered_kernel
from atari_zoo.converters.weights.affine_layers import AffineLayer


def state_dict_of(stored: StoredLayers) -> dict[str, Tensor]:
    """Weights and biases in torch's orders, by the layers' names.

    Dense layers behind the convolutions read (height, width, channels); but (channels, height,
    width) where kernels show that channels were first.
    Raises ConversionError if a layer is neither a convolution nor dense, or it is not clear which
    dense layers are behind the convolutions.
    """
    layers = {name: arrays for name, arrays in stored.arrays.items() if arrays}
    for name, arrays in layers.items():
        _check(name, arrays)
    kernels = [arrays[0] for arrays in layers.values() if arrays[0].ndim == 4]
    first = stored.old and any(is_theanos_order(kernel.shape) for kernel in kernels)
    channels = ordered_kernel(kernels[-1], None, stored).shape[-1] if kernels else 0
    dense = {name: arrays[0].shape for name, arrays in layers.items() if arrays[0].ndim == 2}
    readers = _readers(dense, channels) if channels and dense and not first else ()
    found: dict[str, Tensor] = {}
    for name, (kernel, *rest) in layers.items():
        kernel = ordered_kernel(kernel, None, stored) if kernel.ndim == 4 else kernel
        bias = rest[0] if rest else np.zeros(kernel.shape[-1], np.float32)
        layer = AffineLayer.of_tensorflow(_floats(kernel), _floats(bias), name)
        layer = layer.from_height_width_channels(channels) if name in readers else layer
        found |= {f"{name}.weight": layer.weight, f"{name}.bias": layer.bias}
    return found


def _check(name: str, arrays: list[np.ndarray]) -> None:
    if len(arrays) > 2 or arrays[0].ndim not in (2, 4) or arrays[-1].ndim not in (1, 2, 4):
        shapes = ", ".join(str(array.shape) for array in arrays[:4])
        raise ConversionError(
            f"layer {name[:60]!a} has arrays {shapes}: no convolution, nor a dense layer; save "
            "the whole model (model.save), whose configuration tells what it is"
        )


def _readers(dense: Mapping[str, tuple[int, ...]], channels: int) -> list[str]:
    """The dense layers that read what the last convolution gives.

    The file's order need not be the model's (Keras 3 sorts), so that shapes tell: all those whose
    inputs no dense layer makes.
    """
    made = {outputs for _, outputs in dense.values()}
    whole = {inputs for inputs, _ in dense.values() if inputs % channels == 0}
    if len(whole - made) == 1:
        return [name for name, (inputs, _) in dense.items() if inputs in whole - made]
    shapes = ", ".join(f"{name[:60]!a} {shape}" for name, shape in list(dense.items())[:4])
    raise ConversionError(
        f"which dense layer reads the last convolution's {channels} channels is not clear "
        f"({shapes}); save the whole model (model.save), whose configuration tells"
    )


def _floats(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, np.float32)
