"""Places of a layer's map on the screen.

Of the network of Mnih et al. that follows from its kernels. Of other graphs it is measured: on a
copy whose kernels weigh all alike, the gradient counts the ways from a pixel to a place.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.converters.network.receptive_fields import field_shares
from atari_zoo.viz.attribution.scores import layer_value

Shares = tuple[Float[Tensor, "height rows"], Float[Tensor, "width columns"]]


def shares_on_screen(network: Network, layer: str, observation: Tensor) -> Shares:
    """How much of each place of a map belongs to each row, and column, of the screen: see
    `field_shares`. observation: one, (1, frames, height, width), for its shape.

    Raises ValueError if the layer has no map, or nothing of the screen reaches it.
    """
    if isinstance(network, MnihNetwork):
        return field_shares(network, layer)
    even = deepcopy(network)
    _even_out(even)
    pixels = torch.ones_like(observation).requires_grad_()
    maps = layer_value(even, layer, pixels)
    if maps.ndim != 4:
        raise ValueError(f"layer '{layer}' has no map; take a convolution")
    sums = maps.sum(dim=1)[0]
    rows = [_reached(pixels, line, (0, 1, 3)) for line in sums]
    columns = [_reached(pixels, line, (0, 1, 2)) for line in sums.T]
    return torch.stack(rows, dim=1), torch.stack(columns, dim=1)


def _reached(pixels: Tensor, line: Tensor, axes: tuple[int, int, int]) -> Float[Tensor, "pixels"]:
    """What share of the ways to a line of the map begins in each line of the screen.

    axes: of the pixels, over which the ways are added up.
    """
    (ways,) = torch.autograd.grad(line.sum(), pixels, retain_graph=True)
    along = ways.abs().sum(dim=axes)
    if not along.sum() > 0:
        raise ValueError("nothing of the screen reaches this layer's map; take another one")
    return along / along.sum()


def _even_out(network: nn.Module) -> None:
    """Makes all weights of a kernel equal, norms the identity, and pools of the largest means."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.MaxPool2d):
                pool = nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode)
                setattr(module, name, pool)
    for module in network.modules():
        weights = [getattr(module, name, None) for name in ("weight", "running_var")]
        zeros = [getattr(module, name, None) for name in ("bias", "running_mean")]
        with torch.no_grad():
            for some in weights:
                if isinstance(some, Tensor):
                    some.fill_(1 / some[0].numel() if some.ndim > 1 else 1.0)
            for some in zeros:
                if isinstance(some, Tensor):
                    some.zero_()
