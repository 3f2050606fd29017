"""Inference of a network that plays: in some precision, by some runtime, fast."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from contextlib import ExitStack

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.hooks import recorded
from atari_zoo.converters.network.layer_changes import LayerChange, changes_on
from atari_zoo.converters.network.stateful import StatefulNetwork, state_size
from atari_zoo.play.cuda_graphs import GraphedForward
from atari_zoo.play.int8_models import kept_int8
from atari_zoo.play.options import check_values
from atari_zoo.play.plans import INT8, Plan
from atari_zoo.play.sessions import PlayingSession, float32_session, int8_session

TRIALS = 10  # forward passes that tell which backend is faster
EQUAL = 1e-3  # of the largest output: what float32 may differ in between two backends


class Inference:
    """Computes outputs, and the values of `layers`, of batches of observations.

    dtype: "float32", "bfloat16" or "float16", of weights and arithmetic; outputs are float32, and
        so is a head on a named trunk: values of actions differ too little for less. Or "int8", in
        onnxruntime, of a network that was calibrated: see `int8_calibration`.
    backend: "torch"; "onnxruntime" (CPU, float32), which takes about half the time there; "auto":
        onnxruntime where it computes the same, else torch; or "trial": the faster of both on
        `batch` observations, as a short trial finds, so that play may not repeat to the last bit.
        Where hooks are on the network, or its modules were changed, "auto" means torch; of
        interventions only where they have no ONNX form.
    divides: whether bytes are divided by 255 before onnxruntime has them, as they once were. Else
        they go into its graph, with 1/255 in the first convolution's weights: the outputs differ
        in the last bits (5e-6 at most), the actions in none of 54,800 frames of 11 of its agents.

    Raises ValueError if a layer, a dtype or a backend is unknown, or these do not go together.
    """

    def __init__(
        self,
        network: Network,
        layers: Sequence[str] = (),
        dtype: str = "float32",
        backend: str = "auto",
        batch: int = 8,
        divides: bool = False,
    ) -> None:
        check_values(Plan, dtype=dtype, backend=backend)
        self.device = next(network.parameters()).device
        self.layers, self.dtype = list(layers), getattr(torch, dtype)
        if dtype == INT8 and backend == "torch":
            raise ValueError("torch has no int8 here: use backend='onnxruntime'")
        self.int8 = kept_int8(network) if dtype == INT8 else None
        self._open = ExitStack()
        self.network = network
        hooked = _hooked(network)
        if dtype not in ("float32", INT8):
            self.network = _rounded(network, self.dtype)
        self._values = self._open.enter_context(recorded(self.network, self.layers))
        # what follows the trunk of a named network stays in float32
        self._carried_in = torch.float32 if isinstance(network, AgentNetwork) else self.dtype
        # of foreign modules nobody knows whether they wait for the device; a graph is captured, and
        # a session made, for observations alone
        plain = isinstance(network, AgentNetwork) and not state_size(network)
        graphs = self.device.type == "cuda" and plain and not hooked and not changes_on(network)
        self._graphed = GraphedForward(self._forward, self._values) if graphs else None
        self._session: PlayingSession | None = None
        if self.int8 is not None:
            self._session = int8_session(self.int8.graph, self.layers)
            return
        portable = self.device.type == "cpu" and dtype == "float32"
        if backend == "onnxruntime" and not portable:
            raise ValueError("onnxruntime plays on the CPU and in float32: use backend='torch'")
        if backend == "onnxruntime" and state_size(network):
            raise ValueError("onnxruntime plays no network that carries a state: leave it out")
        if backend == "onnxruntime" and not isinstance(network, AgentNetwork):
            raise ValueError(
                "onnxruntime plays architectures that have a name; this has none: use "
                "backend='torch'"
            )
        if backend != "torch" and portable and isinstance(network, AgentNetwork) and plain:
            self._session = None if hooked else float32_session(network, layers, divides)
            same = self._session is not None and self._computes_the_same(network.shape)
            if backend == "onnxruntime" and not same:
                raise ValueError(
                    "the network has hooks, or modules that onnxruntime does not know of: use "
                    "backend='torch'"
                )
            if not same or (backend == "trial" and not self._session_is_faster(batch)):
                self._session = None

    @property
    def backend(self) -> str:
        """What computes."""
        return "torch" if self._session is None else "onnxruntime"

    @property
    def folds(self) -> bool:
        """Whether bytes meet weights that have 1/255 in them."""
        session = self._session
        return session is not None and self.dtype == torch.float32 and not session.divides

    def __call__(
        self, observations: Shaped[Tensor, "batch channels height width"]
    ) -> tuple[Float[Tensor, "batch actions"], dict[str, Tensor]]:
        """The outputs, and the layers' values; on CUDA the next call overwrites them.

        Of a network that carries a state they are those of an episode's first step: see `step`.
        """
        if self._session is not None:
            outputs, *values = self._session(observations)
            return outputs, dict(zip(self.layers, values, strict=True))
        if self._graphed is not None:
            return self._graphed(observations)
        return self._forward(observations), {name: self._values[name] for name in self.layers}

    def step(
        self,
        observations: Shaped[Tensor, "batch channels height width"],
        state: Float[Tensor, "batch numbers"],
    ) -> tuple[Float[Tensor, "batch actions"], dict[str, Tensor], Float[Tensor, "batch numbers"]]:
        """The same in these states, and the states of the next step; float32 as they come."""
        if not isinstance(self.network, StatefulNetwork) or not self.network.states:
            return *self(observations), state
        outputs, following = self.network.step(
            self._pixels(observations), state.to(self._carried_in)
        )
        values = {name: self._values[name] for name in self.layers}
        return outputs.float(), values, following.float()

    def close(self) -> None:
        """Takes its hooks off the network."""
        self._open.close()

    def _forward(
        self, observations: Shaped[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch actions"]:
        return self.network(self._pixels(observations)).float()

    def _pixels(self, observations: Tensor) -> Tensor:
        """The observations as the network takes them in its precision."""
        if self.dtype == torch.float32:
            return observations
        pixels = observations.to(self.dtype)  # a byte is exact in each of them
        return pixels.div_(255) if _bytes(observations) else pixels

    @torch.inference_mode()
    def _computes_the_same(self, shape: tuple[int, int, int]) -> bool:
        """Whether onnxruntime has the network's outputs: its modules may have been changed."""
        generator = torch.Generator().manual_seed(0)
        seen = torch.randint(0, 256, (1, *shape), dtype=torch.uint8, generator=generator)
        expected, found = self.network(seen), self(seen)[0]
        return bool((found - expected).abs().max() <= EQUAL * expected.abs().max())

    def _session_is_faster(self, batch: int) -> bool:
        observations = torch.zeros(batch, *self.network.shape, dtype=torch.uint8)
        session, times = self._session, {}
        for name, used in (("torch", None), ("onnxruntime", session)) * 2:  # the first warms up
            self._session = used
            started = time.perf_counter()
            for _ in range(TRIALS):
                self(observations)
            times[name] = time.perf_counter() - started
        self._session = session
        return times["onnxruntime"] < times["torch"]


def _rounded(network: Network, dtype: torch.dtype) -> Network:
    """A copy whose weights are of that type, but for the head's."""
    rounded = copy.deepcopy(network)
    if isinstance(rounded, AgentNetwork):
        rounded.trunk.to(dtype)
        rounded.head.register_forward_pre_hook(lambda head, features: (features[0].float(),))
        return rounded
    return rounded.to(dtype)


def _hooked(network: Network) -> bool:
    """Whether it has hooks that onnxruntime does not know of."""
    hooks = [h for m in network.modules() for h in m._forward_hooks.values()]
    before = any(m._forward_pre_hooks for m in network.modules())
    return before or not all(isinstance(h, LayerChange) and h.portable for h in hooks)


def _bytes(observations: Tensor) -> bool:
    return observations.dtype == torch.uint8
