"""Networks in two parts: a trunk, from observations to features, and a head, to the actions.

Architectures that have a name are trunks (`networks.Trunk`), and any head stands on any of them.
What asks for a capability (named layers, an ONNX form, features) asks for an `AgentNetwork`; what
needs one architecture's own geometry asks for its class.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.network.heads import Head
from atari_zoo.converters.network.relevance import Proportional


class UnitRange(Proportional, nn.Module):
    """Bytes 0..255 become floats 0..1; floats pass as they are, so that gradients reach them."""

    def forward(self, observations: Tensor) -> Tensor:
        if observations.dtype == torch.uint8:
            return observations.to(torch.get_default_dtype()).div_(255)  # of its own copy
        return observations


class AgentTrunk(nn.Module):
    """From observations to features: its parts, one after the other, in the order they were set.

    The first part is `scale`, which takes bytes or 0..1. A part that is None is left out.

    shape: (frames, height, width) of an observation. features: how many a head reads.
    """

    shape: tuple[int, int, int]
    features: int
    scale: UnitRange

    @property
    def architecture(self) -> str:
        """What it is called in reports, such as "Mnih et al. (2015)"."""
        raise NotImplementedError

    @property
    def layers(self) -> dict[str, nn.Module]:
        """Its named layers, from the input on; each is a part, or stands in the part that its
        name begins with, as `block1.residual1` in `block1`."""
        raise NotImplementedError

    @property
    def first(self) -> nn.Conv2d:
        """The convolution that sees the observation."""
        return next(module for module in self.modules() if isinstance(module, nn.Conv2d))

    def forward(self, observations: Tensor) -> Tensor:
        values = observations
        for part in self.children():
            values = part(values)
        return values

    def as_far_as(self, layers: Iterable[str]) -> nn.Module:
        """What computes these layers of the trunk, and nothing that follows the deepest of them."""
        parts = dict(self.named_children())
        wanted = {name.partition(".")[0] for name in layers}
        deepest = max((place for place, name in enumerate(parts) if name in wanted), default=-1)
        return nn.Sequential(*list(parts.values())[: deepest + 1])


class AgentNetwork(nn.Module):
    """A trunk and a head; `forward` gives one number for each action, the head's `output`.

    Every other layer is reached by name through `layers`: the trunk's, then the head's.
    """

    def __init__(self, trunk: AgentTrunk, head: Head, card: ModelCard | None = None) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head
        self.card = card or ModelCard()

    @property
    def architecture(self) -> str:
        """What it is called in reports."""
        return self.trunk.architecture

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height and width of an observation."""
        return self.trunk.shape

    @property
    def actions(self) -> int:
        """How many actions it chooses among."""
        return self.head.actions

    @property
    def layers(self) -> dict[str, nn.Module]:
        """The named layers, from the input to the output."""
        return self.trunk.layers | self.head.layers

    def forward(
        self, observations: Float[Tensor, "batch frames height width"] | Tensor
    ) -> Float[Tensor, "batch actions"]:
        """One number for each action: logits, Q-values or scores.

        observations: oldest frame first; float in 0..1, or uint8 in 0..255.
        """
        return self.head(self.trunk(observations))
