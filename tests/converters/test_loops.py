"""Loops inside ONNX graphs, written out; onnxruntime runs the loops themselves."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from atari_zoo.converters import ConversionError, to_torch, verify
from atari_zoo.converters.convert import read
from atari_zoo.converters.network.foreign import ForeignNetwork
from atari_zoo.converters.network.loops import without_loops

UNITS, FEATURES, ACTIONS = 5, 12, 6
FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


class Stepped(nn.Module):
    """A GRU's cell through the frames of an observation, or one of them, one after the other; its
    loop stays one when it is scripted."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.look, self.cell = nn.Linear(49, FEATURES), nn.GRUCell(FEATURES, UNITS)
        self.policy = nn.Linear(UNITS, ACTIONS)

    def forward(self, seen: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        small = torch.nn.functional.avg_pool2d(seen / 255, 12).flatten(2)
        for frame in range(self.frames):
            h = self.cell(self.look(small[:, frame]).relu(), h)
        return self.policy(h), h


def scripted_loop(frames: int) -> onnx.ModelProto:
    torch.manual_seed(0)
    file = io.BytesIO()
    given = (torch.zeros(2, frames, 84, 84), torch.zeros(2, UNITS))
    names = {"input_names": ["seen", "h"], "output_names": ["policy", "next_h"]}
    axes = {name: {0: "batch"} for name in ("seen", "h", "policy", "next_h")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both say that they are deprecated
        model = torch.jit.script(Stepped(frames).eval())
        torch.onnx.export(model, given, file, dynamo=False, dynamic_axes=axes, **names)
    return onnx.load_from_string(file.getvalue())


node = helper.make_node


def weights(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.4, shape).astype(np.float32)


def scan(
    steps: int | str = 1, backward: bool = False, body: list[onnx.NodeProto] | None = None
) -> onnx.ModelProto:
    """An LSTM's cell in a Scan, over rows of pooled pixels, as many as there are steps.

    Its states go in and out, and what each step gave is added up before the actions.
    """
    rows = (
        ("MatMul", "x W", "xw"), ("MatMul", "h R", "hr"), ("Add", "xw hr", "sum"),
        ("Split", "sum", "i f o g"), ("Sigmoid", "i", "is"), ("Sigmoid", "f", "fs"),
        ("Sigmoid", "o", "os"), ("Tanh", "g", "gt"), ("Mul", "fs c", "kept"),
        ("Mul", "is gt", "new"), ("Add", "kept new", "c1"), ("Tanh", "c1", "ct"),
        ("Mul", "os ct", "h1"), ("Identity", "h1", "made"),
    )  # fmt: skip
    axis = {"Split": {"axis": 1}}
    gates = [node(op, one.split(), two.split(), **axis.get(op, {})) for op, one, two in rows]
    state = ["batch", UNITS]
    info = helper.make_tensor_value_info
    inside = helper.make_graph(
        body or gates,
        "body",
        [info("h", FLOAT, state), info("c", FLOAT, state), info("x", FLOAT, ["batch", 49])],
        [info("h1", FLOAT, state), info("c1", FLOAT, state), info("made", FLOAT, state)],
        [numpy_helper.from_array(weights(49, 4 * UNITS), "W")],
    )
    facts: dict[str, Any] = {"scan_input_axes": [1], "scan_output_axes": [1]}
    if backward:
        facts |= {"scan_input_directions": [1], "scan_output_directions": [1]}
    pool = {"kernel_shape": [12, 12], "strides": [12, 12]}
    nodes = [
        node("Mul", ["seen", "scale"], ["scaled"]),
        node("AveragePool", ["scaled"], ["pooled"], **pool),
        node("Reshape", ["pooled", "rows"], ["steps"]),
        node("Scan", ["h0", "c0", "steps"], ["hn", "cn", "all"], "memory",
             body=inside, num_scan_inputs=1, **facts),
        node("ReduceSum", ["all", "axis"], ["added"], keepdims=0),
        node("MatMul", ["added", "P"], ["policy"]),
    ]  # fmt: skip
    stored = {
        "scale": np.array(1 / 255, np.float32), "rows": np.array([0, 0, 49]), "axis": np.array([1]),
        "R": weights(UNITS, 4 * UNITS, seed=1), "P": weights(UNITS, ACTIONS, seed=2),
    }  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "agent",
        [
            info("seen", FLOAT, ["batch", steps, 84, 84]),
            info("h0", FLOAT, state),
            info("c0", FLOAT, state),
        ],
        [
            info("policy", FLOAT, ["batch", ACTIONS]),
            info("hn", FLOAT, state),
            info("cn", FLOAT, state),
        ],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


CASES: dict[str, Callable[[], onnx.ModelProto]] = {
    "Loop of one step": lambda: scripted_loop(1),
    "Loop of four steps": lambda: scripted_loop(4),
    "Scan of one step": scan,
    "Scan of three steps": lambda: scan(3),
    "Scan of three steps, backwards": lambda: scan(3, backward=True),
}


@pytest.mark.parametrize("case", CASES)
def test_loops_are_written_out_and_compute_the_same(tmp_path: Path, case: str) -> None:
    graph = CASES[case]()
    kinds = {one.op_type for one in graph.graph.node}
    assert kinds & {"Loop", "Scan"}
    onnx.save(graph, tmp_path / "agent.onnx")
    read_model = read(tmp_path / "agent.onnx").model
    assert isinstance(read_model, onnx.ModelProto)
    onnx.checker.check_model(read_model, full_check=True)
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [given.name for given in session.get_inputs()]
    drawn = torch.Generator().manual_seed(0)
    for network in (to_torch(graph), to_torch(read_model)):
        assert isinstance(network, ForeignNetwork) and len(network.states) == len(names) - 1
        for count in (1, 7):
            state = torch.randn(count, UNITS * (len(names) - 1), generator=drawn)
            for _ in range(3):
                seen = torch.randint(
                    0, 256, (count, *network.shape), dtype=torch.uint8, generator=drawn
                )
                parts = [seen.float(), *state.split(UNITS, dim=1)]
                feed = {name: part.numpy() for name, part in zip(names, parts, strict=True)}
                expected = [torch.from_numpy(value) for value in session.run(None, feed)]
                with torch.no_grad():
                    policy, state = network.step(seen, state)
                assert expected[0].abs().max() > 0.01
                torch.testing.assert_close(policy, expected[0], atol=1e-5, rtol=1e-4)
                wanted = torch.cat(expected[1:], dim=1)
                torch.testing.assert_close(state, wanted, atol=1e-5, rtol=1e-4)
    for row in verify(graph):
        assert row.difference <= 1e-5 * max(row.magnitude, 1), row


def looped(going: str = "going", count: bool = True, steps: int = 2) -> onnx.ModelProto:
    """The actions, doubled in each step of a Loop. going: what its body gives as its condition."""
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            node("Add", ["x", "x"], ["y"]),
            node("ReduceMax", ["y"], ["most"], keepdims=0),
            node("Less", ["most", "limit"], ["less"]),
            node("Identity", ["cond"], ["going"]),
        ],
        "body",
        [info("number", INT64, []), info("cond", BOOL, []), info("x", FLOAT, ["batch", ACTIONS])],
        [info(going, BOOL, []), info("y", FLOAT, ["batch", ACTIONS])],
        [numpy_helper.from_array(np.array(9, np.float32), "limit")],
    )
    number = "steps" if count else "batches"
    nodes = [
        node("GlobalAveragePool", ["seen"], ["mean"]),
        node("Flatten", ["mean"], ["flat"]),
        node("MatMul", ["flat", "P"], ["rated"]),
        node("Shape", ["seen"], ["sizes"]),
        node("Gather", ["sizes", "first"], ["batches"]),
        node("Loop", [number, "yes", "rated"], ["policy"], "doubling", body=body),
    ]
    stored = {
        "P": weights(4, ACTIONS),
        "steps": np.array(steps),
        "yes": np.array(True),
        "first": np.array(0),
    }
    graph = helper.make_graph(
        nodes,
        "agent",
        [info("seen", FLOAT, ["batch", 4, 84, 84])],
        [info("policy", FLOAT, ["batch", ACTIONS])],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_a_loop_of_a_stored_number_of_steps() -> None:
    doubled = to_torch(looped(steps=3))
    seen = torch.randint(0, 256, (7, 4, 84, 84), dtype=torch.uint8)
    expected = 8 * (seen.float() / 255).mean((2, 3)) @ torch.from_numpy(weights(4, ACTIONS))
    torch.testing.assert_close(doubled(seen), expected, atol=1e-5, rtol=1e-4)


def inner_graph() -> onnx.ModelProto:
    """A Scan whose body branches."""
    graph = scan().graph.node[3].attribute
    body = next(a.g for a in graph if a.name == "body")
    branch = helper.make_graph(
        [node("Identity", ["h1"], ["same"])],
        "branch",
        [],
        [helper.make_tensor_value_info("same", FLOAT, None)],
    )
    yes = node("Constant", [], ["yes"], value=numpy_helper.from_array(np.array(True)))
    made = node("If", ["yes"], ["made"], then_branch=branch, else_branch=branch)
    return scan(body=[*body.node[:-1], yes, made])


REFUSED: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "a condition": (
        lambda: looped("less"),
        r"node 'doubling' \(Loop\): a loop that ends by a condition is not translated; export",
    ),
    "as many steps as observations": (
        lambda: looped(count=False),
        r"node 'doubling' \(Loop\): how many steps it has depends on what it is fed",
    ),
    "rows of an open number": (
        lambda: scan("rows"),
        r"node 'memory' \(Scan\): how many steps it has depends on what it is fed",
    ),
    "too many steps": (lambda: looped(steps=1000), "it has 1000 steps; 1 to 32 were expected"),
    "no steps": (lambda: looped(steps=0), "it has 0 steps; 1 to 32 were expected"),
    "branches": (inner_graph, r"node 'memory' \(Scan\): its body has graphs of its own \(If\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_loops_are_refused_by_name_in_one_line(tmp_path: Path, case: str) -> None:
    make, message = REFUSED[case]
    onnx.save(make(), tmp_path / "agent.onnx")
    for refused in (lambda: to_torch(make()), lambda: to_torch(tmp_path / "agent.onnx")):
        with pytest.raises(ConversionError, match=message) as caught:
            refused()
        assert "\n" not in str(caught.value) and "export the agent for one step" in str(
            caught.value
        )


def test_damaged_loops_are_refused() -> None:
    for change in ("body", "inputs", "outputs"):
        graph = scan()
        loop = graph.graph.node[3]
        body = next(a for a in loop.attribute if a.name == "body")
        if change == "body":
            loop.attribute.remove(body)
        elif change == "inputs":
            del body.g.input[0]
        else:
            del body.g.output[:]
        with pytest.raises(ConversionError, match=r"node 'memory' \(Scan\): .*damaged"):
            without_loops(graph)
