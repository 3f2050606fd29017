"""Networks in 8-bit integers that were calibrated, kept in the cache beside the network's play."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from atari_zoo.catalog.names import file_name
from atari_zoo.converters.files import written_whole
from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.stateful import state_size
from atari_zoo.converters.onnx_runtime import silent_onnxruntime
from atari_zoo.downloads.cache import PLAY, root
from atari_zoo.play.keys import network_key, told_by_weights

FORM = "1"  # changes with how they are made
FACTS = "int8"  # what the graph's metadata calls the rest


@dataclass(frozen=True)
class Int8Model:
    """A network in int8, and how often it chooses as in float32.

    graph: of `int8_graphs.quantized`. shares: of the frames of each game that was played to
        compare, in which the same action was chosen; chance, where an action is drawn, is the same.
    frames: of all these games. key: of the network that it was made of.
    """

    graph: onnx.ModelProto = field(repr=False, compare=False)
    shares: tuple[float, ...]
    frames: int
    key: str

    @property
    def agreement(self) -> float:
        """The share of frames in which the same action was chosen."""
        return sum(self.shares) / len(self.shares)

    @property
    def words(self) -> str:
        """In a sentence."""
        return (
            f"in int8 the same action as in float32 in {self.agreement:.1%} of {self.frames:,} "
            f"frames of its own play ({min(self.shares):.1%} to {max(self.shares):.1%} by games)"
        )


def kept_int8(network: Network) -> Int8Model:
    """What was calibrated of the network.

    Raises ValueError if it has no int8, or was not calibrated yet.
    """
    place = int8_file(network)
    try:
        graph = onnx.load(place)
        facts = json.loads(next(p.value for p in graph.metadata_props if p.key == FACTS))
        return Int8Model(graph, tuple(facts["shares"]), facts["frames"], facts["key"])
    except (OSError, DecodeError, StopIteration, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{network.card.name}: not calibrated in int8 yet: `int8_calibration.calibrated` does"
        ) from error


def keep_int8(network: Network, model: Int8Model) -> None:
    """Keeps it. Raises OSError where the cache cannot be written."""
    graph = onnx.ModelProto()
    graph.CopyFrom(model.graph)
    facts = {name: value for name, value in asdict(model).items() if name != "graph"}
    onnx.helper.set_model_props(graph, {FACTS: json.dumps(facts)})
    place = int8_file(network)
    place.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(place) as beside:
        beside.write_bytes(graph.SerializeToString())


def int8_file(network: Network) -> Path:
    """Where it is kept, which may not be there. Raises ValueError if the network has no int8."""
    check_quantizable(network)
    return root() / PLAY / f"{file_name(network.card.name)}-{int8_key(network)}.int8.onnx"


def int8_key(network: Network) -> str:
    """Differs where the weights, the card, or what makes and runs it do."""
    return network_key(network, FACTS, FORM, silent_onnxruntime().__version__)


def check_quantizable(network: Network) -> None:
    """Raises ValueError, with the reason, if the network has no int8."""
    name = network.card.name
    if next(network.parameters()).device.type != "cpu":
        raise ValueError(f"{name}: int8 is for the CPU; on a GPU use float16 or bfloat16")
    if not isinstance(network, AgentNetwork) or state_size(network):
        raise ValueError(
            f"{name}: int8 is for architectures that have a name and carry no state; use float32"
        )
    if not told_by_weights(network):
        raise ValueError(f"{name}: hooks or interventions are on the network; use float32")
