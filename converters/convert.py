"""`to_onnx` and `to_torch`: the two steps every agent goes through."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import onnx
from torch import Tensor

from atari_zoo.converters import interchange  # noqa: F401
from atari_zoo.converters.algorithms import ALGORITHMS, UNKNOWN
from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.errors import ConversionError, naming
from atari_zoo.converters.export.graph import network_to_onnx
from atari_zoo.converters.formats import (
    atari_agents,  # noqa: F401
    cleanrl,  # noqa: F401
    dopamine,  # noqa: F401
    dopamine_jax,  # noqa: F401
    flax_files,  # noqa: F401
    numpy_files,  # noqa: F401
    sb3,  # noqa: F401
    tf_frozen,  # noqa: F401
    torch_files,  # noqa: F401
    zoo_runs,  # noqa: F401
)
from atari_zoo.converters.interchange import read_card, write_card
from atari_zoo.converters.network.foreign import ForeignNetwork, Network
from atari_zoo.converters.network.heads import Head, PolicyHead, QHead
from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.converters.recognition.recognise import recognise
from atari_zoo.converters.registry import Source, sniffed
from atari_zoo.converters.weights.state_dicts import network_from_state_dict


def to_onnx(
    source: str | Path | MnihNetwork | Mapping[str, Tensor],
    card: ModelCard | None = None,
    float16: bool = False,
) -> onnx.ModelProto:
    """A model as ONNX, from a file of any known format, a network or a state dict.

    card: what is known of it; what the file itself tells is kept where the card does not say.
    float16: store the weights in half the bytes; arithmetic stays float32.
    Raises ConversionError if it cannot be converted; the message says what was found.

    >>> save_onnx(to_onnx("policy.safetensors", ModelCard("ppo", "Breakout")), "policy.onnx")
    """
    if isinstance(source, str | Path):
        return written(read(source), card, float16)
    network = source if isinstance(source, MnihNetwork) else network_from_state_dict(source)
    network.card = card or network.card
    return network_to_onnx(network, float16)


def to_torch(source: str | Path | onnx.ModelProto) -> Network:
    """A model as a torch module: the Mnih network where it is that, else through onnx2torch.

    source: an ONNX model or file, or a file that `to_onnx` reads.
    Raises ConversionError if it is neither.
    """
    if isinstance(source, str | Path):
        with naming(source):
            return to_torch(to_onnx(source))
    card = read_card(source) or ModelCard()
    try:
        network = recognise(source).network
    except ConversionError as error:
        return _foreign(source, card, error)
    if ALGORITHMS.get(card.algorithm, UNKNOWN).output == "q":
        network.head = _as_q_values(network.head)
    network.card = card
    return network


def read(path: str | Path) -> Source:
    """What is in a model's file or folder, in the terms of the format that it has.

    Raises ConversionError, naming the file, if it is no model of a known format.
    """
    path = Path(path)
    form = sniffed(path)
    with naming(path):
        source = form.read(path)
    source.card = _origin(path, form.name) | source.card
    return source


def written(
    source: Source, card: ModelCard | None = None, float16: bool = False
) -> onnx.ModelProto:
    """What was read, as ONNX with its card.

    Raises ConversionError if float16 is asked of a graph that is not the Mnih network.
    """
    model = source.model
    if isinstance(model, MnihNetwork):
        model.card = (card or ModelCard()).over(source.card)
        return network_to_onnx(model, float16)
    inside = read_card(model)  # a file of the zoo keeps the origin that it names
    write_card(model, inside if inside and not card else (card or ModelCard()).over(source.card))
    if not float16:
        return model
    network = to_torch(model)
    if not isinstance(network, MnihNetwork):
        raise ConversionError("float16 is for the network of Mnih et al. alone")
    return network_to_onnx(network, float16=True)


def _origin(path: Path, form: str) -> dict[str, str]:
    known = {"source": path.name, "format": form}
    return known | {"sha256": _sha256(path)} if path.is_file() else known


def _foreign(model: onnx.ModelProto, card: ModelCard, why: ConversionError) -> ForeignNetwork:
    try:
        return ForeignNetwork(model, card)
    except ConversionError as error:
        raise ConversionError(f"{why}; and {error}") from error


def _as_q_values(head: Head) -> Head:
    if not isinstance(head, PolicyHead):
        return head
    values = QHead(head.features, head.actions)
    values.load_state_dict(head.state_dict())
    return values


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
