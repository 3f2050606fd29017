"""The heads: what each algorithm puts on top of the features, down to one number per action."""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.activations import RELU, Activation
from atari_zoo.converters.network.relevance import Proportional, Unflatten

MOST_ACTIONS = 18  # that a game of Atari's has


def check_outputs(outputs: int) -> None:
    """Raises ConversionError if so many outputs cannot be a game's actions."""
    if outputs <= MOST_ACTIONS:
        return
    known = {"atoms, as C51 has": 51, "quantiles, as QR-DQN has": 200}
    guesses = [
        f"{outputs // each} actions of {each} {words}"
        for words, each in known.items()
        if outputs % each == 0 and outputs // each <= MOST_ACTIONS
    ]
    guess = f"; they may be {' or '.join(guesses)}, in a file whose names tell so" * bool(guesses)
    raise ConversionError(
        f"{outputs} outputs cannot be actions: a game has at most {MOST_ACTIONS}{guess}"
    )


class Head(nn.Module):
    """Maps features (batch, features) to one number per action (batch, actions).

    Its `layers` are named parts, each a module whose output is the value of that name.
    """

    kind = ""
    features: int
    actions: int

    @property
    def layers(self) -> dict[str, nn.Module]:
        raise NotImplementedError


class Dense(nn.Sequential):
    """A dense layer and its activation function, mostly `relu`: its value leaves that."""

    def __init__(self, inputs: int, units: int, activation: Activation = RELU) -> None:
        linear: OrderedDict[str, nn.Module] = OrderedDict(linear=nn.Linear(inputs, units))
        super().__init__(linear | {activation.kind: activation.module()})
        self.activation = activation


def _dense(features: int, units: int | None, activation: Activation) -> Dense | None:
    return None if units is None else Dense(features, units, activation)


def _streams(head: DuelingHead | CategoricalHead) -> dict[str, nn.Module]:
    streams = {"fc": head.fc, "advantage_fc": head.advantage_fc}
    return {name: stream for name, stream in streams.items() if stream is not None}


class LinearHead(Head):
    """One dense layer from the features to the actions."""

    def __init__(self, features: int, actions: int) -> None:
        super().__init__()
        self.features, self.actions = features, actions
        self.output = nn.Linear(features, actions)

    @property
    def layers(self) -> dict[str, nn.Module]:
        return {"output": self.output}

    def forward(self, features: Tensor) -> Tensor:
        return self.output(features)


class PolicyHead(LinearHead):
    """Scores or logits of a policy without a critic (ES, Deep GA)."""

    kind = "policy"


class QHead(LinearHead):
    """Q-values (DQN)."""

    kind = "q"


