"""ONNX graphs of agents with loops inside, made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

UNITS, ACTIONS = 5, 6
FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
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


def stepping(steps: int, opset: int = 17) -> onnx.ModelProto:
    """A plain recurrent cell in a Loop through the frames of an observation, which it takes by the
    number of the step; how many there are is told by a size of the graph's own.

    The value is the largest number that any step gave.
    """
    info, state = helper.make_tensor_value_info, ["batch", UNITS]
    body = helper.make_graph(
        [
            node("Gather", ["rows", "number"], ["x"], axis=1),
            node("MatMul", ["x", "W"], ["xw"]),
            node("MatMul", ["h", "R"], ["hr"]),
            node("Add", ["xw", "hr"], ["sum"]),
            node("Tanh", ["sum"], ["h1"]),
            node("Identity", ["h1"], ["made"]),
            node("Identity", ["cond"], ["going"]),
        ],
        "body",
        [info("number", INT64, []), info("cond", BOOL, []), info("h", FLOAT, state)],
        [info("going", BOOL, []), info("h1", FLOAT, state), info("made", FLOAT, state)],
        [numpy_helper.from_array(weights(49, UNITS), "W")],
    )
    pool = {"kernel_shape": [12, 12], "strides": [12, 12]}
    nodes = [
        node("Mul", ["seen", "scale"], ["scaled"]),
        node("AveragePool", ["scaled"], ["pooled"], **pool),
        node("Reshape", ["pooled", "shape"], ["rows"]),
        node("Shape", ["seen"], ["sizes"]),
        node("Gather", ["sizes", "second"], ["count"]),
        node("Loop", ["count", "", "h0"], ["hn", "all"], "memory", body=body),
        node("MatMul", ["hn", "P"], ["policy"]),
        node("ReduceMax", ["all"], ["value"], axes=[0, 2], keepdims=0),
    ]
    stored = {
        "scale": np.array(1 / 255, np.float32),
        "shape": np.array([0, 0, 49]),
        "second": np.array(1),
        "R": weights(UNITS, UNITS, seed=1),
        "P": weights(UNITS, ACTIONS, seed=2),
    }
    graph = helper.make_graph(
        nodes,
        "agent",
        [info("seen", FLOAT, ["batch", steps, 84, 84]), info("h0", FLOAT, state)],
        [
            info("policy", FLOAT, ["batch", ACTIONS]),
            info("hn", FLOAT, state),
            info("value", FLOAT, ["batch"]),
        ],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


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
