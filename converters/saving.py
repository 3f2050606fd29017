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
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.networks import MnihNetwork
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
    if (why and path.suffix.lower() != ".pth") or not isinstance(network, MnihNetwork):
        raise ConversionError(
            f"{path}: weights alone do not tell this architecture ({why}); give an .onnx file"
        )
    WRITERS[path.suffix.lower()](network, path)


def why_not_by_weights(network: Network) -> str:
    """Why the weights alone do not tell which network it is; empty where they do."""
    if not isinstance(network, MnihNetwork):
        return "it is none of the zoo's own"
    try:
        network_from_state_dict(network.state_dict())
    except ConversionError as error:
        return str(error)
    return ""


def save_sb3(network: MnihNetwork, path: Path) -> None:
    """A torch file of the state dict, for `policy.load_state_dict(torch.load(path))`."""
    weights = to_sb3_state_dict(network)
    with written_whole(path) as beside:
        torch.save(weights, beside)


WRITERS: dict[str, Callable[[MnihNetwork, Path], None]] = {
    ".safetensors": save_safetensors,
    ".npz": save_npz,
    ".pth": save_sb3,
}
ENDINGS = (".onnx", *WRITERS)
