"""Networks while a layer's values are replaced by something made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.hooks import layer_named
from atari_zoo.layers import activations

Change = Callable[[Tensor], Tensor]
SAME = 1e-4  # of the outputs' spread: what two sums of float32 may differ by


def unchanged(values: Tensor) -> Tensor:
    """The change that is none."""
    return values


@contextmanager
def with_layer_changed(network: Network, layer: str, change: Change) -> Iterator[None]:
    """While it is open, what follows the layer is given `change` of its values (batch, units).

    change: of float32 on the CPU, where dictionaries are.
    Raises ValueError if there is no such layer; the message lists those that are.
    """
    hook = layer_named(network, layer).register_forward_hook(
        lambda module, inputs, values: change(values.float().cpu()).to(values)
    )
    try:
        yield
    finally:
        hook.remove()


def outputs_changed(
    network: Network,
    layer: str,
    change: Change,
    observations: Shaped[Tensor, "moments channels height width"],
    states: Tensor | None = None,
) -> Float[Tensor, "moments actions"]:
    """What the network gives at each moment while the layer is so changed."""
    with with_layer_changed(network, layer, change), torch.inference_mode():
        return activations(network, observations, ["output"], state=states)["output"].float()


def decides_actions(
    network: Network,
    layer: str,
    observations: Shaped[Tensor, "moments channels height width"],
    states: Tensor | None = None,
) -> bool:
    """Whether the layer has a part in which action is best: without it the outputs lie otherwise to
    each other. A stream of the value alone raises them all alike."""
    each = [
        outputs_changed(network, layer, change, observations, states)
        for change in (unchanged, torch.zeros_like)
    ]
    intact, without = (outputs - outputs.mean(dim=1, keepdim=True) for outputs in each)
    return bool((intact - without).abs().max() > SAME * intact.abs().max())


def no_effect_words(
    network: Network,
    layer: str,
    observations: Shaped[Tensor, "moments channels height width"],
    states: Tensor | None = None,
) -> str:
    """What is to be said of a layer that does not matter to what is done; "" of all others.

    observations: some dozens will do. states: what a network that carries one carried into them.
    """
    if layer == "output" or decides_actions(network, layer, observations, states):
        return ""
    others = ", ".join(other for other in network.layers if other != layer)
    return (
        f"{layer} of {network.card.name} decides no action: without it all outputs lie to each "
        f"other as before; its other layers are {others}"
    )