class ActorCriticHead(LinearHead):
    """Policy logits, and the state's value beside them (A2C, IMPALA, PPO, ACKTR)."""

    kind = "actor-critic"

    def __init__(self, features: int, actions: int) -> None:
        super().__init__(features, actions)
        self.value = nn.Linear(features, 1)

    @property
    def layers(self) -> dict[str, nn.Module]:
        return {"value": self.value, "output": self.output}

    def both(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (batch, actions) and values (batch,)."""
        return self.output(features), self.value(features).squeeze(-1)

    def forward(self, features: Tensor) -> Tensor:
        logits, _ = self.both(features)  # the value too, so that hooks on it see every state
        return logits


class DuelingSum(Proportional, nn.Module):
    """value + (advantage - its mean over the actions) (Wang et al., 2016, arXiv:1511.06581)."""

    def forward(self, value: Tensor, advantage: Tensor) -> Tensor:
        return value + (advantage - advantage.mean(dim=1, keepdim=True))


class DuelingHead(Head):
    """Value and advantage, summed to Q-values.

    units: width of a dense layer that each stream has of its own (Ape-X), on the flattened
        last convolution; None where both streams read the trunk's dense layer.
    activation: after those dense layers.

    With streams of their own, `fc` names the value stream's layer, as the original zoo has it.
    """

    kind = "dueling"

    def __init__(
        self,
        features: int,
        actions: int,
        units: int | None = None,
        activation: Activation = RELU,
    ) -> None:
        super().__init__()
        self.features, self.actions = features, actions
        self.fc = _dense(features, units, activation)
        self.advantage_fc = _dense(features, units, activation)
        self.value = nn.Linear(units or features, 1)
        self.advantage = nn.Linear(units or features, actions)
        self.output = DuelingSum()

    @property
    def layers(self) -> dict[str, nn.Module]:
        return _streams(self) | {
            "value": self.value,
            "advantage": self.advantage,
            "output": self.output,
        }

    def forward(self, features: Tensor) -> Tensor:
        value = self.value(features if self.fc is None else self.fc(features))
        advantage = self.advantage(
            features if self.advantage_fc is None else self.advantage_fc(features)
        )
        return self.output(value, advantage)


class Expectation(nn.Module):
    """The mean of a categorical distribution over `support`, given logits (..., atoms)."""

    support: Tensor

    def __init__(self, support: Tensor) -> None:
        super().__init__()
        self.register_buffer("support", support)

    def forward(self, logits: Tensor) -> Tensor:
        return (logits.softmax(dim=-1) * self.support).sum(dim=-1)


class CategoricalHead(Head):
    """C51 (Bellemare et al., 2017, arXiv:1707.06887): a distribution over returns per action.

    `atoms` are its logits (batch, actions, atoms); `output` their expected return.
    support: the returns of the atoms; 51 from -10 to 10 if not given.
    dueling: the logits are the sum of a `value` (batch, atoms) and an `advantage`.
    units, activation: as the dueling head has them.
    """

    kind = "categorical"

    def __init__(
        self,
        features: int,
        actions: int,
        support: Tensor | None = None,
        dueling: bool = False,
        units: int | None = None,
        activation: Activation = RELU,
    ) -> None:
        super().__init__()
        support = torch.linspace(-10, 10, 51) if support is None else support
        count = len(support)
        self.features, self.actions, self.dueling = features, actions, dueling
        self.fc = _dense(features, units, activation) if dueling else None
        self.advantage_fc = _dense(features, units, activation) if dueling else None
        table = nn.Sequential(
            nn.Linear(units or features, actions * count), Unflatten(1, (actions, count))
        )
        self.atoms: nn.Module = DuelingSum() if dueling else table
        self.advantage = table if dueling else None
        self.value = (
            nn.Sequential(nn.Linear(units or features, count), Unflatten(1, (1, count)))
            if dueling
            else None
        )
        self.output = Expectation(support)

    @property
    def layers(self) -> dict[str, nn.Module]:
        streams = _streams(self)
        if self.value is not None and self.advantage is not None:
            streams |= {"value": self.value, "advantage": self.advantage}
        return streams | {"atoms": self.atoms, "output": self.output}

    def forward(self, features: Tensor) -> Tensor:
        if self.value is None or self.advantage is None:
            return self.output(self.atoms(features))
        value = self.value(features if self.fc is None else self.fc(features))
        advantage = self.advantage(
            features if self.advantage_fc is None else self.advantage_fc(features)
        )
        return self.output(self.atoms(value, advantage))


class MeanOfLast(Proportional, nn.Module):
    """The mean over the last axis."""

    def forward(self, values: Tensor) -> Tensor:
        return values.mean(dim=-1)


class QuantileHead(Head):
    """QR-DQN (Dabney et al., 2018, arXiv:1710.10044): `quantiles` (batch, actions, quantiles)."""

    kind = "quantile"

    def __init__(self, features: int, actions: int, quantiles: int = 200) -> None:
        super().__init__()
        self.features, self.actions = features, actions
        self.quantiles = nn.Sequential(
            nn.Linear(features, actions * quantiles), Unflatten(1, (actions, quantiles))
        )
        self.output = MeanOfLast()

    @property
    def layers(self) -> dict[str, nn.Module]:
        return {"quantiles": self.quantiles, "output": self.output}

    def forward(self, features: Tensor) -> Tensor:
        return self.output(self.quantiles(features))


class CosineEmbedding(nn.Module):
    """relu(linear(cos(pi i tau))), i = 1..cosines: how IQN turns a quantile into features."""

    taus: Tensor

    def __init__(self, features: int, cosines: int, samples: int) -> None:
        super().__init__()
        # the published agents draw taus at random; midpoints make play repeatable
        self.register_buffer("taus", (torch.arange(samples) + 0.5) / samples)
        self.linear = nn.Linear(cosines, features)
        self.relu = nn.ReLU()

    def angles(self) -> Tensor:
        """pi i tau, (samples, cosines)."""
        order = torch.arange(1, self.linear.in_features + 1, device=self.taus.device)
        return math.pi * self.taus[:, None] * order.to(self.taus.dtype)

    def forward(self) -> Tensor:
        return self.relu(self.linear(self.angles().cos()))  # (samples, features)


class Transpose(nn.Module):
    """Swaps the last two axes."""

    def forward(self, values: Tensor) -> Tensor:
        return values.transpose(-1, -2)


class ImplicitQuantileHead(Head):
    """IQN (Dabney et al., 2018, arXiv:1806.06923), at fixed quantiles.

    Reads the flattened last convolution; `fc` is (batch, samples, units), `quantiles`
    (batch, actions, samples).
    """

    kind = "implicit-quantile"

    def __init__(
        self, features: int, actions: int, units: int = 512, cosines: int = 64, samples: int = 32
    ) -> None:
        super().__init__()
        self.features, self.actions = features, actions
        self.embedding = CosineEmbedding(features, cosines, samples)
        self.fc = Dense(features, units)
        self.quantiles = nn.Sequential(nn.Linear(units, actions), Transpose())
        self.output = MeanOfLast()

    @property
    def layers(self) -> dict[str, nn.Module]:
        return {"fc": self.fc, "quantiles": self.quantiles, "output": self.output}

    def forward(self, features: Tensor) -> Tensor:
        return self.output(self.quantiles(self.fc(features[:, None] * self.embedding())))
