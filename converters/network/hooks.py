"""The values of a network's named layers, taken while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from atari_zoo.converters.network.activations import activation_before


@runtime_checkable
class Layered(Protocol):
    """Whatever names its layers."""

    @property
    def layers(self) -> dict[str, nn.Module]: ...


class BatchPart(NamedTuple):
    """Which part of its observations a network runs that takes only so many at once.

    number: from 0. rows: how many there are, those that fill it up aside. last: whether it is.
    """

    number: int
    rows: int
    last: bool


@contextmanager
def recorded(
    network: Layered, layers: Sequence[str], before_relu: bool = False
) -> Iterator[dict[str, Tensor]]:
    """While it is open, every forward pass leaves the layers' values in the yielded dict, those of
    all observations though the network runs them in parts.

    before_relu: what enters a layer's activation function (a ReLU, mostly) and not what
        leaves it, of the layers that have one.
    Raises ValueError if a layer is not there; the message lists those that are.
    """
    values: dict[str, Tensor] = {}
    modules = {name: layer_named(network, name) for name in layers}  # all there, or no hook is set
    if before_relu:
        modules = {name: activation_before(module) or module for name, module in modules.items()}
    hooks = [m.register_forward_hook(_keep(network, values, name)) for name, m in modules.items()]
    try:
        yield values
    finally:
        for hook in hooks:
            hook.remove()


def layer_named(network: Layered, name: str) -> nn.Module:
    """The layer; raises ValueError if it is not there, with those that are."""
    if name not in network.layers:
        raise ValueError(f"no layer '{name}'; this network has {', '.join(network.layers)}")
    return network.layers[name]


def _keep(network: Layered, values: dict[str, Tensor], name: str) -> Callable[..., None]:
    parts: list[Tensor] = []

    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        part: BatchPart | None = getattr(network, "part", None)
        if part is None:
            values[name] = output
            return
        del parts[part.number :]  # a module may run twice; the last value is its own
        parts.append(output[: part.rows])
        if part.last:
            values[name] = torch.cat(parts)

    return hook
