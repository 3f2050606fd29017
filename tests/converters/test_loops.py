"""Loops inside ONNX graphs, written out; onnxruntime runs the loops themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from loop_graphs import ACTIONS, FLOAT, UNITS, looped, node, scan, stepping, weights
from onnx import helper, numpy_helper

from atari_zoo.converters import ConversionError, to_torch, verify
from atari_zoo.converters.convert import read
from atari_zoo.converters.network.foreign import ForeignNetwork
from atari_zoo.converters.network.loops import without_loops

CASES: dict[str, Callable[[], onnx.ModelProto]] = {
    "Loop of one step": lambda: stepping(1),
    "Loop of four steps": lambda: stepping(4),
    "Loop of four steps, opset 11": lambda: stepping(4, opset=11),
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
                wanted = torch.cat(expected[1 : len(names)], dim=1)
                torch.testing.assert_close(state, wanted, atol=1e-5, rtol=1e-4)
    for row in verify(graph):
        assert row.difference <= 1e-5 * max(row.magnitude, 1), row


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
