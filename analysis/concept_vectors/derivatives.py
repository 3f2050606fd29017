"""Derivatives of what an agent decides along each layer's values."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from atari_zoo.agent_states import recorded_states
from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.network.foreign import ForeignNetwork, Network
from atari_zoo.converters.network.hooks import recorded

BATCH = 64
ROUNDING = 1e-5  # of the largest derivative; float32 has seven digits
CHOSEN, VALUE = "chosen", "value"
DecisionTarget = Callable[[Tensor, dict[str, Tensor]], Float[Tensor, "batch"]]


def decision_target(network: Network, actions: Sequence[str], name: str) -> DecisionTarget:
    """A function of the network's outputs and its layers' values.

    name: "chosen": the output of the action that is rated highest; or an action's name; in both
        cases less the mean of all, as every Q-value contains the state's value. "value": the layer
        of that name, else the largest output.
    Raises ValueError for an action that is not there.
    """
    if name == VALUE:
        if VALUE in network.layers:
            return lambda outputs, values: values[VALUE].reshape(len(outputs), -1)[:, 0]
        return lambda outputs, values: outputs.amax(1)
    if name == CHOSEN:
        return lambda outputs, values: outputs.amax(1) - outputs.mean(1)
    if name not in actions:
        raise ValueError(
            f"no target '{name}'; there are {CHOSEN}, {VALUE} and the actions {', '.join(actions)}"
        )
    number = list(actions).index(name)
    return lambda outputs, values: outputs[:, number] - outputs.mean(1)


def layer_derivatives(
    subject: Subject, layers: Sequence[str], target: str, moments: Int[np.ndarray, "some"]
) -> dict[str, Float[np.ndarray, "some ..."]]:
    """Of the target along every value of each layer, at these moments; a layer that the target does
    not depend on is left out."""
    network = subject.network
    aim = decision_target(network, subject.recording.action_names, target)
    names = list(dict.fromkeys([*layers, *([VALUE] if VALUE in network.layers else [])]))
    device, kind = next((p.device, p.dtype) for p in network.parameters())
    seen, states = subject.observations()[moments], _states(subject, moments)
    step = (network.batch if isinstance(network, ForeignNetwork) else 0) or BATCH
    parts: dict[str, list[Tensor]] = {name: [] for name in layers}
    for start in range(0, len(seen), step):
        some = seen[start : start + step].to(device)
        some = (some / 255 if some.dtype == torch.uint8 else some).to(kind).requires_grad_()
        own = () if states is None else (states[start : start + step].to(device),)
        with torch.enable_grad(), recorded(network, names) as values:
            outputs = network(some, *own)
            aimed = aim(outputs, values)
            inside = [values[name] for name in layers]
            wholes = torch.autograd.grad(
                (outputs.amax(1)).sum(), inside, allow_unused=True, retain_graph=True
            )
            along = torch.autograd.grad(aimed.sum(), inside, allow_unused=True)
        for name, part, whole in zip(layers, along, wholes, strict=True):
            if part is not None and not _is_rounding(part, whole):
                parts[name].append(part.detach().float().cpu())
    return {name: torch.cat(some).numpy() for name, some in parts.items() if some}


def _is_rounding(part: Tensor, whole: Tensor | None) -> bool:
    """Whether what remains of the derivative, the mean taken off, is rounding: of a dueling
    network's value, which is in all outputs alike."""
    if whole is None:
        return False
    return bool(part.abs().max() <= ROUNDING * whole.abs().max())


def _states(subject: Subject, moments: Int[np.ndarray, "some"]) -> Tensor | None:
    envs = subject.recording.starts.shape[1]
    each = [recorded_states(subject.network, subject.recording, env) for env in range(envs)]
    if each[0] is None:
        return None
    return torch.stack([state for state in each if state is not None], dim=1).flatten(0, 1)[moments]
