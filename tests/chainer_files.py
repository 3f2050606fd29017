"""ChainerRL's links, written out as torch modules that compute the same, and saved as Chainer does.

Chainer itself no longer installs. From chainerrl 0.8: links/{dqn_head,mlp,noisy_linear}.py,
q_functions/dueling_dqn.py; and chainer's serializers, whose keys are the paths of a link's arrays.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor, nn
from torch_zoo_files import Widths, lively, nature


class Head(nn.Sequential):
    """NatureDQNHead, a ChainList of four layers."""

    def __init__(self, widths: Widths, units: int) -> None:
        layers = nature(widths, units)
        super().__init__(*(layers[i] for i in (0, 2, 4, 7)))

    def forward(self, x: Tensor) -> Tensor:
        *convolutions, dense = self
        for layer in convolutions:
            x = layer(x).relu()
        return dense(x.flatten(1)).relu()


class Streams(nn.Module):
    """DuelingDQN."""

    def __init__(self, actions: int, widths: Widths, units: int) -> None:
        super().__init__()
        layers = nature(widths, None)
        self.conv_layers = nn.ModuleList(layers[i] for i in (0, 2, 4))
        self.a_stream, self.v_stream = (
            nn.ModuleDict(
                {
                    "hidden_layers": nn.ModuleList([nn.Linear(widths[2] * 49, units)]),
                    "output": nn.Linear(units, outputs),
                }
            )
            for outputs in (actions, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.conv_layers:
            x = layer(x).relu()
        a, v = (
            stream["output"](stream["hidden_layers"][0](x.flatten(1)).relu())
            for stream in (self.a_stream, self.v_stream)
        )
        return v + a - a.mean(1, keepdim=True)


class Noisy(nn.Module):
    """FactorizedNoisyLinear, by its means."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.mu, self.sigma = nn.Linear(inputs, outputs), nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.mu(x)


class Distributional(nn.Module):
    """DistributionalDuelingDQN, of which Rainbow's layers are noisy."""

    def __init__(self, actions: int, widths: Widths, units: int, noisy: bool) -> None:
        super().__init__()
        make = Noisy if noisy else nn.Linear
        layers = nature(widths, None)
        self.conv_layers = nn.ModuleList(layers[i] for i in (0, 2, 4))
        self.main_stream = make(widths[2] * 49, 2 * units)
        self.a_stream, self.v_stream = make(units, actions * 51), make(units, 51)
        self.register_buffer("z_values", torch.linspace(-10, 10, 51))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.conv_layers:
            x = layer(x).relu()
        a, v = self.main_stream(x.flatten(1)).relu().chunk(2, 1)
        a = self.a_stream(a).view(len(x), -1, 51)
        logits = self.v_stream(v).view(len(x), 1, 51) + a - a.mean(1, keepdim=True)
        return (logits.softmax(2) * self.get_buffer("z_values")).sum(2)


class ActorCritic(nn.Module):
    """A3C's: a head, and linear functions of it."""

    def __init__(self, actions: int, widths: Widths, units: int) -> None:
        super().__init__()
        self.head = Head(widths, units)
        self.pi = nn.ModuleDict({"model": nn.ModuleDict({"output": nn.Linear(units, actions)})})
        self.v = nn.ModuleDict({"model": nn.ModuleDict({"output": nn.Linear(units, 1)})})

    def forward(self, x: Tensor) -> Tensor:
        return self.pi["model"]["output"](self.head(x))


def chainer_link(
    kind: str = "dqn", widths: Widths = (32, 64, 64), units: int = 512, actions: int = 6
) -> nn.Module:
    torch.manual_seed(0)
    made: nn.Module
    match kind:
        case "dqn":  # links.Sequence(NatureDQNHead(), L.Linear(...))
            made = nn.Sequential(Head(widths, units), nn.Linear(units, actions))
        case "dueling":
            made = Streams(actions, widths, units)
        case "a3c":
            made = ActorCritic(actions, widths, units)
        case _:
            made = Distributional(actions, widths, units, kind == "rainbow")
    return lively(made)


def chainer_arrays(link: nn.Module) -> dict[str, np.ndarray]:
    """By the paths that Chainer's serializers give them."""
    ends = {"weight": "W", "bias": "b"}
    found = {}
    for name, tensor in link.state_dict().items():
        *links, last = name.split(".")
        found["/".join([*links, ends.get(last, last)])] = tensor.numpy()
    return found


def save_chainer(path: Path, kind: str = "dqn", prefix: str = "", **sizes: Any) -> Path:
    arrays = {f"{prefix}{k}": v for k, v in chainer_arrays(chainer_link(kind, **sizes)).items()}
    if path.suffix == ".npz":
        np.savez_compressed(path, **arrays)
        return path
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, compression=4 if array.ndim else None)
    return path
