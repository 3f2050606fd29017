"""Networks that diverged while they were trained: their weights are no numbers any more."""

from __future__ import annotations

import torch
from torch import nn


def check_finite(network: nn.Module) -> None:
    """Raises ValueError, with the first such weight's name, if some weight is not finite."""
    for name, weight in network.state_dict().items():
        if weight.is_floating_point() and not torch.isfinite(weight).all():
            card = getattr(network, "card", None)
            whose = card.name if card is not None else "this network"
            raise ValueError(
                f"{whose}: weights in '{name}' are not finite numbers, as of a run that diverged: "
                "nothing can be told of it; take an earlier checkpoint"
            )
