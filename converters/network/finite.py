"""Weights as tensors, once they are found to be finite numbers of a trained network's size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from atari_zoo.converters.errors import ConversionError

LARGEST = 1e6  # magnitude of a weight: trained ones stay below 1000


def finite_tensor(array: np.ndarray | torch.Tensor, name: str = "") -> torch.Tensor:
    """The array as float32.

    Raises ConversionError, with the layer's `name`, if it holds what is no trained weight.
    """
    array = array.detach().cpu().float().numpy() if isinstance(array, torch.Tensor) else array
    place = f" in '{name}'" if name else ""
    if array.dtype.kind != "f":
        raise ConversionError(f"weights{place} of type {array.dtype}, not floats")
    if not np.isfinite(array).all():
        raise ConversionError(f"weights{place} that are not finite numbers")
    largest = float(np.abs(array).max(initial=0))
    if largest > LARGEST:
        raise ConversionError(
            f"weights{place} as large as {largest:.0e}: damaged, or another byte order"
        )
    return torch.from_numpy(np.array(array, np.float32))  # a copy: protobuf's is read-only


def check_finite(network: torch.nn.Module, name: str = "") -> None:
    """Raises ValueError, with the network's name, if one of its weights is no finite number.

    name: what it is called; as its card has it, if not given.
    """
    card = getattr(network, "card", None)
    name = name or (card.name if card is not None else "this network")
    for layer, weight in network.state_dict().items():
        if not all_finite(weight):
            raise ValueError(
                f"{name}: weights in '{layer}' are not finite numbers, so that it answers nothing: "
                "training has diverged, or the file is damaged; take an earlier checkpoint"
            )


def all_finite(values: Any) -> bool:
    """Whether numbers, tensors, and those in mappings and lists of them, are all finite."""
    if isinstance(values, torch.Tensor):
        return not values.is_floating_point() or bool(values.isfinite().all())
    if isinstance(values, Mapping):
        return all(map(all_finite, values.values()))
    if isinstance(values, list | tuple):
        return all(map(all_finite, values))
    return not isinstance(values, float) or bool(np.isfinite(values))
