"""The layers' values that objectives ask for, computed no further than the deepest of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.heads import Dense
from atari_zoo.converters.network.hooks import recorded
from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.viz.objectives.quick_convolution import quickened


@dataclass(frozen=True)
class Reference:
    """Which value is meant: of a layer before its ReLU, or after it.

    rectified: what leaves the layer's ReLU, if it has one.
    network: another one than the network that is rendered for.
    """

    layer: str
    rectified: bool = False
    network: Network | None = None


Values = dict[Reference, Tensor]
# products of fewer rows are summed in another order: a unit's image would not be the same alone
# and in a batch, since rounding decides which way a pixel without a slope first moves
FEWEST = 4
IMAGE = Reference("image")  # the images themselves, as they are before any transform


@contextmanager
def value_reader(
    network: Network, references: Iterable[Reference]
) -> Iterator[Callable[[Tensor], Values]]:
    """While it is open, the yielded function gives the values of `references` for images.

    Where a dense layer has several values for a unit (IQN's, one for each quantile), their mean.
    Raises ValueError if a layer is not there; the message lists those that are.
    """
    groups: dict[Network, list[Reference]] = {}
    for reference in references:
        if reference.layer != IMAGE.layer:
            groups.setdefault(reference.network or network, []).append(reference)
    with ExitStack() as stack:
        parts = []
        for key, group in groups.items():
            run_by = quickened(key) if isinstance(key, MnihNetwork) else key
            kept = {
                rectified: stack.enter_context(
                    recorded(
                        run_by, [r.layer for r in group if r.rectified is rectified], not rectified
                    )
                )
                for rectified in (False, True)
            }
            parts.append((_as_far_as(run_by, [r.layer for r in group]), run_by, group, kept))

        def read(images: Tensor) -> Values:
            values: Values = {}
            several = _several(images)
            for run, run_by, group, kept in parts:
                run(several)
                for reference in group:
                    value = kept[reference.rectified][reference.layer][: len(images)]
                    values[reference] = _one_a_unit(run_by.layers[reference.layer], value)
            return values

        yield read


def values_of(
    network: Network, references: Iterable[Reference], observations: Tensor, batch: int = 256
) -> Values:
    """The values of `references` for observations, without gradients, on the network's device.

    observations: (batch, 4, 84, 84), uint8 or float in 0..1.
    """
    parts: list[Values] = []
    device = next(network.parameters()).device
    with torch.no_grad(), value_reader(network, references) as read:
        for some in observations.split(batch):
            parts.append(read(some.to(device)))
    return {reference: torch.cat([part[reference] for part in parts]) for reference in parts[0]}


def _as_far_as(network: Network, layers: list[str]) -> Callable[[Tensor], object]:
    """The forward pass as far as the deepest of `layers`."""
    if not isinstance(network, AgentNetwork):
        return network
    trunk = network.trunk
    return trunk.as_far_as(layers) if set(layers) <= trunk.layers.keys() else network


def _several(images: Tensor) -> Tensor:
    """The images, black ones added to the few: see `FEWEST`."""
    missing = FEWEST - len(images)
    if missing <= 0:
        return images
    return torch.cat([images, images.new_zeros(missing, *images.shape[1:])])


def _one_a_unit(layer: nn.Module, value: Tensor) -> Tensor:
    return value.mean(dim=1) if isinstance(layer, Dense) and value.ndim == 3 else value
