"""Files of torch's world, written by the libraries themselves or by torch.save.

Where a library cannot be installed (CleanRL, atari-agents, pytorch-a2c-ppo-acktr-gail), its
classes are defined here with the same attributes, so that names and pickles are the same.
Every maker takes sizes: small ones make quick files for fuzzing.
"""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn

Widths = tuple[int, int, int]


def nature(widths: Widths = (32, 64, 64), units: int | None = 512, frames: int = 4) -> list[Any]:
    """Conv, ReLU, conv, ReLU, conv, ReLU, flatten and, if there are units, dense, ReLU."""
    first, second, third = widths
    layers: list[Any] = [
        nn.Conv2d(frames, first, 8, 4),
        nn.ReLU(),
        nn.Conv2d(first, second, 4, 2),
        nn.ReLU(),
        nn.Conv2d(second, third, 3),
        nn.ReLU(),
        nn.Flatten(),
    ]
    return layers if units is None else [*layers, nn.Linear(third * 49, units), nn.ReLU()]


def lively(model: nn.Module) -> nn.Module:
    """The model with biases that show when they are lost, and outputs far apart."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("bias", "bias_mu")):
                parameter.uniform_(-0.5, 0.5)
    return model.eval()


# Stable-Baselines3


class Screens(gymnasium.Env):  # type: ignore[type-arg]
    """Observations of Atari's kind, for libraries that want an environment."""

    observation_space: gymnasium.spaces.Box = gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)

    def __init__(
        self,
        actions: int = 6,
        shape: tuple[int, ...] = (4, 84, 84),
        high: float = 255,
        dtype: type = np.uint8,
    ) -> None:
        self.action_space = gymnasium.spaces.Discrete(actions)
        self.observation_space = gymnasium.spaces.Box(0, high, shape, dtype)


def small_cnn() -> Any:
    """NatureCNN of any widths: what the class of that name would be with other numbers in it."""
    from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

    class SmallCNN(BaseFeaturesExtractor):
        def __init__(self, space: Any, features_dim: int, widths: Widths) -> None:
            super().__init__(space, features_dim)
            layers = nature(widths, features_dim)
            self.cnn, self.linear = nn.Sequential(*layers[:7]), nn.Sequential(*layers[7:])

        def forward(self, seen: Tensor) -> Tensor:
            return self.linear(self.cnn(seen))

    SmallCNN.__module__ = "stable_baselines3.common.torch_layers"
    SmallCNN.__qualname__ = SmallCNN.__name__ = "NatureCNN"
    return SmallCNN


def sb3_model(
    algorithm: str = "A2C",
    widths: Widths = (32, 64, 64),
    units: int = 512,
    actions: int = 6,
    seed: int = 0,
    env: Screens | None = None,
    **policy: Any,
) -> Any:
    """A model of A2C, PPO, DQN or QRDQN, never trained."""
    import sb3_contrib
    import stable_baselines3

    torch.manual_seed(seed)
    make = getattr(stable_baselines3, algorithm, None) or getattr(sb3_contrib, algorithm)
    options = {"buffer_size": 1} if algorithm in ("DQN", "QRDQN") else {}
    policy.setdefault("features_extractor_kwargs", {"features_dim": units})
    if widths != (32, 64, 64):
        policy |= {"features_extractor_class": small_cnn(), "net_arch": []}
        policy["features_extractor_kwargs"] = {"features_dim": units, "widths": widths}
    env = env or Screens(actions)
    model = make("CnnPolicy", env, device="cpu", seed=seed, policy_kwargs=policy, **options)
    lively(model.policy)
    if algorithm in ("DQN", "QRDQN"):  # otherwise target and network would be the same
        net = model.policy.q_net_target if algorithm == "DQN" else model.policy.quantile_net_target
        with torch.no_grad():
            next(net.parameters()).mul_(2)
    return model


def save_sb3(path: Path, algorithm: str = "A2C", **sizes: Any) -> Path:
    """A zip of `model.save`."""
    sb3_model(algorithm, **sizes).save(path)
    return path


# CleanRL


class QNetwork(nn.Module):
    """dqn_atari.py, and c51_atari.py where there are atoms."""

    def __init__(
        self,
        widths: Widths = (32, 64, 64),
        units: int = 512,
        actions: int = 6,
        atoms: int | None = None,
        lowest: float = -10,
        highest: float = 10,
    ) -> None:
        super().__init__()
        self.n = actions
        if atoms:
            self.register_buffer("atoms", torch.linspace(lowest, highest, steps=atoms))
        self.network = nn.Sequential(
            *nature(widths, units), nn.Linear(units, actions * (atoms or 1))
        )

    def forward(self, seen: Tensor) -> Tensor:
        outputs = self.network(seen / 255.0)
        if not hasattr(self, "atoms"):
            return outputs
        probabilities = torch.softmax(outputs.view(len(seen), self.n, len(self.atoms)), dim=2)
        return (probabilities * self.atoms).sum(2)


