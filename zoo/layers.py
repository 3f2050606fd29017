"""Activations: what the named layers of a network compute."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from atari_zoo.agent_states import recorded_states, warn_of_zero_state
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.hooks import recorded
from atari_zoo.converters.network.stateful import check_state, state_size
from atari_zoo.models import as_network
from atari_zoo.observations import ObservationsLike, observations_for
from atari_zoo.players import Play, check_play


@runtime_checkable
class Played(Play, Protocol):
    """What recordings have of what was seen, which stand above this file."""

    @property
    def starts(self) -> Any: ...

    def observations(self, env: int = 0) -> Tensor: ...


@checked
def activations(
    network: Network | str | Path,
    observations: ObservationsLike | Played,
    layers: str | Sequence[str] | None = None,
    batch: int = 256,
    before_relu: bool = False,
    state: Tensor | None = None,
) -> dict[str, Tensor]:
    """The values of `layers` (all if not given) for each observation, on the CPU.

    network: itself, or a name or path as `load` takes them.
    observations: (steps, 4, 84, 84), or one, uint8 or float in 0..1; or a recording.
    before_relu: of layers that have a ReLU, what enters it and not what leaves it.
    state: of a network that carries one, (steps, numbers), or (1, numbers) for all; a recording
        has its own. If not given it is that of an episode's first step, which is warned of.
    Returns name -> (steps, ...); of a recording (steps, envs, ...).
    Raises ValueError if a layer is not there; the message lists those that are. Also for
        observations of another shape or range, play of another game or other actions, and of
        a network that carries a state, another's play.

    >>> activations(net, observations, ["conv3", "fc"])["conv3"].shape
    torch.Size([32, 64, 7, 7])
    >>> activations("a2c/Pong/1", recording, "fc")["fc"].shape
    torch.Size([500, 1, 512])
    """
    network = as_network(network)
    layers = [layers] if isinstance(layers, str) else layers
    if isinstance(observations, Played):
        check_play(network, observations)
        each = [
            activations(
                network,
                observations.observations(env),
                layers,
                batch,
                before_relu,
                recorded_states(network, observations, env, layers=layers),
            )
            for env in range(observations.starts.shape[1])
        ]
        return {name: torch.stack([found[name] for found in each], dim=1) for name in each[0]}
    names = list(network.layers) if layers is None else list(dict.fromkeys(layers))
    device = next(network.parameters()).device
    parts: dict[str, list[Tensor]] = {name: [] for name in names}
    seen = observations_for(network, observations)
    if seen.is_floating_point():
        seen = seen.to(next(network.parameters()).dtype)
    if state is None:
        warn_of_zero_state(network, names)
    elif state_size(network):
        state = state.expand(len(seen), -1) if state.shape[:1] == (1,) else state
        check_state(network, state, len(seen))
    with torch.inference_mode(), recorded(network, names, before_relu) as values:
        for start in range(0, len(seen), batch):
            share = seen[start : start + batch].to(device)
            if state is None or not state_size(network):
                network(share)
            else:
                network(share, state[start : start + len(share)].to(device))
            for name in names:
                parts[name].append(values[name].cpu())
    return {name: torch.cat(part) for name, part in parts.items()}
