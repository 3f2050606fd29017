"""The screen's way into a TensorFlow graph.

Mostly that is a placeholder of four axes. IMPALA's has five (time and batch before the screen's),
and where an agent was cut out of a training program there may be none: then the graph begins at
the earliest value that is known to be a screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import onnx
from tensorboard.compat.proto import types_pb2

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.recognition.symbols import BATCH
from atari_zoo.converters.tf.endpoints import CONVOLUTIONS
from atari_zoo.converters.tf.graphdef import TfGraph
from atari_zoo.converters.tf.operators import KINDS

SIDE = 84  # pixels of a side where a graph leaves it open
FRAMES = 4
LARGEST = 1024  # pixels of a side
PLACEHOLDERS = ("Placeholder", "PlaceholderWithDefault")
# what may stand between the input and the first convolution
PASSING = frozenset(
    "Identity StopGradient Snapshot PreventGradient CheckNumerics Cast RealDiv Div Mul Sub Add "
    "AddV2 Minimum Maximum".split()
)
MOVING = frozenset("Transpose Reshape ExpandDims Squeeze".split())


@dataclass(frozen=True)
class TfScreen:
    """The node whose value is the screen.

    shape: four sizes, BATCH for the batch; kind: the type as ONNX numbers it.
    static: the batch size that the graph was made for, or None.
    timed: the node's value has a second axis, of 1, after the batch.
    declared: the sizes that the file tells, None where it leaves one open.
    """

    node: str
    shape: tuple[int, ...]
    kind: int
    static: int | None = None
    timed: bool = False
    declared: tuple[int | None, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The input as the file has it."""
        sizes = ", ".join("?" if size is None else str(size) for size in self.declared)
        dtype = onnx.helper.tensor_dtype_to_np_dtype(self.kind)
        return f"'{self.node}' {dtype} [{sizes or 'of any shape'}]"


def find_screen(graph: TfGraph, output: str, known: str = "", given: str | None = None) -> TfScreen:
    """Where the screen enters on the way to `output`.

    known: where it does in a graph of this kind, if it has no placeholder.
    given: the node whose value shall be the screen, whatever the graph says.
    Raises ConversionError where there is no such place.
    """
    way = graph.way([output])
    first = next((name for name in way if graph.op(name) in CONVOLUTIONS), None)
    if first is None:
        raise ConversionError(f"no convolution is on the way to '{output}'")
    if given is not None and given not in way:
        raise ConversionError(f"'{given}' is not on the way to '{output}'; input= names a node")
    path = _path(graph, way, first)
    frames, last = _frames(graph, first)
    source = given or path[-1]
    declared = _declared(graph.nodes[source]) if graph.op(source) in PLACEHOLDERS else []
    if len(declared) in (4, 5):
        # before a transpose the frames are on the other side
        turned = sum(graph.op(name) == "Transpose" for name in path) % 2 == 1
        return _placeholder(graph.nodes[source], declared, frames, last != turned)
    place = given or (known if known in path else _earliest(graph, path))
    if place == source and declared:
        raise ConversionError(f"placeholder '{place}' has {len(declared)} axes; 4 were expected")
    note = f"the graph is taken from '{place}' on, as a screen of {SIDE}x{SIDE}"
    shape = _filled([None] * 3, frames, last)
    return TfScreen(place, shape, _kind(graph.nodes[place]), 1, notes=(note,))


def _path(graph: TfGraph, way: Sequence[str], first: str) -> list[str]:
    """The nodes from the first convolution's input up to where the screen comes from."""
    fixed: set[str] = set()
    for name in way:
        inputs = graph.inputs(name)
        computed = bool(inputs) and graph.op(name) not in PLACEHOLDERS
        if graph.op(name) == "Const" or (computed and all(x.node in fixed for x in inputs)):
            fixed.add(name)
    path: list[str] = []
    name = first
    while True:
        reads = [read.node for read in graph.inputs(name) if read.node not in fixed]
        if not reads or (path and graph.op(name) not in PASSING | MOVING):
            break
        name = reads[0]
        path.append(name)
    if not path:
        raise ConversionError(f"no placeholder leads to '{first}': its input is constant")
    return path


def _placeholder(node: Any, sizes: Sequence[int | None], frames: int, last: bool) -> TfScreen:
    batch = [size for size in sizes[:-3] if size is not None]
    static = prod(batch) if len(batch) == len(sizes) - 3 else None
    notes = []
    if None in sizes[-3:]:
        notes.append(f"'{node.name}' leaves its size open: {SIDE}x{SIDE} is what fits")
    if static is not None:
        notes.append(f"the graph was made for a batch of {static}; it takes any now")
    shape = _filled(sizes[-3:], frames, last)
    timed = len(sizes) == 5
    return TfScreen(node.name, shape, _kind(node), static, timed, tuple(sizes), tuple(notes))


def _filled(sizes: Sequence[int | None], frames: int, last: bool) -> tuple[int, ...]:
    """The screen's shape, the sizes that are open set to an agent's."""
    if sizes[2] is not None or sizes[0] is not None:
        last = sizes[2] == frames or (sizes[2] is None and sizes[0] != frames)
    usual = (SIDE, SIDE, frames) if last else (frames, SIDE, SIDE)
    filled = [size or open_size for size, open_size in zip(sizes, usual, strict=True)]
    if min(filled) < 1 or max(filled) > LARGEST:
        raise ConversionError(f"a screen of {'x'.join(map(str, filled))}")
    return (BATCH, *filled)


def _frames(graph: TfGraph, first: str) -> tuple[int, bool]:
    """How many frames the first convolution reads, and whether they are its last axis."""
    node = graph.nodes[first]
    first_axis = "data_format" in node.attr and node.attr["data_format"].s == b"NCHW"
    reads = graph.inputs(first)
    kernel = graph.stored_shape(reads[1].node) if len(reads) > 1 else []
    return kernel[2] if len(kernel) == 4 else FRAMES, not first_axis


def _earliest(graph: TfGraph, path: Sequence[str]) -> str:
    """The value farthest from the convolution that has the convolution's axes."""
    for name in path:
        if graph.op(name) in MOVING:
            return name
    return path[-2] if len(path) > 1 else path[0]


def _declared(node: Any) -> list[int | None]:
    """A placeholder's sizes, None where left open."""
    shape = node.attr["shape"].shape if "shape" in node.attr else None
    if shape is None or shape.unknown_rank or not shape.dim:
        return [None] * 4  # TensorFlow before 1.3 wrote no shape
    return [dim.size if dim.size > 0 else None for dim in shape.dim[:9]]


def _kind(node: Any) -> int:
    for name in ("dtype", "DstT", "T"):
        if name in node.attr:
            kind = node.attr[name].type
            if kind not in (types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE, types_pb2.DT_UINT8):
                raise ConversionError(f"'{node.name}' is neither float nor uint8")
            return KINDS[kind]
    return int(onnx.TensorProto.FLOAT)
