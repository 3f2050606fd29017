"""Recurrent agents as libraries have them, and recurrent networks of the zoo's own."""

from __future__ import annotations

import io
import warnings
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from torch_zoo_files import lively, nature

from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.network.heads import ActorCriticHead, DuelingHead, Head, PolicyHead, QHead
from atari_zoo.converters.network.memories import Critic, RecurrentLayers
from atari_zoo.converters.network.networks import Trunk, mnih_convolutions
from atari_zoo.converters.network.recurrent import RecurrentNetwork
from atari_zoo.games import game as find_game

UNITS = 24
States = tuple[Tensor, ...]


def recurrent_network(
    kind: str = "lstm",
    layers: int = 1,
    head: type[Head] = ActorCriticHead,
    told: tuple[str, ...] = (),
    critic: bool = False,
    dense: int | None = 32,
    game: str = "Pong",
    **sizes: Any,
) -> RecurrentNetwork:
    """A small one of random weights, which remembers what it sees."""
    torch.manual_seed(0)
    trunk, actions = Trunk(mnih_convolutions((8, 8, 8)), dense), len(find_game(game).actions)
    beside = {"reward": 1, "action": actions}
    inputs = trunk.features + sum(beside[name] for name in told)
    memory = RecurrentLayers(kind, inputs, UNITS, layers)
    apart = (
        Critic(RecurrentLayers(kind, trunk.features, UNITS, layers, "critic_")) if critic else None
    )
    made = PolicyHead(UNITS, actions) if critic else head(UNITS, actions, **sizes)
    network = RecurrentNetwork(trunk, memory, made, apart, told, ModelCard("ppo", game))
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.orthogonal_(module.weight, 2**0.5)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "rnn" in name:
                parameter.mul_(3)  # so that what was seen before shows
    lively(network)
    algorithm = "dqn" if head in (QHead, DuelingHead) else "ppo"
    network.card = network.card.replace(algorithm=algorithm, action_rule="argmax")
    return network


class WithMemory(nn.Module):
    """A convolutional agent with torch's LSTM or GRU, its states given and taken as torch has
    them, (layers, batch, units)."""

    def __init__(self, kind: str = "LSTM", layers: int = 1, frames: int = 4) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.body = nn.Sequential(
            nn.Conv2d(frames, 8, 8, 4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(800, 40), nn.Tanh(),
        )  # fmt: skip
        self.core = getattr(nn, kind)(40, UNITS, layers)
        self.policy, self.value = nn.Linear(UNITS, 6), nn.Linear(UNITS, 1)
        with torch.no_grad():
            for parameter in self.core.parameters():
                parameter.mul_(3)
        lively(self)

    def forward(self, seen: Tensor, *states: Tensor) -> States:
        given = states if isinstance(self.core, nn.LSTM) else states[0]
        out, last = self.core(self.body(seen)[None], given)
        following = last if isinstance(last, tuple) else (last,)
        return (self.policy(out[0]), self.value(out[0]), *following)

    def zeros(self, batch: int) -> States:
        one = torch.zeros(self.core.num_layers, batch, UNITS)
        return (one, one.clone()) if isinstance(self.core, nn.LSTM) else (one,)


class WithCell(WithMemory):
    """The same with a cell, which exporters write out; states are (batch, units)."""

    def __init__(self, kind: str = "LSTMCell") -> None:
        super().__init__(kind.removesuffix("Cell"))
        cell = getattr(nn, kind)(40, UNITS)
        cell.load_state_dict({n.removesuffix("_l0"): p for n, p in self.core.state_dict().items()})
        self.core = cell

    def forward(self, seen: Tensor, *states: Tensor) -> States:
        given = states if isinstance(self.core, nn.LSTMCell) else states[0]
        last = self.core(self.body(seen), given)
        following = last if isinstance(last, tuple) else (last,)
        return (self.policy(following[0]), self.value(following[0]), *following)

    def zeros(self, batch: int) -> States:
        one = torch.zeros(batch, UNITS)
        return (one, one.clone()) if isinstance(self.core, nn.LSTMCell) else (one,)


def exported(
    module: nn.Module,
    *given: Tensor,
    dynamo: bool = False,
    names: tuple[list[str], list[str]] = ([], []),
    fixed: bool = False,
) -> onnx.ModelProto:
    """As torch's exporters write it; the batch is open unless `fixed`."""
    file = io.BytesIO()
    axes = [1 if x.ndim == 3 else 0 for x in given]
    inputs = names[0] or ["seen", "h", "c"][: len(given)]
    how: dict[str, Any] = {"dynamo": dynamo, "input_names": inputs}
    if names[1]:
        how["output_names"] = names[1]
    if not fixed and dynamo:
        dims = [{axis: torch.export.Dim.DYNAMIC} for axis in axes]
        # of *states the exporter wants one entry
        how["dynamic_shapes"] = (dims[0], tuple(dims[1:])) if dims[1:] else tuple(dims)
    elif not fixed:
        how["dynamic_axes"] = {n: {a: "n"} for n, a in zip(inputs, axes, strict=True)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), given, file, **how)
    return onnx.load_from_string(file.getvalue())


