"""A network of which one number per observation is left: what is explained, by any method."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.hooks import recorded

OUTPUT = "output"


class TargetScore(nn.Module):
    """A network of which one number per observation is left.

    layer: the named layer that is read; "output" is what the network returns.
    weights: (batch, ...) of the layer's shape; the number is the sum of the products. They are
        handed over again at each call, so that they may be repeated or split as observations are.
    function: instead of weights, of the layer's value to (batch,); not linear.
    """

    def __init__(
        self,
        network: Network,
        layer: str,
        weights: Tensor | None = None,
        function: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.network, self.layer, self.function = network, layer, function
        self.arguments = () if weights is None else (weights,)

    def forward(self, observations: Tensor, weights: Tensor | None = None) -> Tensor:
        value = layer_value(self.network, self.layer, observations)
        if weights is None:
            assert self.function is not None  # a score has the one or the other
            return self.function(value)
        return (value * weights).flatten(1).sum(1)

    def at(self, rows: slice) -> TargetScore:
        """The same score for some of the observations."""
        weights = self.arguments[0][rows] if self.arguments else None
        return TargetScore(self.network, self.layer, weights, self.function)

    def repeated(self, count: int) -> tuple[Tensor, ...]:
        """The arguments for `count` variants of each observation, those of one side by side."""
        return tuple(argument.repeat_interleave(count, 0) for argument in self.arguments)


def layer_value(network: Network, layer: str, observations: Tensor) -> Tensor:
    """What `layer` computes of the observations; "output" is what the network returns."""
    if layer == OUTPUT:
        return network(observations)
    with recorded(network, [layer]) as values:
        network(observations)
    return values[layer]
