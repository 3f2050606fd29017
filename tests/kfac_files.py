"""Files of pytorch-a2c-ppo-acktr-gail's ACKTR: its optimizer splits biases off, and is pickled.

As in the repository's algo/kfac.py, with its attributes' names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch_zoo_files import ACKTR, acktr_model, as_if_in


class AddBias(nn.Module):
    """kfac.py's: the bias is a column."""

    def __init__(self, bias: Tensor) -> None:
        super().__init__()
        self._bias = nn.Parameter(bias.unsqueeze(1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self._bias.t().view(1, -1, *[1] * (x.dim() - 2))


class SplitBias(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self.add_bias = module, AddBias(module.get_parameter("bias").data)
        self.module.bias = None

    def forward(self, x: Tensor) -> Tensor:
        return self.add_bias(self.module(x))


class KFACOptimizer(torch.optim.Optimizer):
    """Its methods hang on every layer as hooks, so that a module pickles all of it."""

    def __init__(self, model: nn.Module) -> None:
        split(model)
        super().__init__(model.parameters(), {})
        self.state["step"] = 3
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear | AddBias):
                module.register_forward_pre_hook(self.save_input)

    def save_input(self, module: nn.Module, given: Any) -> None:
        self.state["seen"] = 1


def split(model: nn.Module) -> None:
    for name, child in model.named_children():
        if isinstance(child, nn.Conv2d | nn.Linear):
            setattr(model, name, SplitBias(child))
        else:
            split(child)


def save_kfac(path: Path, legacy: bool = True, **sizes: Any) -> Path:
    """[actor_critic, ob_rms] after training: classes that are nowhere when it is read."""
    model = acktr_model(**sizes)
    KFACOptimizer(model)
    kfac = as_if_in("kfac", AddBias, SplitBias, KFACOptimizer)
    with kfac, as_if_in("a2c_ppo_acktr.model", *ACKTR):
        torch.save([model, None], path, _use_new_zipfile_serialization=not legacy)
    return path