class CleanRL(nn.Module):
    """ppo_atari_lstm.py's agent."""

    def __init__(self, units: int = 128) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.network = nn.Sequential(*nature((32, 64, 64), 512, frames=1))
        self.lstm = nn.LSTM(512, units)
        self.actor, self.critic = nn.Linear(units, 6), nn.Linear(units, 1)
        lively(self)

    def step(self, seen: Tensor, states: States, done: Tensor) -> tuple[Tensor, Tensor, States]:
        kept = tuple((1 - done.float()).view(1, -1, 1) * state for state in states)
        out, last = self.lstm(self.network(seen / 255.0)[None], kept)
        return self.actor(out[0]), self.critic(out[0]), last

    def zeros(self, batch: int) -> States:
        one = torch.zeros(1, batch, self.lstm.hidden_size)
        return one, one


class AtariNet(nn.Module):
    """torchbeast's (monobeast.py), which is told the last reward and action."""

    def __init__(self, actions: int = 6, use_lstm: bool = True) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.actions, self.use_lstm = actions, use_lstm
        self.conv1, self.conv2 = nn.Conv2d(4, 32, 8, 4), nn.Conv2d(32, 64, 4, 2)
        self.conv3, self.fc = nn.Conv2d(64, 64, 3, 1), nn.Linear(3136, 512)
        size = 512 + actions + 1
        if use_lstm:
            self.core = nn.LSTM(size, size, 2)
        self.policy, self.baseline = nn.Linear(size, actions), nn.Linear(size, 1)
        lively(self)

    def step(
        self, seen: Tensor, states: States, done: Tensor, reward: Tensor, action: Tensor
    ) -> tuple[Tensor, Tensor, States]:
        x = seen.float() / 255.0
        for layer in (self.conv1, self.conv2, self.conv3):
            x = torch.relu(layer(x))
        x = torch.relu(self.fc(x.flatten(1)))
        told = reward.clamp(-1, 1).view(-1, 1).float()
        x = torch.cat([x, told, nn.functional.one_hot(action, self.actions).float()], dim=-1)
        if self.use_lstm:
            kept = tuple((~done).float().view(1, -1, 1) * state for state in states)
            out, states = self.core(x[None], kept)
            x = out[0]
        return self.policy(x), self.baseline(x), states

    def zeros(self, batch: int) -> States:
        if not self.use_lstm:
            return ()
        one = torch.zeros(2, batch, self.core.hidden_size)
        return one, one


