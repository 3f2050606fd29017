"""IMPALA's residual network as torch scripts have it, written out: what readers are compared with.

Modules and names are torchbeast's (polybeast_learner.py) and CleanRL's (ppo_procgen.py and
qdagger_dqn_atari_impalacnn.py); sizes can be chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS, UNITS, ACTIONS = (4, 6, 5), 24, 6


def lively(module: nn.Module, seed: int = 0) -> nn.Module:
    """With random weights large enough that each layer matters, and biases that show."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            scale = 0.3 if name.endswith("bias") else 2 * parameter[0].numel() ** -0.5
            parameter.copy_((torch.rand(parameter.shape, generator=generator) * 2 - 1) * scale)
    return module.eval()


def places(side: int, parts: int) -> int:
    """Of the last map: each part's pool halves the map, rounded up."""
    for _ in range(parts):
        side = (side + 1) // 2
    return side**2


class TorchBeast(nn.Module):
    """polybeast's Net without its core. reward: whether the heads read the last one, too."""

    def __init__(
        self, widths: Sequence[int] = WIDTHS, side: int = 84, frames: int = 4, beside: int = 1
    ) -> None:
        super().__init__()
        first, residuals, inputs = [], ([], []), frames
        for width in widths:
            conv = nn.Conv2d(inputs, width, 3, padding=1)
            first.append(nn.Sequential(conv, nn.MaxPool2d(3, 2, 1)))
            for block in residuals:
                convs = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
                block.append(nn.Sequential(nn.ReLU(), next(convs), nn.ReLU(), next(convs)))
            inputs = width
        self.feat_convs = nn.ModuleList(first)
        self.resnet1, self.resnet2 = map(nn.ModuleList, residuals)
        self.fc = nn.Linear(widths[-1] * places(side, len(widths)), UNITS)
        self.policy = nn.Linear(UNITS + beside, ACTIONS)
        self.baseline = nn.Linear(UNITS + beside, 1)
        self.beside = beside

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        x = seen.float() / 255
        for first, one, two in zip(self.feat_convs, self.resnet1, self.resnet2, strict=True):
            x = first(x)
            x = x + one(x)
            x = x + two(x)
        x = F.relu(self.fc(F.relu(x).flatten(1)))
        x = torch.cat([x, x.new_zeros(len(x), self.beside)], dim=1)
        return self.policy(x), self.baseline(x)


class CleanRLBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(width, width, 3, padding=1)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv1(F.relu(self.conv0(F.relu(x)))) + x


class CleanRLSequence(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, width, 3, padding=1)
        self.res_block0, self.res_block1 = CleanRLBlock(width), CleanRLBlock(width)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.conv(x), 3, 2, 1)
        return self.res_block1(self.res_block0(x))


def cleanrl_parts(widths: Sequence[int], frames: int, side: int) -> list[nn.Module]:
    """The parts, Flatten, ReLU and the dense layer."""
    inputs = (frames, *widths[:-1])
    parts: list[nn.Module] = [CleanRLSequence(*each) for each in zip(inputs, widths, strict=True)]
    features = widths[-1] * places(side, len(widths))
    return [*parts, nn.Flatten(), nn.ReLU(), nn.Linear(features, UNITS), nn.ReLU()]


class CleanRLAgent(nn.Module):
    """ppo_procgen.py's; with `auxiliary`, ppg_procgen.py's."""

    def __init__(
        self,
        widths: Sequence[int] = WIDTHS,
        frames: int = 4,
        side: int = 84,
        auxiliary: bool = False,
    ) -> None:
        super().__init__()
        self.network = nn.Sequential(*cleanrl_parts(widths, frames, side))
        self.actor, self.critic = nn.Linear(UNITS, ACTIONS), nn.Linear(UNITS, 1)
        if auxiliary:
            self.aux_critic = nn.Linear(UNITS, 1)

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        features = self.network(seen.float() / 255)
        return self.actor(features), self.critic(features)


class CleanRLQNetwork(nn.Module):
    """qdagger_dqn_atari_impalacnn.py's."""

    def __init__(self, widths: Sequence[int] = WIDTHS, frames: int = 4, side: int = 84) -> None:
        super().__init__()
        output = nn.Linear(UNITS, ACTIONS)
        self.network = nn.Sequential(*cleanrl_parts(widths, frames, side), output)

    def forward(self, seen: Tensor) -> tuple[Tensor]:
        return (self.network(seen.float() / 255),)
