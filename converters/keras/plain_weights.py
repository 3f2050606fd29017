"""Keras's weights without a configuration: by their order and shapes, as torch would have them."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.keras.stored_weights import StoredLayers
from atari_zoo.converters.keras.translation import is_theanos_order, ordered_kernel
from atari_zoo.converters.network.networks import PLACES
from atari_zoo.converters.weights.affine_layers import AffineLayer


def state_dict_of(stored: StoredLayers) -> dict[str, Tensor]:
    """Weights and biases in torch's orders, by the layers' names.

    The first dense layer read (height, width, channels); but (channels, height, width) where
    kernels show that channels were first.
    Raises ConversionError if a layer is neither a convolution nor dense.
    """
    found: dict[str, Tensor] = {}
    channels, first = 0, False
    for name, arrays in stored.arrays.items():
        if not arrays:
            continue
        if len(arrays) > 2 or arrays[0].ndim not in (2, 4) or arrays[-1].ndim not in (1, 2, 4):
            shapes = ", ".join(str(array.shape) for array in arrays[:4])
            raise ConversionError(
                f"layer {name[:60]!a} has arrays {shapes}: no convolution, nor a dense layer; save "
                "the whole model (model.save), whose configuration tells what it is"
            )
        kernel = arrays[0]
        first |= stored.old and kernel.ndim == 4 and is_theanos_order(kernel.shape)
        kernel = ordered_kernel(kernel, None, stored) if kernel.ndim == 4 else kernel
        outputs = kernel.shape[-1]
        bias = arrays[1] if len(arrays) > 1 else np.zeros(outputs, np.float32)
        layer = AffineLayer.of_tensorflow(_floats(kernel), _floats(bias), name)
        if kernel.ndim == 4:
            channels = outputs
        elif channels and kernel.shape[0] in [channels * places for places in PLACES]:
            layer = layer if first else layer.from_height_width_channels(channels)
            channels = 0
        found |= {f"{name}.weight": layer.weight, f"{name}.bias": layer.bias}
    return found


def _floats(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, np.float32)