class Kostrikov(nn.Module):
    """pytorch-a2c-ppo-acktr-gail's policy with --recurrent-policy."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.base = nn.Module()
        self.base.main = nn.Sequential(*nature((32, 64, 32), 512))
        self.base.gru, self.base.critic_linear = nn.GRU(512, 512), nn.Linear(512, 1)
        self.dist = nn.Module()
        self.dist.linear = nn.Linear(512, 6)
        lively(self)

    def step(self, seen: Tensor, states: States, done: Tensor) -> tuple[Tensor, Tensor, States]:
        kept = states[0] * (1 - done.float()).view(-1, 1)
        out, last = self.base.gru(self.base.main(seen / 255.0)[None], kept[None])
        return self.dist.linear(out[0]), self.base.critic_linear(out[0]), (last[0],)

    def zeros(self, batch: int) -> States:
        return (torch.zeros(batch, 512),)


class BabyA3C(nn.Module):
    """baby-a3c's policy; `kind` and names as its versions have them."""

    def __init__(self, kind: str = "LSTMCell") -> None:
        super().__init__()
        torch.manual_seed(6)
        for number in range(1, 5):
            conv = nn.Conv2d(1 if number == 1 else 32, 32, 3, stride=2, padding=1)
            self.add_module(f"conv{number}", conv)
        if kind == "LSTMCell":
            self.lstm = nn.LSTMCell(800, 256)
            self.val_func, self.pol_func = nn.Linear(256, 1), nn.Linear(256, 6)
        else:
            self.gru = nn.GRUCell(800, 256)
            self.critic_linear, self.actor_linear = nn.Linear(256, 1), nn.Linear(256, 6)
        lively(self)

    def step(self, seen: Tensor, states: States, done: Tensor) -> tuple[Tensor, Tensor, States]:
        x = seen / 255.0
        for number in range(1, 5):
            x = nn.functional.elu(self.get_submodule(f"conv{number}")(x))
        kept = tuple((1 - done.float()).view(-1, 1) * state for state in states)
        if hasattr(self, "lstm"):
            states = self.lstm(x.view(-1, 800), kept)
            return self.pol_func(states[0]), self.val_func(states[0]), states
        states = (self.gru(x.view(-1, 800), kept[0]),)
        return self.actor_linear(states[0]), self.critic_linear(states[0]), states

    def zeros(self, batch: int) -> States:
        return (torch.zeros(batch, 256),) * (2 if hasattr(self, "lstm") else 1)


class DeepNet(nn.Module):
    """torchbeast's deep network (polybeast_learner.py), told the last reward."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(7)
        convs, first, second, before = [], [], [], 4
        for width in (16, 32, 32):
            convs.append(nn.Sequential(nn.Conv2d(before, width, 3, 1, 1), nn.MaxPool2d(3, 2, 1)))
            for blocks in (first, second):
                blocks.append(
                    nn.Sequential(
                        nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1),
                        nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1),
                    )
                )  # fmt: skip
            before = width
        self.feat_convs, self.resnet1 = nn.ModuleList(convs), nn.ModuleList(first)
        self.resnet2, self.fc = nn.ModuleList(second), nn.Linear(3872, 256)
        self.core = nn.LSTM(257, 256, num_layers=1)
        self.policy, self.baseline = nn.Linear(256, 6), nn.Linear(256, 1)
        lively(self)

    def step(
        self, seen: Tensor, states: States, done: Tensor, reward: Tensor, action: Tensor
    ) -> tuple[Tensor, Tensor, States]:
        x = seen.float() / 255.0
        for conv, one, two in zip(self.feat_convs, self.resnet1, self.resnet2, strict=True):
            x = conv(x)
            x = one(x) + x
            x = two(x) + x
        x = torch.relu(self.fc(torch.relu(x).flatten(1)))
        x = torch.cat([x, reward.clamp(-1, 1).view(-1, 1).float()], dim=-1)
        kept = tuple((~done).float().view(1, -1, 1) * state for state in states)
        out, states = self.core(x[None], kept)
        return self.policy(out[0]), self.baseline(out[0]), states

    def zeros(self, batch: int) -> States:
        one = torch.zeros(1, batch, 256)
        return one, one
