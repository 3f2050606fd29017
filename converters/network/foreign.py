"""ONNX graphs of other architectures: through onnx2torch, still modules with named layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace

import onnx
import torch
from torch import Tensor, nn

from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.carried_states import (
    Carried,
    carried_states,
    with_states_apart,
)
from atari_zoo.converters.network.free_batches import with_free_batch
from atari_zoo.converters.network.hooks import BatchPart, recorded
from atari_zoo.converters.network.layouts import is_maps
from atari_zoo.converters.network.older_opsets import module_path, with_older_operators
from atari_zoo.converters.network.outputs import OUTPUT, VALUE, Roles, roles_told
from atari_zoo.converters.network.probabilities import (
    Logarithm,
    are_probabilities,
    without_softmax,
)
from atari_zoo.converters.network.stateful import (
    StatefulNetwork,
    joined_state,
    parts_of_state,
    state_size,
)
from atari_zoo.converters.network.tracing import Trace, Traced
from atari_zoo.converters.network.tracing_rules import TRACING_RULES

SHAPE = (4, 84, 84)  # of an observation, where a graph leaves its sizes open
BYTES = onnx.TensorProto.UINT8
FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)


class ForeignNetwork(StatefulNetwork):
    """An ONNX graph of another architecture, through onnx2torch; its layers keep their names.

    `forward` takes (batch, 4, 84, 84), bytes or floats in 0..1 as every network of the zoo does,
    hands the graph the layout, type and range that it wants, and gives the output that rates the
    actions; where that is probabilities, their logits. The value of the state, where there is such
    an output, is its layer "value".

    maximum: the value of a white pixel in the graph's input, 1 or 255.
    shape: frames, height and width of an observation.
    channels_last: whether the graph has the frames as its last axis.
    batch: the only number of observations that the graph takes at once; 0 for any.
    main: the graph's output that is the actions'.
    carried: the states that it carries, and by which tensors; none of most.
    softmax: the operator that ended that output and was left out, "Softmax", "LogSoftmax" or "".
    roles: which of the graph's outputs, the states' aside, is what.

    Raises ConversionError if it is no agent's, or cannot be run as a torch module.
    """

    carried: tuple[Carried, ...] = ()
    readout: nn.Module
    part: BatchPart | None = None  # which is being run, where the graph takes only so many
    _places: Sequence[int] = ()
    _assumed: str = ""

    def __init__(self, model: onnx.ModelProto, card: ModelCard, maximum: float = 1.0) -> None:
        super().__init__()
        self.card, self.maximum = card, maximum
        self.readout, self.value = nn.Identity(), nn.Identity()  # layers of what it gives
        self.main, self.carried, self._assumed = carried_states(model)
        self.states = tuple(state.part for state in self.carried)
        self._places = list(range(len(self.carried)))  # of each, among the graph's own
        model = with_states_apart(model, self.main, self.carried)
        model, self._softmaxes = without_softmax(model)
        passed = {weight.name for weight in model.graph.initializer}
        passed |= {state.input for state in self.carried}
        given = [i for i in model.graph.input if i.name not in passed]
        inputs = [i.type.tensor_type for i in given]
        if len(inputs) != 1 or len(inputs[0].shape.dim) != 4:
            names = ", ".join(
                f"'{i.name}' of {len(i.type.tensor_type.shape.dim)} axes" for i in given
            )
            raise ConversionError(
                f"an agent takes one input of four axes, its observations; this one's: {names}"
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
        self.batch = batch
        ends = [name for state in self.carried for name in (state.input, f"{state.output}/next")]
        axes = dict(zip(ends, (s.axis for s in self.carried for _ in range(2)), strict=True))
        called = [output.name for output in model.graph.output]
        if batch and self._is_free(with_free_batch(model, axes), called):
            self.batch = 0
        else:
            self._take(model, called)
        # onnx2torch puts "/" for the dots
        paths = [module_path(node) for node in model.graph.node]
        self._paths = {path.replace(".", "/"): path for path in paths if path}
        self._note_layers()

    architecture = "another architecture's"

    @property
    def layers(self) -> dict[str, nn.Module]:
        """The graph's modules by the paths of the torch modules that they were exported from,
        where the file has them, or else the names of their nodes; then "value", where there is
        such an output, and "output"."""
        ends: dict[str, nn.Module] = {VALUE: self.value} if self.roles.value >= 0 else {}
        named = {self._paths.get(name, name): name for name in self._named}
        inner = {name: self.graph.get_submodule(place) for name, place in named.items()}
        ends[OUTPUT] = self.readout
        return {name: part for name, part in inner.items() if name not in ends} | ends

    def _parts(self) -> dict[str, nn.Module]:
        """What may be layers, by their places in the graph."""
        return dict(self.graph.named_children())

    def take_in_order(self, carried: Sequence[Carried]) -> None:
        """Has the states stand in another order in a row."""
        self._places = [self.carried.index(state) for state in carried]
        self.carried = tuple(carried)
        self.states = tuple(state.part for state in carried)

    def step(self, observations: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        if not self.batch or len(observations) == self.batch:
            return self._once(observations, state)
        parts = []
        shares = list(zip(observations.split(self.batch), state.split(self.batch), strict=True))
        try:
            for number, (some, rows) in enumerate(shares):
                self.part = BatchPart(number, len(some), number == len(shares) - 1)
                made = self._once(_filled(some, self.batch), _filled(rows, self.batch))
                parts.append(tuple(values[: len(some)] for values in made))
        finally:
            self.part = None
        outputs, states = zip(*parts, strict=True)
        return torch.cat(outputs), torch.cat(states)

    def _once(self, observations: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Of as many observations as the graph takes."""
        found, following = self._outputs(observations, state)
        if self.roles.value >= 0:
            self.value(found[self.roles.value].reshape(-1, 1))
        return self.readout(found[self.roles.output]), following

    def _outputs(self, observations: Tensor, state: Tensor) -> tuple[list[Tensor], Tensor]:
        """All that the graph gives but for its states, and the next state."""
        if not self.bytes:
            observations = scaled(observations, self.maximum)
        elif observations.is_floating_point():
            observations = observations * 255
        if self.channels_last:
            observations = observations.permute(0, 2, 3, 1)
        parts = parts_of_state(self, state).values()
        moved = [p.movedim(0, c.axis) for p, c in zip(parts, self.carried, strict=True)]
        given = [moved[self._places.index(number)] for number in range(len(moved))]
        outputs = self.graph(observations, *given)
        several = outputs if isinstance(outputs, list | tuple) and outputs else [outputs]
        if not all(isinstance(output, Tensor) for output in several):
            wrong = next(output for output in several if not isinstance(output, Tensor))
            raise ConversionError(
                f"it gives a {type(wrong).__name__}; a tensor (batch, actions) was expected, or a "
                "tuple with one"
            )
        following = [several[1 + place] for place in self._places]
        moved = [o.movedim(c.axis, 0) for o, c in zip(following, self.carried, strict=True)]
        others = [several[0], *several[1 + len(following) :]]
        return others, joined_state(moved, len(observations)) if moved else state

    @torch.no_grad()
    def _tell(self, names: Mapping[int, str]) -> None:
        """Which output is what, from what it gives for black screens. names: of some of them."""
        count = self.batch or 2
        seen = torch.zeros(count, *self.shape, dtype=torch.uint8)
        try:
            outputs, _ = self._outputs(seen, self.initial_state(count))
        except ConversionError:
            raise
        except Exception as error:  # it raises whatever its modules meet
            words = " ".join(str(error).split())[:200]
            raise ConversionError(
                f"as a torch module it cannot be run on observations of {self.shape}: {words}"
            ) from error
        called = [(names.get(n, str(n)), output) for n, output in enumerate(outputs)]
        roles = roles_told(called, count)
        # of a graph with states, which output is the actions' was told with them
        if self.carried:
            roles = Roles(0, roles.value if roles.value else -1, self._assumed)
        self.roles = roles
        self.actions = outputs[self.roles.output].shape[1]
        if self.roles.assumed and self.roles.assumed not in self.card.assumptions:
            assumptions = (*self.card.assumptions, self.roles.assumed)
            self.card = self.card.replace(assumptions=assumptions)

    def _take(self, model: onnx.ModelProto, names: Sequence[str]) -> None:
        self.graph, self.readout = _through_onnx2torch(model).float(), nn.Identity()
        self.eval()  # as it was exported; what is tried must not teach its batch norms
        others = [0, *range(1 + len(self.carried), len(names))]  # but for the states
        self._tell({place: names[number] for place, number in enumerate(others)})
        self.softmax = self._softmaxes[others[self.roles.output]]
        self._read_logits()

    @torch.no_grad()
    def _read_logits(self) -> None:
        """Has probabilities, which no operator tells, read as their logits."""
        black = torch.zeros(self.batch or 2, *self.shape, dtype=torch.uint8)
        state = self.initial_state(len(black))
        found = torch.cat([self._once(seen, state)[0] for seen in (black, _noise(black))])
        if are_probabilities(found):
            self.readout, self.softmax = Logarithm(), "Softmax"

    @torch.no_grad()
    def _is_free(self, model: onnx.ModelProto, names: Sequence[str]) -> bool:
        """Whether the graph gives several observations what it gives each of them alone."""
        some = _noise(torch.empty(3, *self.shape))
        drawn = torch.Generator().manual_seed(0)
        states = torch.randn(3, state_size(self), generator=drawn)
        fixed, self.batch = self.batch, 0
        try:
            self._take(model, names)
            together = torch.cat(self._once(some, states), dim=1)
            alone = [
                torch.cat(self._once(one[None], state[None]), dim=1)
                for one, state in zip(some, states, strict=True)
            ]
            return together.shape == (3, self.actions + state_size(self)) and bool(
                torch.allclose(together, torch.cat(alone), rtol=1e-4, atol=1e-5)
            )
        except Exception:  # it raises whatever its modules meet
            return False
        finally:
            self.batch = fixed

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


def _filled(rows: Tensor, count: int) -> Tensor:
    """As many rows as that, the last one again."""
    short = count - len(rows)
    return torch.cat([rows, rows[-1:].expand(short, *rows.shape[1:])]) if short else rows


def _noise(like: Tensor) -> Tensor:
    """As many observations of noise."""
    drawn = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, like.shape, generator=drawn, dtype=torch.uint8)


Network = AgentNetwork | ForeignNetwork


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
    return network.shape


def _through_onnx2torch(model: onnx.ModelProto) -> nn.Module:
    import onnx2torch

    try:
        return onnx2torch.convert(with_older_operators(model))
    except ConversionError:
        raise
    except Exception as error:  # what converters and onnx's schemas meet in damaged graphs, too
        words = " ".join(str(error).split())[:200]
        raise ConversionError(f"onnx2torch cannot translate it either: {words}") from error