class Agent(nn.Module):
    """ppo_atari.py, and ppo_atari_lstm.py where it has a memory."""

    def __init__(
        self,
        widths: Widths = (32, 64, 64),
        units: int = 512,
        actions: int = 6,
        memory: int | None = None,
    ) -> None:
        super().__init__()
        self.network = nn.Sequential(*nature(widths, units))
        if memory:
            self.lstm = nn.LSTM(units, memory)
        self.actor = nn.Linear(memory or units, actions)
        self.critic = nn.Linear(memory or units, 1)

    def forward(self, seen: Tensor) -> Tensor:
        return self.actor(self.network(seen / 255.0))


class NoisyLinear(nn.Module):
    """rainbow_atari.py's, in evaluation."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        for name, shape in (("weight", (outputs, inputs)), ("bias", (outputs,))):
            self.register_parameter(f"{name}_mu", nn.Parameter(torch.randn(shape) / inputs**0.5))
            self.register_parameter(f"{name}_sigma", nn.Parameter(torch.randn(shape)))
            self.register_buffer(f"{name}_epsilon", torch.randn(shape))

    def forward(self, seen: Tensor) -> Tensor:
        return nn.functional.linear(seen, self.weight_mu, self.bias_mu)


class Rainbow(nn.Module):
    """rainbow_atari.py's NoisyDuelingDistributionalNetwork."""

    def __init__(
        self,
        widths: Widths = (32, 64, 64),
        units: int = 512,
        actions: int = 6,
        atoms: int = 51,
        lowest: float = -10,
        highest: float = 10,
    ) -> None:
        super().__init__()
        self.sizes = (actions, atoms)
        self.register_buffer("support", torch.linspace(lowest, highest, atoms))
        self.network = nn.Sequential(*nature(widths, None))
        self.value_head, self.advantage_head = (
            nn.Sequential(NoisyLinear(widths[2] * 49, units), nn.ReLU(), NoisyLinear(units, n))
            for n in (atoms, atoms * actions)
        )

    def forward(self, seen: Tensor) -> Tensor:
        features = self.network(seen / 255.0)
        value = self.value_head(features).view(len(seen), 1, self.sizes[1])
        advantage = self.advantage_head(features).view(len(seen), *self.sizes)
        logits = value + advantage - advantage.mean(1, keepdim=True)
        return (logits.softmax(2) * self.support).sum(2)


class Actor(nn.Module):
    """sac_atari.py's."""

    def __init__(self, widths: Widths = (32, 64, 64), units: int = 512, actions: int = 6) -> None:
        super().__init__()
        layers = nature(widths, units)
        self.conv = nn.Sequential(*layers[:5], nn.Flatten())
        self.fc1, self.fc_logits = layers[7], nn.Linear(units, actions)

    def forward(self, seen: Tensor) -> Tensor:
        return self.fc_logits(self.fc1(self.conv(seen / 255.0).relu()).relu())


class Kaixhin(nn.Module):
    """Kaixhin's Rainbow, with the canonical architecture."""

    def __init__(self, widths: Widths = (32, 64, 64), units: int = 512, actions: int = 6) -> None:
        super().__init__()
        self.actions = actions
        self.convs = nn.Sequential(*nature(widths, None)[:6])
        self.fc_h_v, self.fc_h_a = (NoisyLinear(widths[2] * 49, units) for _ in range(2))
        self.fc_z_v, self.fc_z_a = NoisyLinear(units, 51), NoisyLinear(units, actions * 51)

    def forward(self, seen: Tensor) -> Tensor:
        x = self.convs(seen / 255.0).flatten(1)
        value = self.fc_z_v(self.fc_h_v(x).relu()).view(-1, 1, 51)
        advantage = self.fc_z_a(self.fc_h_a(x).relu()).view(-1, self.actions, 51)
        logits = value + advantage - advantage.mean(1, keepdim=True)
        return (logits.softmax(2) * torch.linspace(-10, 10, 51)).sum(2)


CLEANRL = {
    "dqn": QNetwork,
    "c51": lambda **sizes: QNetwork(atoms=51, **sizes),
    "c51 of other atoms": lambda **sizes: QNetwork(atoms=21, lowest=-3, highest=8, **sizes),
    "ppo": Agent,
    "rainbow": Rainbow,
    "sac": Actor,
    "kaixhin": Kaixhin,
}


def cleanrl_model(kind: str, seed: int = 0, **sizes: Any) -> nn.Module:
    torch.manual_seed(seed)
    return lively(CLEANRL[kind](**sizes))


