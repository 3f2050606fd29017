"""Changes of what layers compute, made while a network runs: its weights stay as they are.

A change is a forward hook on a layer's module, so that whatever runs the network, or a copy of it,
runs the change too. What it does to a value is the same for each observation alone, whatever else
is in the batch: play repeats.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.hooks import Layered

MIXER = 0x5851F42D4C957F2D  # odd, its bits spread: that of Knuth's generator MMIX


class LayerChange:
    """A hook whose result is passed on in the place of a layer's value.

    portable: whether it can be written as ONNX operators.
    """

    portable = False

    def __call__(self, module: nn.Module, inputs: Any, value: Tensor) -> Tensor:
        return self.changed(value)

    def attach(self, network: Network, layer: str) -> list[RemovableHandle]:
        """Has the network run it; the handles take it off again."""
        return [network.layers[layer].register_forward_hook(self)]

    def changed(self, value: Float[Tensor, "batch *units"]) -> Float[Tensor, "batch *units"]:
        """What is passed on, in the value's own type and place."""
        raise NotImplementedError


class AffineChange(LayerChange):
    """value * factor + shift.

    factor, shift: (1, ...), of as many axes as the value, which they are spread over.
    """

    portable = True

    def __init__(self, factor: Tensor, shift: Tensor) -> None:
        self.factor, self.shift = factor.detach().float(), shift.detach().float()

    def changed(self, value: Float[Tensor, "batch *units"]) -> Float[Tensor, "batch *units"]:
        return value * self.factor.to(value) + self.shift.to(value)


class DrawnChange(LayerChange):
    """Some of a layer's numbers are what they were at another moment, drawn for each observation.

    The draw is told by what is seen and the seed: the same observation has the same draw.
    chosen: which of the numbers. values: theirs, at the moments that there are.
    """

    def __init__(
        self, chosen: Bool[Tensor, "*units"], values: Float[Tensor, "moments chosen"], seed: int
    ) -> None:
        self.chosen, self.values, self.seed = chosen, values.detach().float(), seed
        self.moments = torch.zeros(0, dtype=torch.int64)
        self._weights = torch.zeros(0, dtype=torch.int64)

    def attach(self, network: Network, layer: str) -> list[RemovableHandle]:
        entrance = network.trunk.scale if isinstance(network, AgentNetwork) else network.graph
        return [entrance.register_forward_pre_hook(self.look), *super().attach(network, layer)]

    def look(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Draws the moments for what enters the network."""
        seen = inputs[0].detach().cpu().flatten(1)
        pixels = (seen.float() * 255).round().long() if seen.is_floating_point() else seen.long()
        if len(self._weights) != pixels.shape[1]:
            generator = torch.Generator().manual_seed(self.seed)
            size = (pixels.shape[1],)
            self._weights = torch.randint(-(2**62), 2**62, size, generator=generator) | 1
        mixed = (pixels * self._weights).sum(dim=1)  # modulo 2^64
        mixed = (mixed ^ (mixed >> 29)) * MIXER
        self.moments = ((mixed >> 33) & (2**30 - 1)) % len(self.values)

    def changed(self, value: Float[Tensor, "batch *units"]) -> Float[Tensor, "batch *units"]:
        changed = value.clone()
        changed[:, self.chosen.to(value.device)] = self.values[self.moments].to(value)
        return changed


def changes_on(network: Layered) -> list[tuple[str, LayerChange]]:
    """The changes that are made of a network's layers now, by the layers, in their order."""
    return [
        (name, hook)
        for name, module in network.layers.items()
        for hook in module._forward_hooks.values()
        if isinstance(hook, LayerChange)
    ]


def without_changes(network: nn.Module) -> None:
    """Takes all changes off, as of a copy of a network that is changed for a while."""
    for module in network.modules():
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            for key, hook in list(hooks.items()):
                if isinstance(getattr(hook, "__self__", hook), LayerChange):
                    del hooks[key]


def check_as_weighted(network: Layered) -> None:
    """Raises ConversionError if layers are changed: weights alone do not tell that."""
    if changed := changes_on(network):
        raise ConversionError(
            f"an intervention changes {changed[0][0]}, which the weights do not tell: write an "
            ".onnx file, or the intact network"
        )
