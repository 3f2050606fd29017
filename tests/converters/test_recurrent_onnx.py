"""ONNX graphs that carry states, and ONNX's recurrent operators; against onnxruntime, and against
the modules that were exported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnx2torch
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from recurrent_agents import UNITS, WithCell, WithMemory, exported, recurrent_network
from torch import Tensor, nn
from torch_zoo_files import lively, nature

from atari_zoo.converters import ConversionError, MnihNetwork, to_torch, verify
from atari_zoo.converters.export.graph import network_to_onnx
from atari_zoo.converters.network.carried_states import carried_states
from atari_zoo.converters.network.foreign import ForeignNetwork
from atari_zoo.converters.network.older_opsets import with_older_operators
from atari_zoo.converters.network.recurrent import RecurrentNetwork
from atari_zoo.models import convert

MODULES: dict[str, Callable[[], WithMemory]] = {
    "LSTM": WithMemory,
    "LSTM of two layers": lambda: WithMemory(layers=2),
    "GRU": lambda: WithMemory("GRU"),
    "LSTMCell": WithCell,
    "GRUCell": lambda: WithCell("GRUCell"),
}


def seen(batch: int, seed: int) -> Tensor:
    drawn = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (batch, 4, 84, 84), dtype=torch.uint8, generator=drawn)


def check_steps(network: ForeignNetwork, module: WithMemory, batch: int) -> None:
    """Four steps of both, each carrying its own state: the outputs and states are the same."""
    states, state = module.zeros(batch), network.initial_state(batch)
    with torch.no_grad():
        for step in range(4):
            some = seen(batch, step)
            expected, _, *states = module(some / 255, *states)
            found, state = network.step(some, state)
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    rows = [s.transpose(0, 1) if s.ndim == 3 else s for s in states]
    wanted = torch.cat([row.reshape(batch, -1) for row in rows], dim=1)
    torch.testing.assert_close(state, wanted, atol=1e-5, rtol=1e-5)


# torch's dynamo exporter takes its time: of it what it writes in another way
EXPORTS = [
    *((name, False, False) for name in MODULES),
    *((name, False, True) for name in ("LSTM", "GRUCell")),
    ("LSTM of two layers", True, False),
    ("LSTMCell", True, True),
]


@pytest.mark.parametrize("name, dynamo, fixed", EXPORTS)
def test_an_exported_module_is_the_same_step_by_step(name: str, dynamo: bool, fixed: bool) -> None:
    module = MODULES[name]()
    size = 1 if fixed else 2
    graph = exported(module, seen(size, 0) / 255, *module.zeros(size), dynamo=dynamo, fixed=fixed)
    network = to_torch(graph)
    assert isinstance(network, ForeignNetwork)
    assert len(network.states) == (1 if "GRU" in name else 2)
    for batch in (1, 3):
        check_steps(network, module, batch)
    rows = verify(graph)
    assert len(rows) == 1 + len(network.states)
    assert all(row.difference < 1e-5 < row.magnitude for row in rows)


class Swapped(WithMemory):
    """Cell before hidden state on the way out, and the value before the policy's states."""

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        policy, value, hidden, cell = super().forward(x, *states)
        return policy, cell, value, hidden


class SwappedCell(WithCell):
    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        policy, value, hidden, cell = super().forward(x, *states)
        return policy, cell, value, hidden


