"""Sessions of onnxruntime that play: an agent's network on the CPU, given bytes as they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import onnx
import torch
from jaxtyping import Shaped
from torch import Tensor

from atari_zoo.converters.export.graph import network_to_onnx
from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.onnx_runtime import silent_onnxruntime
from atari_zoo.play.byte_graphs import taking_bytes, with_outputs


class PlayingSession:
    """A network in onnxruntime: the outputs of observations, and the values of `layers`.

    graphs: of the network, by the type of the observations that it is given, each made when the
        first of that type come. As many threads as torch has when it is made.
    divides: bytes are divided by 255 before they go into the graph of pixels; as play was until
        the graph of bytes had 1/255 in its weights, to the last bit.
    """

    def __init__(
        self,
        graphs: dict[torch.dtype, Callable[[], onnx.ModelProto]],
        layers: Sequence[str] = (),
        divides: bool = False,
    ) -> None:
        self._graphs, self.divides = graphs, divides
        self._names = ["output", *layers]
        self._threads = torch.get_num_threads()
        self._sessions: dict[torch.dtype, Any] = {}

    def __call__(self, observations: Shaped[Tensor, "batch channels height width"]) -> list[Tensor]:
        """The outputs, then the layers' values. Raises ValueError where no graph takes these."""
        if self.divides and observations.dtype == torch.uint8:
            observations = observations.float().div_(255)
        session = self._session(observations.dtype)
        given = {session.get_inputs()[0].name: observations.numpy()}
        return [torch.from_numpy(value) for value in session.run(self._names, given)]

    def _session(self, kind: torch.dtype) -> Any:
        if kind not in self._sessions:
            if kind not in self._graphs:
                raise ValueError(
                    "int8 takes observations as bytes: these are floats, by noise or by a "
                    "preprocessing that does not round them; play in float32"
                )
            self._sessions[kind] = _opened(self._graphs[kind](), self._threads)
        return self._sessions[kind]


def float32_session(
    network: AgentNetwork, layers: Sequence[str] = (), divides: bool = False
) -> PlayingSession:
    """A session of the network as it is."""

    exported = network_to_onnx(network)  # now: it may be changed later
    graphs = {torch.float32: lambda: exported, torch.uint8: lambda: taking_bytes(exported)}
    return PlayingSession(graphs, layers, divides)


def int8_session(graph: onnx.ModelProto, layers: Sequence[str] = ()) -> PlayingSession:
    """A session of what `int8_graphs` made of a network."""
    # what is an output cannot be a part of a whole in integers: those alone that are asked for
    asked = with_outputs(graph, ["output", *layers])
    return PlayingSession({torch.uint8: lambda: asked}, layers)


def _opened(graph: onnx.ModelProto, threads: int) -> Any:
    onnxruntime = silent_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # its threads must not spin on the cores that the emulator needs
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
