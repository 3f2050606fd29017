"""State dicts of Tianshou's policies on Atari, its classes written out with the same attributes.

From version 1.1 (policy/modelfree, utils/net, examples/atari/atari_network.py); names were compared
with its own policies'. Each module computes what the policy chooses by.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch_zoo_files import Widths, lively, nature

Sizes = dict[str, Any]


class DQNet(nn.Module):
    """features: the flattened convolutions alone; units: and a dense layer."""

    def __init__(
        self, outputs: int, widths: Widths, units: int, features: bool = False, dense: bool = False
    ) -> None:
        super().__init__()
        layers = nature(widths, units)
        self.net = nn.Sequential(*layers[:7])
        if not features:
            self.net = nn.Sequential(self.net, *layers[7:], nn.Linear(units, outputs))
        elif dense:
            self.net = nn.Sequential(self.net, *layers[7:])

    def forward(self, seen: Tensor) -> Tensor:
        return self.net(seen)


class ScaledInput(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, seen: Tensor) -> Tensor:
        return self.module(seen / 255.0)


class NoisyLinear(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        for name, shape in (("W", (outputs, inputs)), ("bias", (outputs,))):
            self.register_parameter(f"mu_{name}", nn.Parameter(torch.randn(shape) / inputs**0.5))
            self.register_parameter(f"sigma_{name}", nn.Parameter(torch.randn(shape)))
        self.eps_p = nn.Parameter(torch.randn(inputs), requires_grad=False)
        self.eps_q = nn.Parameter(torch.randn(outputs), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.get_parameter("mu_W"), self.get_parameter("mu_bias"))


class RainbowNet(DQNet):
    def __init__(self, actions: int, widths: Widths, units: int, noisy: bool) -> None:
        super().__init__(0, widths, units, features=True)
        make = NoisyLinear if noisy else nn.Linear
        self.actions = actions
        self.Q, self.V = (
            nn.Sequential(make(widths[2] * 49, units), nn.ReLU(), make(units, outputs))
            for outputs in (actions * 51, 51)
        )

    def forward(self, seen: Tensor) -> Tensor:
        x = self.net(seen)
        q, v = self.Q(x).view(-1, self.actions, 51), self.V(x).view(-1, 1, 51)
        return (q - q.mean(1, keepdim=True) + v).softmax(2)


class Last(nn.Module):
    """Tianshou's MLP."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class Headed(nn.Module):
    """Its Actor and its Critic."""

    def __init__(self, preprocess: nn.Module, *layers: nn.Module) -> None:
        super().__init__()
        self.preprocess, self.last = preprocess, Last(*layers)

    def forward(self, seen: Tensor) -> Tensor:
        return self.last(self.preprocess(seen))


class Embedding(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, features), nn.ReLU())


class ImplicitNet(Headed):
    def __init__(self, actions: int, widths: Widths, units: int) -> None:
        features = widths[2] * 49
        layers = (nn.Linear(features, units), nn.ReLU(), nn.Linear(units, actions))
        super().__init__(DQNet(0, widths, units, features=True), *layers)
        self.embed_model = Embedding(features)

    def at(self, seen: Tensor, taus: Tensor) -> Tensor:
        """Quantiles, (batch, actions, taus)."""
        cosines = torch.cos(taus[:, None] * torch.pi * torch.arange(1, 65))
        x = self.preprocess(seen)[:, None] * self.embed_model.net(cosines)
        return self.last(x).transpose(1, 2)


class ValuePolicy(nn.Module):
    """DQNPolicy, and what is made of it."""

    def __init__(self, model: nn.Module, actions: int = 6, **tables: Tensor) -> None:
        super().__init__()
        self.model, self.model_old, self.actions = model, deepcopy(model), actions
        for name, table in tables.items():
            self.register_parameter(name, nn.Parameter(table, requires_grad=False))
        with torch.no_grad():  # otherwise target and network would be the same
            next(self.model_old.parameters()).mul_(2)

    def forward(self, seen: Tensor) -> Tensor:
        x = self.model(seen.float())
        if hasattr(self, "support"):
            if x.ndim == 2:
                x = x.view(-1, len(self.support)).softmax(-1)
                x = x.view(-1, self.actions, len(self.support))
            return (x * self.support).sum(2)
        return x.view(len(x), self.actions, -1).mean(2)


class ActorCritic(nn.Module):
    def __init__(self, actor: nn.Module, critic: nn.Module) -> None:
        super().__init__()
        self.actor, self.critic = actor, critic


class PPOPolicy(nn.Module):
    def __init__(self, actor: nn.Module, critic: nn.Module) -> None:
        super().__init__()
        self.actor, self.critic = actor, critic
        self._actor_critic = ActorCritic(actor, critic)

    def forward(self, seen: Tensor) -> Tensor:
        return self.actor(seen.float())


class SACPolicy(nn.Module):
    def __init__(self, actor: nn.Module, critic: nn.Module) -> None:
        super().__init__()
        self.actor, self.actor_old = actor, deepcopy(actor)
        self.critic, self.critic_old = critic, deepcopy(critic)
        self.critic2, self.critic2_old = deepcopy(critic), deepcopy(critic)

    def forward(self, seen: Tensor) -> Tensor:
        return self.actor(seen.float())


def tianshou_policy(
    kind: str,
    widths: Widths = (32, 64, 64),
    units: int = 512,
    actions: int = 6,
    scaled: bool = False,
    seed: int = 0,
) -> nn.Module:
    """A policy, never trained, of one of KINDS. scaled: of networks that divide by 255."""
    torch.manual_seed(seed)

    def net(outputs: int = 0, **more: bool) -> nn.Module:
        made = DQNet(outputs, widths, units, **more)
        return ScaledInput(made) if scaled else made

    def headed(body: nn.Module, outputs: int) -> nn.Module:
        return Headed(body, nn.Linear(units, outputs))

    support = torch.linspace(-10, 10, 51)
    made: nn.Module
    match kind:
        case "dqn":
            made = ValuePolicy(net(actions), actions)
        case "c51":
            made = ValuePolicy(net(actions * 51), actions, support=support)
        case "qrdqn":
            middles = (torch.arange(30) + 0.5) / 30
            made = ValuePolicy(net(actions * 30), actions, tau_hat=middles.view(1, -1, 1))
        case "rainbow" | "rainbow without noise":
            body = RainbowNet(actions, widths, units, kind == "rainbow")
            made = ValuePolicy(body, actions, support=support)
        case "iqn":
            # a table that it has from QR-DQN, and does not use
            middles = ((torch.arange(200) + 0.5) / 200).view(1, -1, 1)
            made = ValuePolicy(ImplicitNet(actions, widths, units), actions, tau_hat=middles)
        case "ppo":
            shared = net(features=True, dense=True)
            made = PPOPolicy(headed(shared, actions), headed(shared, 1))
        case "ppo of two":
            bodies = [net(features=True, dense=True) for _ in range(2)]
            made = PPOPolicy(headed(bodies[0], actions), headed(bodies[1], 1))
        case _:
            shared = net(features=True, dense=True)
            made = SACPolicy(
                headed(shared, actions), headed(net(features=True, dense=True), actions)
            )
    return lively(made)