def save_cleanrl(path: Path, kind: str = "dqn", arguments: Any = None, **sizes: Any) -> Path:
    """A `.cleanrl_model`; C51 and Rainbow have their arguments beside the weights."""
    weights: Any = cleanrl_model(kind, **sizes).state_dict()
    torch.save({"model_weights": weights, "args": arguments} if arguments else weights, path)
    return path


# atari-agents


class AtariNet(nn.Module):
    """play.py's, with a support where it is distributional."""

    def __init__(
        self,
        widths: Widths = (32, 64, 64),
        units: int = 512,
        actions: int = 6,
        distributional: bool = False,
    ) -> None:
        super().__init__()
        self.actions, outputs = actions, actions
        if distributional:
            self.__support = nn.Parameter(torch.linspace(-10, 10, 51), requires_grad=False)
            outputs = actions * 51
        self.__features = nn.Sequential(*nature(widths, None)[:6])
        layers = nature(widths, units)
        self.__head = nn.Sequential(layers[7], nn.ReLU(), nn.Linear(units, outputs))

    def forward(self, seen: Tensor) -> Tensor:
        outputs = self.__head(self.__features(seen.float().div(255)).flatten(1))
        if not hasattr(self, "_AtariNet__support"):
            return outputs
        logits = outputs.view(len(seen), self.actions, 51)
        return (logits.softmax(2) * self.__support).sum(2)


def atari_agents_model(distributional: bool = False, seed: int = 0, **sizes: Any) -> nn.Module:
    torch.manual_seed(seed)
    return lively(AtariNet(distributional=distributional, **sizes))


def save_atari_agents(
    path: Path, distributional: bool = False, legacy: bool = False, **sizes: Any
) -> Path:
    """A gzipped torch file, with the optimizer's state beside the weights."""
    model = atari_agents_model(distributional, **sizes)
    optimizer = torch.optim.Adam(p for p in model.parameters() if p.requires_grad)
    sum(p.sum() for p in model.parameters()).backward()
    optimizer.step()
    model = atari_agents_model(distributional, **sizes)
    content = {
        "estimator_state": model.state_dict(),
        "optim_state": optimizer.state_dict(),
        "step": 50_000_000,
    }
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(file.getvalue(), compresslevel=1))
    return path


# pytorch-a2c-ppo-acktr-gail, which saves its modules whole


class Flatten(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.view(x.size(0), -1)


class CNNBase(nn.Module):
    def __init__(self, widths: Widths, units: int) -> None:
        super().__init__()
        layers = nature(widths, units)
        self.main = nn.Sequential(*layers[:6], Flatten(), *layers[7:])
        self.critic_linear = nn.Linear(units, 1)


class Categorical(nn.Module):
    def __init__(self, units: int, actions: int) -> None:
        super().__init__()
        self.linear = nn.Linear(units, actions)


class Policy(nn.Module):
    def __init__(self, widths: Widths = (32, 64, 64), units: int = 512, actions: int = 6) -> None:
        super().__init__()
        self.base = CNNBase(widths, units)
        self.dist = Categorical(units, actions)

    def forward(self, seen: Tensor) -> Tensor:
        return self.dist.linear(self.base.main(seen / 255.0))


class RunningMeanStd:
    """What stands beside the policy: the statistics of its observations."""

    def __init__(self) -> None:
        self.mean, self.var, self.count = np.zeros(3), np.ones(3), 1e-4


ACKTR = (Flatten, CNNBase, Categorical, Policy, RunningMeanStd)


def acktr_model(seed: int = 0, **sizes: Any) -> Policy:
    torch.manual_seed(seed)
    return lively(Policy(**sizes))  # type: ignore[return-value]


def save_acktr(path: Path, legacy: bool = True, statistics: bool = True, **sizes: Any) -> Path:
    """[actor_critic, ob_rms]: classes of a module that is not there when the file is read."""
    model = acktr_model(**sizes)
    with as_if_in("a2c_ppo_acktr.model", *ACKTR):
        content = [model, RunningMeanStd() if statistics else None]
        torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


@contextmanager
def as_if_in(name: str, *classes: type) -> Iterator[None]:
    """Classes pickle as if they stood in a module of that name, which is nowhere afterwards."""
    module = ModuleType(name)
    here = classes[0].__module__
    module.__file__ = sys.modules[here].__file__  # the old format stores the classes' source
    for each in classes:
        each.__module__ = name
        setattr(module, each.__name__, each)
    packages = {name.split(".")[0]: ModuleType("package"), name: module}
    sys.modules |= packages
    try:
        yield
    finally:
        for each in classes:
            each.__module__ = here
        for package in packages:
            del sys.modules[package]
