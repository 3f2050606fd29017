"""Sample Factory's checkpoints of Atari agents, its classes written out with the same attributes.

From version 2.1.1: model/{encoder,decoder,actor_critic}.py, utils/normalize.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch_zoo_files import lively

CONVOLUTIONS = {
    "convnet_atari": ((32, 8, 4), (64, 4, 2), (64, 3, 1)),
    "convnet_simple": ((32, 8, 4), (64, 4, 2), (128, 3, 2)),
    "convnet_impala": ((16, 8, 4), (32, 4, 2)),
}


class Statistics(nn.Module):
    """RunningMeanStdInPlace, evaluated."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.rand(shape, dtype=torch.float64))
        self.register_buffer("running_var", torch.rand(shape, dtype=torch.float64) / 50)
        self.register_buffer("count", torch.ones([1], dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = self.get_buffer("running_mean"), self.get_buffer("running_var")
        return ((x - mean.float()) / torch.sqrt(variance.float() + 1e-5)).clamp(-5, 5)


class StatisticsOfKeys(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.running_mean_std = nn.ModuleDict({"obs": Statistics((4, 84, 84))})


class Normalizer(nn.Module):
    def __init__(self, scale: float, normalized: bool, subtracted: float) -> None:
        super().__init__()
        self.scale, self.subtracted = scale, subtracted
        self.running_mean_std = StatisticsOfKeys() if normalized else None

    def forward(self, x: Tensor) -> Tensor:
        x = (x - self.subtracted) / self.scale
        if self.running_mean_std is None:
            return x
        return self.running_mean_std.running_mean_std["obs"](x)


class ResBlock(nn.Module):
    def __init__(self, width: int, activation: nn.Module) -> None:
        super().__init__()
        parts = [activation, nn.Conv2d(width, width, 3, padding=1)] * 2
        parts[3] = nn.Conv2d(width, width, 3, padding=1)
        self.res_block_core = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        return self.res_block_core(x) + x


class Encoder(nn.Module):
    """ConvEncoderImpl, or ResnetEncoder."""

    def __init__(self, kind: str, units: int, activation: nn.Module, widths: Any) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 4
        if kind == "resnet_impala":
            for width in widths or (16, 32, 32):
                layers += [nn.Conv2d(before, width, 3, padding=1), nn.MaxPool2d(3, 2, 1)]
                layers += [ResBlock(width, activation) for _ in range(2)]
                before = width
            layers.append(activation)
        else:
            for number, (width, kernel, stride) in enumerate(CONVOLUTIONS[kind]):
                width = widths[number] if widths else width
                layers += [nn.Conv2d(before, width, kernel, stride), activation]
                before = width
        self.conv_head = nn.Sequential(*layers)
        size = self.conv_head(torch.zeros(1, 4, 84, 84)).numel()
        self.mlp_layers = nn.Sequential(nn.Linear(size, units), activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp_layers(self.conv_head(x).flatten(1))


class Enc(nn.Module):
    def __init__(self, enc: nn.Module) -> None:
        super().__init__()
        self.enc = enc


class MultiInput(nn.Module):
    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict({"obs": encoder})


class Distribution(nn.Module):
    def __init__(self, units: int, actions: int) -> None:
        super().__init__()
        self.distribution_linear = nn.Linear(units, actions)


class Core(nn.Module):
    """ModelCoreRNN: its state is one row, of a layer after the other, an LSTM's cells behind the
    hidden ones of each."""

    def __init__(self, kind: str, inputs: int, units: int, layers: int) -> None:
        super().__init__()
        self.kind, self.units, self.layers = kind, units, layers
        self.core = {"gru": nn.GRU, "lstm": nn.LSTM}[kind](inputs, units, layers)

    def forward(self, x: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        parts = states.view(len(states), self.layers, -1).permute(1, 0, 2)
        if self.kind == "gru":
            made, parts = self.core(x[None], parts.contiguous())
        else:
            hidden, cell = (part.contiguous() for part in parts.split(self.units, dim=2))
            made, (hidden, cell) = self.core(x[None], (hidden, cell))
            parts = torch.cat((hidden, cell), dim=2)
        return made[0], parts.permute(1, 0, 2).reshape(len(states), -1)

    @property
    def size(self) -> int:
        return self.layers * self.units * (1 if self.kind == "gru" else 2)


class Decoder(nn.Module):
    def __init__(self, units: int, more: tuple[int, ...], activation: nn.Module) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in more:
            layers += [nn.Linear(units, width), activation]
            units = width
        self.mlp = nn.Sequential(*layers)
        self.units = units


class SharedPolicy(nn.Module):
    """ActorCriticSharedWeights."""

    def __init__(
        self,
        kind: str = "convnet_atari",
        widths: Any = None,
        units: int = 512,
        actions: int = 6,
        nonlinearity: str = "relu",
        scale: float = 255.0,
        normalized: bool = True,
        more: tuple[int, ...] = (),
        subtracted: float = 0.0,
        rnn: str = "",
        size: int = 12,
        layers: int = 1,
    ) -> None:
        super().__init__()
        torch.manual_seed(0)
        activation = {"relu": nn.ReLU(), "elu": nn.ELU(), "tanh": nn.Tanh()}[nonlinearity]
        self.obs_normalizer = Normalizer(scale, normalized, subtracted)
        self.returns_normalizer = Statistics((1,))
        encoder: nn.Module = Encoder(kind, units, activation, widths)
        self.encoder = MultiInput(encoder if kind == "resnet_impala" else Enc(encoder))
        self.core = Core(rnn, units, size, layers) if rnn else nn.Module()
        self.decoder = Decoder(size if rnn else units, more, activation)
        self.critic_linear = nn.Linear(self.decoder.units, 1)
        self.action_parameterization = Distribution(self.decoder.units, actions)
        self.settings = {"nonlinearity": nonlinearity, "obs_scale": scale, "use_rnn": bool(rnn)}
        self.settings["obs_subtract_mean"] = subtracted
        lively(self)

    def both(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and value, of bytes."""
        return self.heads(self.encoded(seen))

    def step(self, seen: Tensor, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same with a memory, and its next state."""
        made, states = self.core(self.encoded(seen), states)
        return *self.heads(made), states

    def encoded(self, seen: Tensor) -> Tensor:
        part = self.encoder.encoders["obs"]
        encoder = part.enc if isinstance(part, Enc) else part
        return encoder(self.obs_normalizer(seen.float()))

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.decoder.mlp(x)
        return self.action_parameterization.distribution_linear(x), self.critic_linear(x)


def save_sample_factory(path: Path, config: bool = True, env: str = "", **sizes: Any) -> Path:
    """train_dir/experiment/checkpoint_p0/checkpoint_*.pth, and config.json where there is one."""
    model = SharedPolicy(**sizes)
    path.parent.mkdir(parents=True, exist_ok=True)
    optimizer = torch.optim.Adam(model.parameters())
    content = {
        "train_step": 978,
        "env_steps": 4005888,
        "best_performance": -1e9,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "curr_lr": 1e-4,
    }
    torch.save(content, path)
    if config:
        place = path.parent.parent / "config.json"
        place.write_text(json.dumps(model.settings | ({"env": env} if env else {})))
    return path
