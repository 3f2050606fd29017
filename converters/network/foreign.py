"""ONNX graphs of other architectures: through onnx2torch, still modules with named layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace

import onnx
import torch
from torch import Tensor, nn

from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.free_batches import with_free_batch
from atari_zoo.converters.network.hooks import recorded
from atari_zoo.converters.network.layouts import is_maps
from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.converters.network.older_opsets import (
    Stateful,
    module_path,
    with_older_operators,
)
from atari_zoo.converters.network.outputs import OUTPUT, VALUE, roles_told
from atari_zoo.converters.network.tracing import Trace, Traced
from atari_zoo.converters.network.tracing_rules import TRACING_RULES

SHAPE = (4, 84, 84)  # of an observation, where a graph leaves its sizes open
BYTES = onnx.TensorProto.UINT8
FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)


class ForeignNetwork(nn.Module):
    """An ONNX graph of another architecture, through onnx2torch; its layers keep their names.

    `forward` takes (batch, 4, 84, 84), bytes or floats in 0..1 as every network of the zoo does,
    hands the graph the layout, type and range that it wants, and gives the output that rates the
    actions. The value of the state, where there is such an output, is its layer "value".

    maximum: the value of a white pixel in the graph's input, 1 or 255.
    shape: frames, height and width of an observation.
    channels_last: whether the graph has the frames as its last axis.
    batch: the only number of observations that the graph takes at once; 0 for any.

    Raises ConversionError if it is no agent's, or cannot be run as a torch module.
    """

    def __init__(self, model: onnx.ModelProto, card: ModelCard, maximum: float = 1.0) -> None:
        super().__init__()
        self.card, self.maximum = card, maximum
        weights = {weight.name for weight in model.graph.initializer}
        given = [i for i in model.graph.input if i.name not in weights]
        inputs = [i.type.tensor_type for i in given]
        if len(inputs) != 1 or len(inputs[0].shape.dim) != 4:
            names = ", ".join(
                f"'{i.name}' of {len(i.type.tensor_type.shape.dim)} axes" for i in given
            )
            wrong = Stateful if len(inputs) > 1 else ConversionError
            raise wrong(
                f"an agent takes one input of four axes, its observations; this one's: {names} "
                "(a state that is carried from step to step is not translated)"
            )
        kind = inputs[0].elem_type
        if kind not in (BYTES, *FLOATS):
            name = onnx.TensorProto.DataType.Name(kind)
            raise ConversionError(f"an agent takes bytes or floats; this one takes {name}")
        self.bytes = kind == BYTES
        batch, *sizes = (dim.dim_value for dim in inputs[0].shape.dim)
        # an observation is square; a graph that leaves all open has torch's order
        self.channels_last = sizes[1] != sizes[2] and sizes[0] > sizes[2] > 0
        if self.channels_last:
            sizes = [sizes[2], *sizes[:2]]
        frames, height, width = (a or b for a, b in zip(sizes, SHAPE, strict=True))
        self.shape = (frames, height, width)
        self.output, self.value = nn.Identity(), nn.Identity()  # layers of what it gives
        self.batch = batch
        called = [output.name for output in model.graph.output]
        if batch and self._is_free(with_free_batch(model), called):
            self.batch = 0
        else:
            self._take(model, called)
        # onnx2torch puts "/" for the dots
        paths = [module_path(node) for node in model.graph.node]
        self._paths = {path.replace(".", "/"): path for path in paths if path}
        self._note_layers()

    @property
    def layers(self) -> dict[str, nn.Module]:
        """The graph's modules by the paths of the torch modules that they were exported from,
        where the file has them, or else the names of their nodes; then "value", where there is
        such an output, and "output"."""
        ends = {VALUE: self.value} if self.roles.value >= 0 else {}
        named = {self._paths.get(name, name): name for name in self._named}
        inner = {name: self.graph.get_submodule(place) for name, place in named.items()}
        ends |= {OUTPUT: self.output}
        return {name: part for name, part in inner.items() if name not in ends} | ends

    def _parts(self) -> dict[str, nn.Module]:
        """What may be layers, by their places in the graph."""
        return dict(self.graph.named_children())

    def forward(self, observations: Tensor) -> Tensor:
        if not self.batch or len(observations) == self.batch:
            return self._once(observations)
        parts = []
        for part in observations.split(self.batch):
            short = self.batch - len(part)
            filled = torch.cat([part, part[-1:].expand(short, *part.shape[1:])]) if short else part
            parts.append(self._once(filled)[: len(part)])
        return torch.cat(parts)

    def _once(self, observations: Tensor) -> Tensor:
        """Of as many observations as the graph takes."""
        found = self._outputs(observations)
        if self.roles.value >= 0:
            self.value(found[self.roles.value].reshape(-1, 1))
        return self.output(found[self.roles.output])

    def _outputs(self, observations: Tensor) -> list[Tensor]:
        """All that the graph gives."""
        if not self.bytes:
            observations = scaled(observations, self.maximum)
        elif observations.is_floating_point():
            observations = observations * 255
        if self.channels_last:
            observations = observations.permute(0, 2, 3, 1)
        outputs = self.graph(observations)
        several = outputs if isinstance(outputs, list | tuple) and outputs else [outputs]
        if not all(isinstance(output, Tensor) for output in several):
            wrong = next(output for output in several if not isinstance(output, Tensor))
            raise ConversionError(
                f"it gives a {type(wrong).__name__}; a tensor (batch, actions) was expected, or a "
                "tuple with one"
            )
        return list(several)

    @torch.no_grad()
    def _tell(self, names: Mapping[int, str]) -> None:
        """Which output is what, from what it gives for black screens. names: of some of them."""
        count = self.batch or 2
        try:
            outputs = self._outputs(torch.zeros(count, *self.shape, dtype=torch.uint8))
        except ConversionError:
            raise
        except Exception as error:  # it raises whatever its modules meet
            words = " ".join(str(error).split())[:200]
            raise ConversionError(
                f"as a torch module it cannot be run on observations of {self.shape}: {words}"
            ) from error
        called = [(names.get(n, str(n)), output) for n, output in enumerate(outputs)]
        self.roles = roles_told(called, count)
        self.actions = outputs[self.roles.output].shape[1]
        if self.roles.assumed and self.roles.assumed not in self.card.assumptions:
            assumptions = (*self.card.assumptions, self.roles.assumed)
            self.card = self.card.replace(assumptions=assumptions)

    def _take(self, model: onnx.ModelProto, names: Sequence[str]) -> None:
        self.graph = _through_onnx2torch(model).float()
        self.eval()  # as it was exported; what is tried must not teach its batch norms
        self._tell(dict(enumerate(names)))

    @torch.no_grad()
    def _is_free(self, model: onnx.ModelProto, names: Sequence[str]) -> bool:
        """Whether the graph gives several observations what it gives each of them alone."""
        noise = torch.Generator().manual_seed(0)
        some = torch.randint(0, 256, (3, *self.shape), generator=noise, dtype=torch.uint8)
        try:
            self._take(model, names)
            together, alone = self._once(some), [self._once(one[None]) for one in some]
            return together.shape == (3, self.actions) and bool(
                torch.allclose(together, torch.cat(alone), rtol=1e-4, atol=1e-5)
            )
        except Exception:  # it raises whatever its modules meet
            return False

    @torch.no_grad()
    def _note_layers(self) -> None:
        """Notes which parts are layers; constants and shapes are none, nor are maps whose channels
        do not come first, as before they are turned."""
        parts = self._parts()
        seen = torch.zeros(self.batch or 2, *self.shape, dtype=torch.uint8)
        trace = Trace(seen, TRACING_RULES)
        with recorded(SimpleNamespace(layers=parts), list(parts)) as values, trace:
            self(seen)
        found = [name for name in parts if _is_layer(values.get(name), len(seen))]
        self._named = tuple(name for name in found if not _is_turned(trace.of(values[name])))


Network = MnihNetwork | ForeignNetwork


def scaled(observations: Tensor, maximum: float) -> Tensor:
    """Bytes, or floats in 0..1, as floats up to `maximum`, 1 or 255."""
    if observations.dtype == torch.uint8:
        return observations.float() if maximum == 255 else observations.float() / 255
    return observations if maximum == 1 else observations * maximum


def _is_layer(value: object, count: int) -> bool:
    """Whether a value is numbers for each of so many observations."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return False
    return value.dim() > 1 and len(value) == count


def _is_turned(traced: Traced | None) -> bool:
    """Whether a value has rows or columns of the screen where channels are expected."""
    if traced is None or traced.unknown or len(traced.layout) != 4:
        return False
    return not is_maps(traced.layout)


def observation_shape(network: Network) -> tuple[int, int, int]:
    """Frames, height and width of what the network sees."""
    return network.trunk.shape if isinstance(network, MnihNetwork) else network.shape


def _through_onnx2torch(model: onnx.ModelProto) -> nn.Module:
    import onnx2torch

    try:
        return onnx2torch.convert(with_older_operators(model))
    except ConversionError:
        raise
    except Exception as error:  # what converters and onnx's schemas meet in damaged graphs, too
        words = " ".join(str(error).split())[:200]
        raise ConversionError(f"onnx2torch cannot translate it either: {words}") from error
