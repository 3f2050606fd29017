"""The values of a network's named layers, taken while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from atari_zoo.converters.network.activations import activation_before


@runtime_checkable
class Layered(Protocol):
    """Whatever names its layers."""

    @property
    def layers(self) -> dict[str, nn.Module]: ...


@contextmanager
def recorded(
    network: Layered, layers: Sequence[str], before_relu: bool = False
) -> Iterator[dict[str, Tensor]]:
    """While it is open, every forward pass leaves the layers' values in the yielded dict.

    before_relu: what enters a layer's activation function (a ReLU, mostly) and not what
        leaves it, of the layers that have one.
    Raises ValueError if a layer is not there; the message lists those that are.
    """
    values: dict[str, Tensor] = {}
    modules = {name: layer_named(network, name) for name in layers}  # all there, or no hook is set
    if before_relu:
        modules = {name: activation_before(module) or module for name, module in modules.items()}
    hooks = [m.register_forward_hook(_keep(values, name)) for name, m in modules.items()]
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


def _keep(values: dict[str, Tensor], name: str) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        values[name] = output

    return hook
