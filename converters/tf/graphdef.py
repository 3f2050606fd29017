"""TensorFlow's GraphDef, read without TensorFlow: its nodes and what they read.

The messages are those that TensorBoard carries. A file's bytes are weighed before they are
parsed, because a few bytes of protobuf can become a hundred times as many in memory.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from tensorboard.compat.proto.graph_pb2 import GraphDef

from atari_zoo.converters.errors import ConversionError

STRUCTURE = 4 << 20  # bytes that a graph may have besides its weights: some 15,000 nodes
FIELD = 32  # what a field counts as besides its bytes, since it becomes an object
PASSED = 8  # nodes in a row that only pass a value on
BLOB = 4096  # shorter fields are not looked into
# the way to the weights: a node, its attributes, an entry's value, its tensor, the numbers
WEIGHTS = (frozenset({1}), frozenset({5}), frozenset({2}), frozenset({8}), frozenset({4, 5}))
NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.\\/>-]*")


class TfInput(NamedTuple):
    """What a node reads: which output of which node."""

    node: str
    output: int


class TfGraph:
    """The nodes by name, in the file's order.

    version: of the format that TensorFlow wrote, such as 27 in TensorFlow 1.12.
    """

    def __init__(self, definition: Any) -> None:
        self.version = int(definition.versions.producer)
        self.nodes: dict[str, Any] = {}
        for node in definition.node:
            if not NAME.fullmatch(node.name) or not NAME.fullmatch(node.op):
                raise ConversionError(f"a node called {node.name[:40]!r}: not a name, damaged")
            if node.name in self.nodes:
                raise ConversionError(f"two nodes are called '{node.name}'")
            self.nodes[node.name] = node

    def op(self, name: str) -> str:
        """The operator of a node."""
        return self.nodes[name].op

    def inputs(self, name: str) -> list[TfInput]:
        """What a node reads, in order; not the nodes that it only waits for ("^init").

        Raises ConversionError where one is not in the graph.
        """
        read = []
        for text in self.nodes[name].input:
            if text.startswith("^"):
                continue
            node, _, output = text.partition(":")
            if node not in self.nodes:
                raise ConversionError(f"node '{name}' reads {node[:80]!r}, which is not there")
            read.append(TfInput(node, 0 if output in ("", "0") else 1))
        return read

    def stored_shape(self, name: str) -> list[int]:
        """The shape of the constant that a node passes on; empty if it is no constant."""
        for _ in range(PASSED):
            if self.op(name) != "Identity":
                break
            name = next((read.node for read in self.inputs(name)), name)
        if self.op(name) != "Const":
            return []
        tensor = self.nodes[name].attr["value"].tensor
        return [int(dim.size) for dim in tensor.tensor_shape.dim[:9]]

    def way(self, ends: Sequence[str], stop: Collection[str] = ()) -> list[str]:
        """The nodes from which `ends` are computed, each after those it reads.

        stop: nodes that are taken as they are: what they read is left out.
        Raises ConversionError where a node depends on itself.
        """
        order: list[str] = []
        done: dict[str, bool] = {}  # False while what a node reads is being gone through
        stack = [(name, False) for name in reversed(ends)]
        while stack:
            name, finished = stack.pop()
            if finished:
                done[name] = True
                order.append(name)
            elif name not in done:
                done[name] = False
                stack.append((name, True))
                before = [] if name in stop else [read.node for read in self.inputs(name)]
                if any(done.get(node) is False for node in before):
                    raise ConversionError(f"node '{name}' depends on itself")
                stack += [(node, False) for node in reversed(before)]
        return order


def parse_graph(data: bytes) -> TfGraph:
    """The graph in a file's bytes.

    Raises ConversionError if they are no GraphDef, or one too large for a network.
    """
    _weigh(data)
    try:
        definition = GraphDef.FromString(data)
    except Exception as error:  # protobuf's parsers differ in what they raise
        raise ConversionError("not a whole TensorFlow graph: cut short or damaged") from error
    if not definition.node:
        raise ConversionError("a TensorFlow graph without nodes")
    return TfGraph(definition)


def _weigh(data: bytes) -> None:
    """Refuses a file whose structure, its weights left out, is larger than any network's."""
    spent = 0
    regions = [(0, len(data), 0)]
    while regions:
        place, end, depth = regions.pop()
        while place < end:
            key, place = _varint(data, place)
            size = {0: 0, 1: 8, 5: 4}.get(key & 7, -1)
            if key & 7 in (0, 2):
                number, place = _varint(data, place)
                size = number if key & 7 == 2 else 0
            if size < 0 or place + size > end:
                raise ConversionError("not a whole TensorFlow graph: cut short or damaged")
            heavy = size > BLOB and key & 7 == 2 and key >> 3 in WEIGHTS[depth]
            if heavy and depth + 1 < len(WEIGHTS):
                regions.append((place, place + size, depth + 1))
            spent += FIELD if heavy else FIELD + size
            if spent > STRUCTURE:
                raise ConversionError("a graph of more nodes than any agent's network has")
            place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number in protobuf's variable length, and the place after it."""
    number = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            break
        byte = data[place]
        place += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, place
    raise ConversionError("not a whole TensorFlow graph: cut short or damaged")
