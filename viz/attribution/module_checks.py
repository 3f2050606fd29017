"""Checks that a method is right for a network: some are silently wrong where a ReLU is no module
of its own, since they change what modules do on the way back.

Two things tell. The autograd graph counts what was really computed, to compare with the modules
that ran. And a network whose activation modules are held, each to its value at one observation plus
the change of its input, must be affine: whatever else bends shows then, under any name.
"""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor, nn

from atari_zoo.viz.attribution.autograd_operations import operations as computed
from atari_zoo.viz.attribution.held_modules import HELD, RECTIFIERS, affine
from atari_zoo.viz.attribution.held_modules import calls as called
from atari_zoo.viz.attribution.registry import AttributionMethod, Case
from atari_zoo.viz.attribution.scores import TargetScore

WEIGHTED = (nn.Conv2d, nn.Linear)
MEMORIES = (nn.RNNBase, nn.RNNCellBase)
# autograd's names: of what may be a ReLU, of what else bends, of layers with weights
CUTS = {"Relu", "ClampMin", "Clamp", "Threshold", "Maximum", "Hardtanh", "LeakyRelu"}
CUTS |= {"PreluKernel", "Amax", "Max"}
SMOOTH = {"Softmax", "LogSoftmax", "Exp", "Log", "Tanh", "Sigmoid", "Pow", "Sqrt", "Elu"}
SMOOTH |= {"Softplus", "Logsumexp", "MaxPool2DWithIndices"}  # the last hands its slope on, too
BENDS = SMOOTH - {"MaxPool2DWithIndices"} | {"Amax", "Max", "product of two"}
LAYERS = {"Convolution", "Addmm", "Mm", "Bmm"}
INSTEAD = "or use integrated_gradients"


def check_modules(method: AttributionMethod, case: Case) -> None:
    """Raises ValueError, with the reason, if the method would be wrong on this network."""
    if not method.modules or not len(case.observations):
        return
    sample, score = case.observations[:1], case.score.at(slice(0, 1))
    if method.modules == "relu" and score.function is not None:
        score = TargetScore(case.network, score.layer, function=_ramp)  # the target itself may bend
    with called(score, MEMORIES) as memories:
        computed(score, sample)
    if memories and method.modules != "relu":
        kind = type(next(iter(memories))).__name__
        raise ValueError(
            f"{method.name} would be wrong on this network: its memory ({kind}) bends, and has no "
            f"rule of its own, {INSTEAD}"
        )
    with called(score, HELD + WEIGHTED) as calls:
        operations = computed(score, sample)
    operations["Tanh"] += len(memories)  # of which they are made, in one operation
    reason = REASONS[method.modules](score, sample, operations, calls)
    if reason:
        raise ValueError(f"{method.name} would be wrong on this network: {reason}, {INSTEAD}")


def _relus(
    score: TargetScore, sample: Tensor, operations: Counter[str], calls: Counter[nn.Module]
) -> str:
    """Every ReLU must be a module; other things may bend, their slope is handed on as it is."""
    if reason := _hidden(operations, calls, CUTS, RECTIFIERS, "ReLUs"):
        return reason
    smooth = any(operations[name] for name in SMOOTH)
    return "" if smooth or affine(score, sample) else "something other than its ReLU modules bends"


def _linear(
    score: TargetScore, sample: Tensor, operations: Counter[str], calls: Counter[nn.Module]
) -> str:
    """Nothing may bend but activation modules."""
    if score.function is not None:
        return _bending(operations, score)
    if reason := _hidden(operations, calls, CUTS, RECTIFIERS, "ReLUs"):
        return reason
    return "" if affine(score, sample) else _bending(operations, score)


def _shared_out(
    score: TargetScore, sample: Tensor, operations: Counter[str], calls: Counter[nn.Module]
) -> str:
    """Layers with weights must be modules, and nothing may bend but ReLUs, of any form."""
    if reason := _hidden(operations, calls, LAYERS, WEIGHTED, "layers with weights"):
        return reason
    return _bending(operations, score) if any(operations[name] for name in BENDS) else ""


REASONS = {"relu": _relus, "linear": _linear, "relevance": _shared_out}


def _ramp(values: Tensor) -> Tensor:
    """A sum in which no two numbers weigh the same."""
    flat = values.flatten(1)
    return flat @ torch.arange(1, flat.shape[1] + 1).to(flat)


def _hidden(
    operations: Counter[str],
    calls: Counter[nn.Module],
    names: set[str],
    kinds: tuple[type[nn.Module], ...],
    what: str,
) -> str:
    all_of_them = sum(operations[name] for name in names)
    as_modules = sum(count for module, count in calls.items() if isinstance(module, kinds))
    hidden = all_of_them - as_modules
    return f"{hidden} of its {all_of_them} {what} are no torch modules" if hidden > 0 else ""


def _bending(operations: Counter[str], score: TargetScore) -> str:
    found = ", ".join(sorted(name for name in BENDS if operations[name])) or "of no known name"
    atoms = "; explain an atom, such as atom:chosen:50" if "atoms" in score.network.layers else ""
    return f"something bends that is no ReLU module ({found}){atoms}"
