"""Networks on their way out: Stable-Baselines3's state dicts, safetensors, NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.files import written_whole
from atari_zoo.converters.network.agent_networks import AgentNetwork, AgentTrunk
from atari_zoo.converters.network.heads import ActorCriticHead, Head, QHead, QuantileHead
from atari_zoo.converters.network.layer_changes import check_as_weighted
from atari_zoo.converters.network.networks import Trunk
from atari_zoo.converters.network.stateful import state_size, state_words
from atari_zoo.converters.weights.affine_layers import AffineLayer
from atari_zoo.converters.weights.metadata import metadata_of

NATURE_CNN = (32, 64, 64)  # filters of SB3's NatureCNN
NATURE, SCREEN = "Mnih et al. (2015)", (4, 84, 84)  # what it is, and what it sees
EXTRACTORS = ("features_extractor", "pi_features_extractor", "vf_features_extractor")


def to_sb3_state_dict(network: AgentNetwork) -> dict[str, Tensor]:
    """The weights as a `CnnPolicy` of Stable-Baselines3 loads them, strictly.

    An actor-critic goes into A2C's and PPO's policy, Q-values into DQN's, quantiles into
    sb3-contrib's QR-DQN's; a dense layer of other than 512 units needs `features_dim`, other
    than 200 quantiles `n_quantiles`. Narrower convolutions are filled up with zero filters.
    Raises ConversionError if SB3 has no such network.

    >>> model.policy.load_state_dict(to_sb3_state_dict(network))
    """
    if state_size(network):
        raise ConversionError(
            "Stable-Baselines3's policies have no memory, but this network carries a state "
            f"({state_words(network)}); give an .onnx, .safetensors or .npz file"
        )
    check_as_weighted(network)
    trunk, head = _nature_cnn(network.trunk), network.head
    if isinstance(head, ActorCriticHead):
        weights = {k: t for name in EXTRACTORS for k, t in _under(name, trunk).items()}
        weights |= _under("action_net", _of(head.output))
        return weights | _under("value_net", _of(head.value))
    name, layer = _net(head)
    net = {f"features_extractor.{key}": t for key, t in trunk.items()} | _under(f"{name}.0", layer)
    return _under(name, net) | _under(f"{name}_target", net)


def save_safetensors(network: AgentNetwork, path: str | Path) -> None:
    """Writes the state dict, whole or not at all; the card and the head are in the metadata.

    Raises OSError where the place cannot be written.
    """
    from safetensors.torch import save_file

    check_as_weighted(network)
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    with written_whole(path) as beside:
        save_file(weights, beside, metadata_of(network))


def to_numpy(network: AgentNetwork) -> dict[str, np.ndarray]:
    """The state dict as float32 arrays, copied."""
    check_as_weighted(network)
    return {name: tensor.cpu().numpy().copy() for name, tensor in network.state_dict().items()}


def save_npz(network: AgentNetwork, path: str | Path) -> None:
    """Writes the arrays of `to_numpy`, and the card as text, whole or not at all.

    Raises OSError where the place cannot be written.
    """
    texts = {name: np.array(text) for name, text in metadata_of(network).items()}
    with written_whole(path) as beside, beside.open("wb") as file:
        np.savez(file, allow_pickle=False, **to_numpy(network), **texts)


def _net(head: Head) -> tuple[str, dict[str, Tensor]]:
    """What SB3 calls a network of values, and its last layer."""
    if isinstance(head, QHead):
        return "q_net", _of(head.output)
    if isinstance(head, QuantileHead):
        layer = _of(head.quantiles.get_submodule("0"))
        # SB3 has a quantile's actions side by side, the zoo an action's quantiles
        moved = AffineLayer(layer["weight"], layer["bias"]).transposed(head.actions)
        return "quantile_net", {"weight": moved.weight, "bias": moved.bias}
    raise ConversionError(
        f"Stable-Baselines3 has no {head.kind} network; an actor-critic, Q-values or quantiles "
        "were expected"
    )


def _nature_cnn(trunk: AgentTrunk) -> dict[str, Tensor]:
    """SB3's NatureCNN with the weights of this trunk."""
    if not isinstance(trunk, Trunk):
        raise ConversionError(
            "Stable-Baselines3's policies have the network of Mnih et al. (NatureCNN); this is "
            f"that of {trunk.architecture}"
        )
    if trunk.padded:
        raise ConversionError(
            "Stable-Baselines3's NatureCNN pads no convolution (VALID), but this network pads "
            "(SAME): its dense layer reads 11x11 places where SB3's reads 7x7"
        )
    widths = [conv.channels for conv in trunk.convolutions]
    if len(widths) != len(NATURE_CNN):
        raise ConversionError(
            f"Stable-Baselines3's NatureCNN has {len(NATURE_CNN)} convolutions; this network has "
            f"{len(widths)}"
        )
    if trunk.architecture != NATURE or trunk.shape != SCREEN:
        raise ConversionError(
            f"Stable-Baselines3's NatureCNN is the network of {NATURE} on {SCREEN}, with ReLUs; "
            f"this is {trunk.architecture} on {trunk.shape}"
        )
    if trunk.fc is None or any(w > most for w, most in zip(widths, NATURE_CNN, strict=True)):
        raise ConversionError(
            f"Stable-Baselines3's NatureCNN has {NATURE_CNN} filters and a dense layer; this "
            f"network has {tuple(widths)} and {'one' if trunk.fc else 'none'}"
        )
    weights, before = {}, 4
    for index, width in enumerate(NATURE_CNN):
        conv = _of(trunk.get_submodule(f"conv{index + 1}.conv"))
        weights[f"cnn.{2 * index}.weight"] = _widened(conv["weight"], width, before)
        weights[f"cnn.{2 * index}.bias"] = _widened(conv["bias"], width)
        before = width
    dense = _of(trunk.fc.get_submodule("linear"))
    # channels come first in the flattened maps, so that those added are its last columns
    inputs = before * trunk.maps[1] * trunk.maps[2]
    weights["linear.0.weight"] = _widened(dense["weight"], len(dense["bias"]), inputs)
    return weights | {"linear.0.bias": dense["bias"]}


def _widened(weight: Tensor, *sizes: int) -> Tensor:
    """The tensor with zeros behind it, up to these sizes of its first axes."""
    wide = weight.new_zeros(*sizes, *weight.shape[len(sizes) :])
    wide[tuple(slice(size) for size in weight.shape)] = weight
    return wide


def _of(layer: torch.nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach() for name, tensor in layer.named_parameters()}


def _under(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in weights.items()}
