"""flax's own files (`flax.serialization.to_bytes`), as CleanRL's JAX scripts save their models.

Sources: flax/serialization.py; cleanrl/dqn_atari_jax.py, c51_atari_jax.py,
qdagger_dqn_atari_jax_impalacnn.py and ppo_atari_envpool_xla_jax*.py; cleanba's cleanba_ppo*.py and
cleanba_impala*.py. Their convolutions pad nothing, but a residual network's (SAME); they read
height, width, frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from atari_zoo.converters.algorithms import ALGORITHMS
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.formats.cleanrl_settings import (
    ENVPOOL,
    WRAPPERS,
    folder_card,
    settings_card,
)
from atari_zoo.converters.formats.flax_messages import flax_message
from atari_zoo.converters.formats.linen import Layers, layers, only_dense
from atari_zoo.converters.formats.linen_blocks import is_residual, residual_layers
from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.heads import Head
from atari_zoo.converters.registry import Probe, Source, reader
from atari_zoo.converters.weights.affine_layers import AffineLayer
from atari_zoo.converters.weights.assembling import (
    actor_critic_head,
    assembled,
    assembled_residual,
    categorical_head,
    q_head,
)
from atari_zoo.converters.weights.state_dicts import seen_in
from atari_zoo.converters.weights.trunks import trunk_assumptions

SCANNED = 8 << 10  # bytes in which the names stand; a PPO's settings come before
LARGEST = 128 << 20  # bytes of a file: a DQN agent's has 7 million
ACTIONS = range(1, 19)  # of Atari's games
ATOMS = range(2, 1001)
LARGEST_RETURN = 1e6


def _is_flax(probe: Probe) -> bool:
    # a dict with something in it: an empty one's byte begins every pickle
    first = probe.start[:1]
    if not (b"\x81" <= first <= b"\x8f" or first in (b"\xde", b"\xdf")):
        return False
    with probe.path.open("rb") as file:
        scanned = file.read(SCANNED)
    return b"params" in scanned and b"kernel" in scanned


@reader(
    "flax",
    "flax parameters (CleanRL)",
    "CleanRL's JAX scripts: DQN, C51, PPO; cleanba's; IMPALA's ResNet in any of them",
    _is_flax,
)
def read_flax(path: Path) -> Source:
    """A `.cleanrl_model` that a JAX script of CleanRL wrote, or other parameters of the kind.

    Raises ConversionError if the file is damaged or holds another network.
    """
    content = _content(path)
    match content:
        case {"0": dict(args), "1": {"0": trunk, "1": actor, "2": critic}}:
            source = _actor_critic(_layers(trunk), only_dense(actor), only_dense(critic))
            _add_cleanba(source, args)
        case {"model_weights": weights, "args": {"n_atoms": _} as args}:
            source = _categorical(_layers(weights), args)
        case {"model_weights": weights, "args": dict(args)}:
            source = _q_values(_layers(weights))
        case _:
            source, args = _q_values(_layers(content)), {}
    source.card |= folder_card(path) | settings_card(args)
    assert isinstance(source.model, AgentNetwork)
    source.card["preprocessing"] = seen_in(source.card["preprocessing"], source.model.shape[0])
    source.written_by = "flax.serialization, as CleanRL's JAX scripts use it"
    source.flatten = "H, W, C"
    return source


def _q_values(found: Layers) -> Source:
    fc, output = _pair(found)
    if len(output.weight) not in ACTIONS:
        raise ConversionError(
            f"{len(output.weight)} outputs are no Q-values of a game's actions, and the file has "
            f"no settings ('n_atoms', 'v_min', 'v_max') that tell what they are"
        )
    return _source(found, fc, q_head(output), "dqn")


def _categorical(found: Layers, args: Mapping[str, Any]) -> Source:
    fc, output = _pair(found)
    count, low, high = (_number(args, name) for name in ("n_atoms", "v_min", "v_max"))
    if type(count) is not int or count not in ATOMS or low >= high:
        raise ConversionError(f"{count} atoms from {low} to {high} are no support of returns")
    support = torch.from_numpy(np.linspace(low, high, count).astype(np.float32))
    source = _source(found, fc, categorical_head(output, support), "c51")
    source.notes.append(f"{count} atoms from {low} to {high}, as the file's settings have them")
    return source


def _number(args: Mapping[str, Any], name: str) -> float:
    number: Any = args.get(name)
    if type(number) not in (int, float) or not abs(number) < LARGEST_RETURN:
        raise ConversionError(f"its setting '{name}' is missing, or no number")
    return number


def _actor_critic(found: Layers, actor: AffineLayer, critic: AffineLayer) -> Source:
    if len(found.dense) != 1:
        raise ConversionError(
            f"one dense layer in the trunk was expected; it has {found.described}"
        )
    (fc,) = found.dense
    return _source(found, fc, actor_critic_head(actor, critic), "ppo")


def _layers(params: Any) -> Layers:
    return residual_layers(params) if is_residual(params) else layers(params)


def _add_cleanba(source: Source, args: Mapping[str, Any]) -> None:
    """What the name of cleanba's script tells."""
    script = args.get("exp_name")
    if not isinstance(script, str):
        return
    if script.startswith("cleanba_impala"):
        source.card["algorithm"] = "impala"


def _source(found: Layers, fc: AffineLayer, head: Head, algorithm: str) -> Source:
    fc = fc.from_height_width_channels(found.channels)
    card = {
        "algorithm": algorithm,
        "action_rule": ALGORITHMS[algorithm].action_rule,
        "preprocessing": ENVPOOL if algorithm == "ppo" else WRAPPERS,  # its scripts for JAX
    }
    network: AgentNetwork
    if found.blocks:
        network = assembled_residual(found.blocks, fc, head, same=True)
    else:
        network = assembled(found.convolutions, fc, head)
    return Source(network, card, assumptions=trunk_assumptions(network.trunk))


def _pair(found: Layers) -> tuple[AffineLayer, AffineLayer]:
    if len(found.dense) != 2:
        raise ConversionError(f"two dense layers were expected; it has {found.described}")
    fc, output = found.dense
    return fc, output


def _content(path: Path) -> dict[str, Any]:
    if path.stat().st_size > LARGEST:
        raise ConversionError(f"larger than {LARGEST >> 20} MB: not an agent's parameters")
    content = flax_message(path.read_bytes())
    if not isinstance(content, dict):
        raise ConversionError(f"a dict of parameters was expected, not {type(content).__name__}")
    return content
