"""Memories: LSTM, GRU and plain recurrent layers (Hochreiter and Schmidhuber, 1997; Cho et al.,
2014, arXiv:1406.1078) between a trunk and a head, one step at a time."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from atari_zoo.converters.network.stateful import StatePart

KINDS: dict[str, type[nn.LSTM] | type[nn.GRU] | type[nn.RNN]] = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "rnn": nn.RNN,
}
GATES = {4: "lstm", 3: "gru", 1: "rnn"}  # what has so many rows of weights for a unit


class RecurrentLayers(nn.Module):
    """Recurrent layers, one over the other; a head reads the last one's hidden state.

    kind: "lstm", "gru" or "rnn" (tanh). rnn: torch's own module.
    prefix: before the names of its states, where there is another memory.

    `output` is the module whose value is what the head reads.
    """

    def __init__(
        self, kind: str, inputs: int, units: int, layers: int = 1, prefix: str = ""
    ) -> None:
        super().__init__()
        self.kind, self.features = kind, units
        self.rnn = KINDS[kind](inputs, units, layers)
        self.output = nn.Identity()
        names = ("hidden", "cell") if kind == "lstm" else ("hidden",)
        self.states = tuple(StatePart(prefix + name, (layers, units)) for name in names)

    @property
    def size(self) -> int:
        """How many numbers its state has."""
        return sum(part.size for part in self.states)

    def forward(
        self, features: Float[Tensor, "batch features"], state: Float[Tensor, "batch numbers"]
    ) -> tuple[Float[Tensor, "batch units"], Float[Tensor, "batch numbers"]]:
        """What a head reads, and the state of the next step."""
        parts = [
            rows.reshape(len(features), *part.shape).transpose(0, 1).contiguous()
            for rows, part in zip(
                state.split([part.size for part in self.states], dim=1), self.states, strict=True
            )
        ]
        given = tuple(parts) if self.kind == "lstm" else parts[0]
        made, last = self.rnn(features[None], given)
        following = last if isinstance(last, tuple) else (last,)
        rows = [part.transpose(0, 1).flatten(1) for part in following]
        return self.output(made[0]), torch.cat(rows, dim=1)


class Critic(nn.Module):
    """A value that does not read what the policy reads: with a memory of its own, or with none, as
    RecurrentPPO of sb3-contrib has it.

    between: what stands between the trunk and the value; a plain linear layer where it has no
        memory.
    """

    def __init__(self, between: RecurrentLayers | nn.Linear) -> None:
        super().__init__()
        self.between = between
        units = between.features if isinstance(between, RecurrentLayers) else between.out_features
        self.value = nn.Linear(units, 1)

    @property
    def states(self) -> tuple[StatePart, ...]:
        """Those of its memory."""
        return self.between.states if isinstance(self.between, RecurrentLayers) else ()

    @property
    def layers(self) -> dict[str, nn.Module]:
        """Its named layers."""
        if isinstance(self.between, RecurrentLayers):
            return {"critic_memory": self.between.output, "value": self.value}
        return {"critic_fc": self.between, "value": self.value}

    def forward(self, features: Tensor, state: Tensor) -> Tensor:
        """The state of the next step; the value is a layer, for who looks at it."""
        if not isinstance(self.between, RecurrentLayers):
            self.value(self.between(features))
            return state
        read, following = self.between(features, state)
        self.value(read)
        return following
