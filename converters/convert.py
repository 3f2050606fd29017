"""`to_onnx` and `to_torch`: the two steps every agent goes through."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import onnx
import torch
from torch import Tensor

from atari_zoo.converters.algorithms import ALGORITHMS, UNKNOWN
from atari_zoo.converters.arguments import WrongKind, shown_value
from atari_zoo.converters.cards import ASSUMED_RANGES, INPUT_RANGES, RANGE_ASSUMED, ModelCard
from atari_zoo.converters.errors import ConversionError, naming
from atari_zoo.converters.export.graph import network_to_onnx
from atari_zoo.converters.half_floats import in_float32, stored_in_half, widened
from atari_zoo.converters.interchange import read_card, write_card
from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.carried_states import StateMismatch
from atari_zoo.converters.network.foreign import ForeignNetwork, Network
from atari_zoo.converters.network.heads import Head, PolicyHead, QHead
from atari_zoo.converters.network.loops import without_loops
from atari_zoo.converters.recognition.contract import input_maximum
from atari_zoo.converters.recognition.recognise import PRODUCER, recognise
from atari_zoo.converters.recognition.recurrent import recognise_recurrent
from atari_zoo.converters.registry import Source, sniffed_format
from atari_zoo.converters.weights.state_dicts import network_from_state_dict


def to_onnx(
    source: str | Path | AgentNetwork | Mapping[str, Tensor],
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
    if not isinstance(source, AgentNetwork | Mapping):
        raise WrongKind(
            f"source is {shown_value(source)}; expected a path, a network or a state dict"
        )
    network = source if isinstance(source, AgentNetwork) else network_from_state_dict(source)
    network.card = card or network.card
    return network_to_onnx(network, float16)


def to_torch(source: str | Path | onnx.ModelProto) -> Network:
    """A model as a torch module: readable if its architecture has a name, else through onnx2torch.

    source: an ONNX model or file, or a file that `to_onnx` reads.
    Raises ConversionError if it is neither.
    """
    if isinstance(source, str | Path):
        with naming(source):
            return to_torch(to_onnx(source))
    if not isinstance(source, onnx.ModelProto):
        raise WrongKind(f"source is {shown_value(source)}; expected a path or an ONNX model")
    source = without_loops(in_float32(source))
    card = read_card(source) or ModelCard()
    try:
        network: AgentNetwork = recognise(source, white_of(source)).network
    except ConversionError as error:
        recurrent = recognise_recurrent(source, white_of(source) or input_maximum(source))
        if recurrent is None:
            return _foreign(source, card, error)
        network = recurrent.network
    if ALGORITHMS.get(card.algorithm, UNKNOWN).output == "q" and card.action_rule != "sample":
        network.head = _as_q_values(network.head)
    network.card = card.replace(input_range="")  # its weights take 0..1 by now
    return network


def read(path: str | Path) -> Source:
    """What is in a model's file or folder, in the terms of the format that it has.

    Raises ConversionError, naming the file, if it is no model of a known format.
    """
    path = Path(path)
    form = sniffed_format(path)
    with naming(path):
        source = form.read(path)
    source.card = _origin(path, form.name) | source.card
    if not isinstance(source.model, AgentNetwork) and not _tells_its_range(source.model):
        source.assumptions.append(RANGE_ASSUMED)
    return source


def written(
    source: Source, card: ModelCard | None = None, float16: bool = False
) -> onnx.ModelProto:
    """What was read, as ONNX with its card.

    Raises ConversionError if weights are beyond float16, where that is asked for.
    """
    model = source.model
    full = assumed(source, (card or ModelCard()).over(source.card))
    if isinstance(model, AgentNetwork):
        model.card = full
        return network_to_onnx(model, float16)
    inside = read_card(model)  # a file of the zoo keeps the origin that it names
    write_card(model, inside if inside and not card else full)
    if not float16:
        return model
    network = to_torch(model)
    return in_half_the_bytes(model, network)


def in_half_the_bytes(model: onnx.ModelProto, network: Network) -> onnx.ModelProto:
    """The model with its card, its weights in float16; of a named architecture a graph of our own.

    network: what `to_torch` makes of the model.
    Raises ConversionError where a weight is beyond float16's numbers.
    """
    if not isinstance(network, AgentNetwork):
        return stored_in_half(model)
    return network_to_onnx(network, float16=True)


def assumed(source: Source, card: ModelCard) -> ModelCard:
    """The card with what had to be assumed; the range of pixels is not, where the card names it.

    A network that came as weights is made to take 0..1, if it took 0..255.
    Raises ConversionError where the card names a range and the file another, or none there is.
    """
    if not card.input_range:
        return card.replace(assumptions=tuple(source.assumptions))
    if card.input_range not in INPUT_RANGES:
        raise ConversionError(
            f"no input range '{card.input_range}'; there are {', '.join(INPUT_RANGES)}"
        )
    lines = [line for line in source.assumptions if line in ASSUMED_RANGES]
    if not lines:
        raise ConversionError(
            f"the file tells the range of its pixels itself; leave out the {card.input_range}"
        )
    rest = tuple(line for line in source.assumptions if line not in lines)
    model = source.model
    if not isinstance(model, AgentNetwork):
        return card.replace(assumptions=rest)
    factor = INPUT_RANGES[card.input_range] / INPUT_RANGES[ASSUMED_RANGES[lines[0]]]
    if factor != 1:
        with torch.no_grad():
            model.trunk.first.weight.mul_(factor)
    if card.input_range == "0..255":
        source.notes.append(
            "trained on 0..255, so the first convolution's weights are multiplied by 255"
        )
    return card.replace(assumptions=rest, input_range="")


def white_of(model: onnx.ModelProto) -> float | None:
    """The value of a white pixel that a model's card names; None if it names none."""
    card = read_card(model)
    return INPUT_RANGES.get(card.input_range) if card else None


def _white(model: onnx.ModelProto) -> float:
    """The value of a white pixel, as the card or the graph tells, or else 1."""
    return white_of(model) or input_maximum(model) or 1.0


def _tells_its_range(model: onnx.ModelProto) -> bool:
    """Whether a graph does; those written here take 0..1 where they do not divide."""
    stated = model.producer_name == PRODUCER or white_of(model) is not None
    return stated or input_maximum(model) is not None


def _origin(path: Path, form: str) -> dict[str, str]:
    known = {"source": path.name, "format": form}
    return known | {"sha256": _sha256(path)} if path.is_file() else known


def _foreign(model: onnx.ModelProto, card: ModelCard, why: ConversionError) -> ForeignNetwork:
    try:
        return ForeignNetwork(widened(model), card, _white(model))
    except StateMismatch:  # nor is it the Mnih network, but that is not the reason
        raise
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
