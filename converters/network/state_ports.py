"""Ports that states go into and come out of: where in a graph a state is read, and where made.

Followed through what only moves numbers. An LSTM, GRU or RNN has ports of its own; of a cell that
an exporter wrote out in simple operators, the hidden state is multiplied with weights, and it is
something times the tanh of the cell's (Hochreiter and Schmidhuber, 1997).
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx

MOVING = set(
    "Cast Concat Expand Flatten Gather Identity Reshape Slice Split Squeeze Transpose "
    "Unsqueeze".split()
)
RECURRENT = ("LSTM", "GRU", "RNN")
HIDDEN, CELL = "hidden", "cell"
READ = {5: HIDDEN, 6: CELL}  # by the number of an operator's input
MADE = {0: HIDDEN, 1: HIDDEN, 2: CELL}
Ports = frozenset[tuple[str, str]]  # which state, and of which recurrent operator


def input_ports(graph: onnx.GraphProto, names: Sequence[str]) -> dict[str, Ports]:
    """Where each of these inputs is read."""
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    return {name: _one_of(_read(name, users)) for name in names}


def output_ports(graph: onnx.GraphProto, names: Sequence[str]) -> dict[str, Ports]:
    """Where each of these outputs is made."""
    makers = {name: node for node in graph.node for name in node.output}
    roots = {name: _root(name, makers) for name in names}
    found = {name: _one_of(_made(name, makers)) for name in names}
    for name in names:
        node = makers.get(roots[name])
        if node is None or node.op_type != "Mul":
            continue
        inner = [makers[i] for i in node.input if i in makers and makers[i].op_type == "Tanh"]
        cells = [c for c in names if any(roots[c] == _root(t.input[0], makers) for t in inner)]
        if cells:
            found |= {name: frozenset({(HIDDEN, "")}), cells[0]: frozenset({(CELL, "")})}
    return found


def _read(name: str, users: dict[str, list[onnx.NodeProto]]) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    ahead, seen = [name], {name}
    while ahead:
        name = ahead.pop()
        for node in users.get(name, ()):
            place = list(node.input).index(name)
            if node.op_type in RECURRENT and place in READ:
                found.add((READ[place], _name(node)))
            elif node.op_type in ("Gemm", "MatMul"):
                found.add((HIDDEN, ""))
            elif node.op_type == "Mul":
                found.add((CELL, ""))
            elif node.op_type in MOVING:
                ahead += [output for output in node.output if output not in seen]
                seen |= set(node.output)
    return found


def _made(name: str, makers: dict[str, onnx.NodeProto]) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    behind, seen = [name], {name}
    while behind:
        name = behind.pop()
        node = makers.get(name)
        if node is None:
            continue
        if node.op_type in RECURRENT:
            found.add((MADE.get(list(node.output).index(name), ""), _name(node)))
        elif node.op_type in MOVING:
            given = node.input if node.op_type == "Concat" else node.input[:1]
            behind += [other for other in given if other not in seen]
            seen |= set(given)
    return found


def _name(node: onnx.NodeProto) -> str:
    """A recurrent operator's, by what it gives first."""
    return next(filter(None, node.output), "")


def _root(name: str, makers: dict[str, onnx.NodeProto]) -> str:
    """The tensor that this one is, but for its axes."""
    seen = set[str]()
    while name not in seen:  # a damaged graph may go round
        seen.add(name)
        node = makers.get(name)
        if node is not None and node.op_type in MOVING - {"Concat"}:
            name = node.input[0]
    return name


def _one_of(found: set[tuple[str, str]]) -> Ports:
    """Without the cells of simple operators where there is a hidden state: a GRU's is both."""
    if (HIDDEN, "") in found:
        found = found - {(CELL, "")}
    return frozenset(found)