class StatesFirst(WithMemory):
    """States before the actions, both ways."""

    def forward(self, h: Tensor, c: Tensor, x: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        policy, value, hidden, cell = super().forward(x, h, c)
        return hidden, cell, policy, value


@pytest.mark.parametrize("kind", [Swapped, SwappedCell])
def test_states_of_one_shape_are_told_by_where_they_go(kind: type[WithMemory]) -> None:
    module = kind()
    graph = exported(module, seen(2, 0) / 255, *module.zeros(2))
    carried = carried_states(graph).carried
    given = [output.name for output in graph.graph.output]
    assert [state.output for state in carried] == [given[3], given[1]]
    network, plain = to_torch(graph), type(module).__mro__[1]()
    assert isinstance(network, ForeignNetwork)
    check_steps(network, plain, 2)


def test_states_may_come_before_the_observations_and_the_actions() -> None:
    module = StatesFirst()
    names = ["h", "c", "x"], ["hn", "cn", "q", "v"]
    graph = exported(module, *module.zeros(2), seen(2, 0) / 255, names=names)
    network = to_torch(graph)
    assert isinstance(network, ForeignNetwork) and network.main == "q"
    check_steps(network, WithMemory(), 2)
    assert max(row.difference for row in verify(graph)) < 1e-5


def crossing(outputs: tuple[str, str], inputs: tuple[str, str] = ("a", "b")) -> onnx.ModelProto:
    """Two states of one shape that sums mix: only names tell which is which."""
    text = f"""
        <ir_version: 8, opset_import: ["" : 17]>
        agent (float[N, 1, 84, 84] x, float[N, 6] {inputs[0]}, float[N, 6] {inputs[1]})
            => (float[N, 5] q, float[N, 6] {outputs[0]}, float[N, 6] {outputs[1]})
            <int64[1] end = {{-1}}, int64[2] flat = {{0, -1}}> {{
            pooled = GlobalAveragePool(x)
            one = Reshape(pooled, flat)
            {outputs[0]} = Add({inputs[0]}, one)
            {outputs[1]} = Sub({inputs[1]}, one)
            zero = Sub(end, end)
            five = Sub(zero, end)
            most = Slice({outputs[0]}, five, end_of_all, five)
            other = Slice({outputs[1]}, five, end_of_all, five)
            q = Sub(most, other)
        }}"""
    model = onnx.parser.parse_model(text)
    model.graph.initializer.append(numpy_helper.from_array(np.array([9]), "end_of_all"))
    return model


def test_states_that_cannot_be_told_apart_are_refused() -> None:
    carried = carried_states(crossing(("next_b", "next_a"))).carried
    assert [state.output for state in carried] == ["next_a", "next_b"]
    for names in (("first", "second"), ("next_a", "new_a")):
        with pytest.raises(ConversionError, match="cannot be told: ") as caught:
            to_torch(crossing(names))
        assert "\n" not in str(caught.value)


def graph_of(inputs: str, outputs: str = "float[N, 6] h2") -> onnx.ModelProto:
    text = f"""<ir_version: 8, opset_import: ["" : 17]>
        agent ({inputs}) => (float[N, 6] q, {outputs}) <float[6] w = {{1, 2, 3, 4, 5, 6}}> {{
            q = Mul(h, w) h2 = Add(h, w)
        }}"""
    return onnx.parser.parse_model(text)


REFUSED: dict[str, tuple[onnx.ModelProto, str]] = {
    "two images": (
        graph_of("float[N, 4, 84, 84] x, float[N, 4, 84, 84] y, float[N, 6] h"),
        "one input of four axes.*'x' of 4 axes, 'y' of 4 axes",
    ),
    "no image": (graph_of("float[N, 6] h, float[N, 6] k"), "one input of four axes"),
    "no next state": (
        graph_of("float[N, 4, 84, 84] x, float[N, 6] h, float[N, 7] k"),
        r"input 'k' \(0, 7\) is no observation, and no output of its shape",
    ),
    "whole numbers": (
        graph_of("float[N, 4, 84, 84] x, float[N, 6] h, int64[N] k", "float[N, 6] h2, int64[N] k2"),
        "input 'k' is INT64; a state is of floats",
    ),
    "an open size": (
        graph_of("float[N, 4, 84, 84] x, float[N, M] h", "float[N, M] h2"),
        "leaves its size open",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_state_is_refused_in_one_line(case: str) -> None:
    graph, message = REFUSED[case]
    with pytest.raises(ConversionError, match=message) as caught:
        to_torch(graph)
    assert "\n" not in str(caught.value)


class Told(WithMemory):
    """Told the last reward, which it does not give back; its value is of the same shape."""

    def forward(self, x: Tensor, reward: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        policy, *rest = super().forward(x, *states)
        return policy + reward, *rest


class Feedforward(nn.Module):
    """Without memory, and told the last action or reward."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.out = nn.Sequential(*nature((8, 8, 8), 16)), nn.Linear(16, 6)

    def forward(self, x: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        policy = self.out(self.body(x))
        return policy + last, policy[:, : last.shape[1]] * 2


@pytest.mark.parametrize("value", ["v", "baseline", "estimate"])
def test_a_value_is_no_last_reward(value: str) -> None:
    module, reward = Told("GRU"), torch.zeros(2, 1)
    names = ["x", "last_reward", "h"], ["q", value, "next_h"]
    graph = exported(module, seen(2, 0) / 255, reward, *module.zeros(2), names=names)
    with pytest.raises(ConversionError, match=r"'last_reward'.*as 'next_last_reward' would"):
        to_torch(graph)


@pytest.mark.parametrize("told, width", [("reward", 1), ("prev_action", 6)])
def test_an_output_is_not_fed_as_what_was_last_done(told: str, width: int) -> None:
    names = ["x", told], ["q", "other"]
    graph = exported(Feedforward(), seen(2, 0) / 255, torch.zeros(2, width), names=names)
    with pytest.raises(ConversionError, match=f"input '{told}'"):
        to_torch(graph)


class Counting(WithMemory):
    """Counts its steps, beside an LSTM whose outputs are the other way round."""

    def forward(self, x: Tensor, count: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        policy, value, hidden, cell = super().forward(x, *states)
        return policy, value, cell, hidden, count + 1


def test_each_state_is_told_by_what_tells_it() -> None:
    """h and c by where they go, which a sum tells nothing of; that by its name."""
    module = Counting()
    names = ["x", "steps", "a", "b"], ["q", "extra", "one", "two", "new_steps"]
    graph = exported(module, seen(2, 0) / 255, torch.zeros(2, 1), *module.zeros(2), names=names)
    found = {state.input: state.output for state in carried_states(graph).carried}
    assert found == {"steps": "new_steps", "a": "two", "b": "one"}


class Several(WithMemory):
    """Another output of the policy's shape before it; all that it computes is the policy's."""

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        policy, value, *rest = super().forward(x, *states)
        return policy * 0.5 - 1, policy * 1, value, *rest


def several(*outputs: str) -> onnx.ModelProto:
    module = Several()
    names = ["x", "h", "c"], [*outputs, "v", "next_h", "next_c"]
    return exported(module, seen(2, 0) / 255, *module.zeros(2), names=names)


@pytest.mark.parametrize("names, told", [(("aux", "pi"), True), (("aux", "other"), False)])
def test_the_actions_of_several_outputs_are_told_by_name(
    names: tuple[str, str], told: bool
) -> None:
    network = to_torch(several(*names))
    assert isinstance(network, ForeignNetwork)
    assert network.main == ("pi" if told else "aux") and "value" in network.layers
    assumed = "output 'aux' rates the actions, not 'other' (--action-output"
    assert [words.startswith(assumed) for words in network.card.assumptions] == [True] * (not told)
    if told:
        check_steps(network, WithMemory(), 2)


def test_the_actions_output_of_a_graph_with_states_is_chosen(tmp_path: Path) -> None:
    onnx.save(several("aux", "other"), tmp_path / "several.onnx")
    how = {"game": "Pong", "input_range": "0..1"}
    made = convert(tmp_path / "several.onnx", outputs={"output": "other"}, **how)
    assert not any("rates the actions" in words for words in made.card.assumptions)
    network = to_torch(made.model)
    assert isinstance(network, ForeignNetwork)
    check_steps(network, WithMemory(), 2)
    with pytest.raises(ConversionError, match=r"'v' is not \(batch, actions\)"):
        convert(tmp_path / "several.onnx", outputs={"output": "v"}, **how)


def test_what_is_called_as_a_state_does_not_rate_the_actions() -> None:
    """Both are of one shape, and either could be the other."""
    graph = graph_of("float[N, 4, 84, 84] x, float[N, 6] h")
    assert carried_states(graph)[::2] == ("q", "")
    graph.graph.output[0].name, graph.graph.node[0].output[0] = "some", "some"
    graph.graph.output.extend([graph.graph.output.pop(), graph.graph.output.pop()])
    assert [o.name for o in graph.graph.output] == ["h2", "some"]
    assert carried_states(graph)[::2] == ("some", "")


class Critic(nn.Module):
    """A critic without memory beside an actor with one: it is not the agent."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.middle = nn.Sequential(*nature((8, 8, 8), 16)), nn.Linear(16, 12)
        self.core, self.policy = nn.LSTM(16, 16), nn.Linear(16, 6)
        lively(self)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, ...]:
        features = self.body(x)
        out, (h, c) = self.core(features[None], (h, c))
        return self.policy(out[0]), self.middle(features), h, c


def test_what_reads_no_state_is_not_taken_for_the_agent() -> None:
    zeros = torch.zeros(1, 2, 16)
    network = to_torch(exported(Critic(), seen(2, 0) / 255, zeros, zeros.clone()))
    assert not isinstance(network, MnihNetwork)
    assert network.actions == 6 and len(network.states) == 2


class Drqn(nn.Module):
    """A memory that is reset with every observation."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(*nature((8, 8, 8), None))
        self.lstm, self.q = nn.LSTM(392, 16, batch_first=True), nn.Linear(16, 6)
        lively(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.q(self.lstm(self.body(x)[:, None])[0][:, 0])


@pytest.mark.parametrize("dynamo", [False, True])
def test_a_memory_that_forgets_is_no_state(dynamo: bool) -> None:
    module = Drqn()
    graph = exported(module, seen(2, 0) / 255, dynamo=dynamo)
    network = to_torch(graph)
    assert isinstance(network, ForeignNetwork) and not network.states
    with torch.no_grad():
        expected = module(seen(3, 1) / 255)
        torch.testing.assert_close(network(seen(3, 1)), expected, atol=1e-5, rtol=1e-5)


def test_torch_exports_of_a_known_architecture_have_its_names() -> None:
    own = recurrent_network(layers=2)

    class AsTorch(nn.Module):
        """The same weights, in a module as somebody writes it."""

        def __init__(self) -> None:
            super().__init__()
            self.network = own

        def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, ...]:
            trunk, head = self.network.trunk, self.network.head
            out, (h, c) = self.network.memory.rnn(trunk(x)[None], (h, c))
            return head.output(out[0]), head.value(out[0]), h, c

    zeros = torch.zeros(2, 2, UNITS)
    found = to_torch(exported(AsTorch(), seen(2, 0) / 255, zeros, zeros.clone()))
    assert isinstance(found, RecurrentNetwork)
    assert list(found.layers) == ["conv1", "conv2", "conv3", "fc", "memory", "value", "output"]
    for name, weight in own.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], weight, msg=name)


def operator(
    kind: str, inputs: str, constants: dict[str, np.ndarray], **facts: object
) -> onnx.ModelProto:
    """One recurrent operator: x (5, 2, 7), h and c (directions, 2, 4)."""
    names = ["x", "w", "r", "b" if "b" in constants else "", "", *inputs.split()]
    outputs = ["y", "yh", "yc"] if kind == "LSTM" else ["y", "yh"]
    node = helper.make_node(kind, names, outputs, hidden_size=4, **facts)
    directions = len(constants["r"])
    ends = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [5, 2, 7])]
    ends += [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [directions, 2, 4])
        for name in inputs.split()
    ]
    given = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in outputs]
    made = [onnx.ValueInfoProto(name=f"{name}_out") for name in outputs]
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph([node, *given], "one", ends, made, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def weights(gates: int, directions: int = 1, biases: bool = True) -> dict[str, np.ndarray]:
    drawn = np.random.default_rng(0)
    shapes = {"w": (4 * gates, 7), "r": (4 * gates, 4), "b": (8 * gates,)}
    found = {
        name: drawn.normal(size=(directions, *shape)).astype(np.float32)
        for name, shape in shapes.items()
    }
    return found if biases else {"w": found["w"], "r": found["r"]}


OPERATORS: dict[str, onnx.ModelProto] = {
    "LSTM": operator("LSTM", "h c", weights(4)),
    "LSTM without states": operator("LSTM", "", weights(4)),
    "LSTM without biases": operator("LSTM", "h c", weights(4, biases=False)),
    "LSTM backwards": operator("LSTM", "h c", weights(4), direction="reverse"),
    "LSTM both ways": operator("LSTM", "h c", weights(4, 2), direction="bidirectional"),
    "GRU of torch": operator("GRU", "h", weights(3), linear_before_reset=1),
    "GRU of the paper": operator("GRU", "h", weights(3)),
    "GRU of the paper, no state": operator("GRU", "", weights(3)),
    "RNN": operator("RNN", "h", weights(1)),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_a_recurrent_operator_computes_what_onnxruntime_does(name: str) -> None:
    model, drawn = OPERATORS[name], np.random.default_rng(1)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    feeds = {i.name: drawn.normal(size=i.shape).astype(np.float32) for i in session.get_inputs()}
    expected = session.run(None, feeds)
    module = onnx2torch.convert(with_older_operators(model))
    with torch.no_grad():
        found = module(*(torch.from_numpy(feed) for feed in feeds.values()))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-5)


UNKNOWN = {
    "clip": ({"clip": 0.5}, "its clip"),
    "layout": ({"layout": 1}, "its layout"),
    "input_forget": ({"input_forget": 1}, "its input_forget"),
    "activations": ({"activations": ["Relu", "Tanh", "Tanh"]}, "its activations are Relu"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_torchs_modules_do_not_compute_is_refused(name: str) -> None:
    facts, message = UNKNOWN[name]
    model = operator("LSTM", "h c", weights(4), **facts)
    with pytest.raises(ConversionError, match=message):
        onnx2torch.convert(with_older_operators(model))


def test_a_state_that_does_not_fit_is_refused() -> None:
    network = recurrent_network()
    with pytest.raises(ValueError, match=r"state is \(2, 47\); expected \(2, 48\).*hidden 1x24"):
        network(seen(2, 0), torch.zeros(2, 47))
    with pytest.raises(ValueError, match=r"state is \(1, 48\); expected \(2, 48\)"):
        network(seen(2, 0), torch.zeros(1, 48))
    with pytest.raises(ValueError, match="expected floats"):
        network(seen(2, 0), torch.zeros(2, 48, dtype=torch.long))


def test_a_graph_that_is_told_the_last_step_is_not_played_without_it() -> None:
    model = network_to_onnx(recurrent_network(told=("reward", "action")))
    del model.graph.node[-1].attribute[:]  # now it is no architecture that is known
    with pytest.raises(ConversionError, match="input 'reward'"):
        to_torch(model)


def test_negative_steps_and_ends_of_slices() -> None:
    cases = [(1, 3, 1, 1), (-2, 2**62, 1, 1), (5, 0, 2, -2), (4, -(2**62), -1, -1), (0, 2, 0, 1)]
    x = np.random.default_rng(0).normal(size=(3, 6, 7)).astype(np.float32)
    for start, end, axis, step in cases:
        constants = ", ".join(
            f"int64[1] {n} = {{{v}}}" for n, v in zip("seat", (start, end, axis, step), strict=True)
        )
        model = onnx.parser.parse_model(
            '<ir_version: 10, opset_import: ["" : 20]> a (float[3, 6, 7] x) => (float[] y) '
            f"<{constants}> {{ y = Slice(x, s, e, a, t) }}"
        )
        model.graph.output[0].type.tensor_type.ClearField("shape")
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        found = onnx2torch.convert(with_older_operators(model))(torch.from_numpy(x))
        np.testing.assert_array_equal(found.numpy(), session.run(None, {"x": x})[0])
