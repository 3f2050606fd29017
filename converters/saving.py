"""A converted model written as the kind of file that its name asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import torch

from atari_zoo.converters.convert import to_torch
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.export.weights import save_npz, save_safetensors, to_sb3_state_dict
from atari_zoo.converters.files import check_ending, written_whole
from atari_zoo.converters.interchange import save_onnx
from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.heads import Dense
from atari_zoo.converters.weights.state_dicts import network_from_state_dict


def save_as(model: onnx.ModelProto, path: str | Path) -> None:
    """Writes the model: .onnx; .safetensors or .npz (arrays by name, the card beside them); .pth
    (the state dict that a policy of Stable-Baselines3 loads). Whole or not at all.

    Raises ValueError for another suffix, ConversionError for a network that the file cannot hold.
    """
    path = Path(path)
    check_ending(path, *ENDINGS)
    if path.suffix.lower() == ".onnx":
        save_onnx(model, path)
        return
    network = to_torch(model)
    why = why_not_by_weights(network)
    if (why and path.suffix.lower() != ".pth") or not isinstance(network, AgentNetwork):
        raise ConversionError(
            f"{path}: weights alone do not tell this architecture ({why}); give an .onnx file"
        )
    WRITERS[path.suffix.lower()](network, path)


def why_not_by_weights(network: Network) -> str:
    """Why the weights alone do not tell which network it is; empty where they do."""
    if not isinstance(network, AgentNetwork):
        return "it is none of the zoo's own"
    try:
        again = network_from_state_dict(network.state_dict())
    except ConversionError as error:
        return str(error)
    if _modules(again) != _modules(network):
        return (
            f"{network.architecture} on {network.shape} would be read as {again.architecture} on "
            f"{again.shape}"
        )
    return ""


def _modules(network: AgentNetwork) -> list[object]:
    """What a network computes with its weights, but for the kind of head, which is written too."""
    dense = [repr(layer) for layer in network.layers.values() if isinstance(layer, Dense)]
    return [network.shape, repr(network.trunk), dense]


def save_sb3(network: AgentNetwork, path: Path) -> None:
    """A torch file of the state dict, for `policy.load_state_dict(torch.load(path))`."""
    weights = to_sb3_state_dict(network)
    with written_whole(path) as beside:
        torch.save(weights, beside)


WRITERS: dict[str, Callable[[AgentNetwork, Path], None]] = {
    ".safetensors": save_safetensors,
    ".npz": save_npz,
    ".pth": save_sb3,
}
ENDINGS = (".onnx", *WRITERS)
