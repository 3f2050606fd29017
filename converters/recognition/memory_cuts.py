"""Graphs cut at their memory: what stands before it, and what after, each as a graph that the
recognition of memoryless networks reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.folding import Constants
from atari_zoo.converters.network.state_ports import MOVING, RECURRENT

BEFORE, AFTER = "before/", "after/"  # names of what is put in the memory's place
PLACE = 7  # rows and columns that a dense layer's stand-in reads, of one filter


class MemoryNodes(NamedTuple):
    """A memory in a graph: its operators, the lowest first, and what the lowest reads."""

    nodes: tuple[onnx.NodeProto, ...]
    core: str


class CutGraph:
    """A graph whose recurrent operators stand apart.

    memories: each as its operators. main: the output that is the actions'.
    """

    def __init__(self, model: onnx.ModelProto, main: str) -> None:
        self.model, self.graph, self.main = model, model.graph, main
        self.constants = Constants(model)
        self.makers = {name: node for node in self.graph.node for name in node.output if name}
        inferred = onnx.shape_inference.infer_shapes(model).graph
        stated = (*inferred.value_info, *inferred.output)
        self._axes = {value.name: len(value.type.tensor_type.shape.dim) for value in stated}
        self.memories = tuple(self._memories())

    def root(self, name: str) -> str:
        """The tensor that this one is, but for its axes."""
        *_, last = self._behind(name)
        return last

    def flat(self, name: str) -> str:
        """The same; but of maps that are flattened the flat ones."""
        chain = list(self._behind(name))
        return next((each for each in reversed(chain) if self._axes.get(each) == 2), chain[-1])

    def _behind(self, name: str) -> Iterator[str]:
        """The tensor, and those that it is but for its axes, each made of the next."""
        seen = set[str]()
        while name not in seen:  # a damaged graph may go round
            yield name
            seen.add(name)
            node = self.makers.get(name)
            if node is not None and node.op_type in MOVING - {"Concat"}:
                name = node.input[0]

    def read_by(self, name: str) -> set[str]:
        """The first outputs of recurrent operators that a tensor is computed from."""
        nodes = self._nodes([name], whole=False)
        return {first_output(node) for node in nodes if node.op_type in RECURRENT}

    def before(self, tensor: str, width: int) -> onnx.ModelProto:
        """What computes the features, and two outputs made of them."""
        weights = np.zeros((2, width), np.float32)
        stored = [
            numpy_helper.from_array(weights, f"{BEFORE}weight"),
            numpy_helper.from_array(weights[:, 0], f"{BEFORE}bias"),
        ]
        names = [tensor, *(value.name for value in stored)]
        last = helper.make_node("Gemm", names, ["output"], "output", transB=1)
        renamed = self._nodes([tensor], whole=True)
        if any("output" in node.output for node in renamed):
            raise ConversionError("a tensor before the memory is called 'output'")
        return self._made([*renamed, last], stored, self._inputs(), ["output"])

    def after(self, memory: MemoryNodes | None, core: str, width: int) -> onnx.ModelProto:
        """The head, on a trunk that gives as many features as the memory has units.

        core: what the head reads where there is no memory.
        """
        ends = [core] if memory is None else self._read(memory.nodes[-1])
        outputs = [o.name for o in self.graph.output if self._leads_back_to(o.name, ends)]
        if self.main not in outputs:
            raise ConversionError("the actions read more than the memory")
        nodes = self._nodes(outputs, whole=False, ends=ends)
        trunk, stored, image = _stand_in(width)
        trunk += [helper.make_node("Identity", [f"{AFTER}fc"], [n], f"{AFTER}{n}") for n in ends]
        return self._made([*trunk, *nodes], stored, [image], outputs)

    def _read(self, node: onnx.NodeProto) -> list[str]:
        """What is read of a recurrent operator, (batch, units): what it gives but for its axes."""
        found: list[str] = []
        ahead = [name for name in node.output[:2] if name]
        seen = set[str]()
        while ahead:
            name = ahead.pop()
            if name in seen:  # a damaged graph may go round
                continue
            seen.add(name)
            users = [n for n in self.graph.node if name in n.input[:1] and n.op_type in MOVING]
            for output in (user.output[0] for user in users):
                (found if self._axes.get(output) == 2 else ahead).append(output)
        return found

    def _memories(self) -> Iterator[MemoryNodes]:
        nodes = {first_output(node): node for node in self.graph.node if node.op_type in RECURRENT}
        below: dict[str, str] = {}
        for name, node in nodes.items():
            maker = self.makers.get(self.root(node.input[0]))
            if maker is not None and maker.op_type in RECURRENT:
                below[name] = first_output(maker)
        for name in nodes:
            if name in below.values():
                continue
            chain = [name]
            while chain[-1] in below and below[chain[-1]] not in chain:
                chain.append(below[chain[-1]])
            ordered = tuple(nodes[each] for each in reversed(chain))
            yield MemoryNodes(ordered, self.flat(ordered[0].input[0]))

    def _nodes(
        self, names: Iterable[str], whole: bool, ends: Sequence[str] = ()
    ) -> list[onnx.NodeProto]:
        """What these tensors are computed by, in the graph's order; not `whole`, no further than
        recurrent operators, and in no case beyond the `ends`."""
        ahead, wanted = list(names), set[str]()
        while ahead:
            name = ahead.pop()
            node = self.makers.get(name)
            if node is None or name in ends or node.output[0] + node.name in wanted:
                continue
            wanted.add(node.output[0] + node.name)
            if whole or node.op_type not in RECURRENT:
                ahead += list(node.input)
        found = [n for n in self.graph.node if n.output and n.output[0] + n.name in wanted]
        return [n for n in found if not ends or n.op_type not in RECURRENT]

    def _leads_back_to(self, name: str, ends: Sequence[str]) -> bool:
        """Whether a tensor is computed from these and constants alone."""
        ahead, seen, met = [name], set[str](), False
        stored = self.constants.stored
        while ahead:
            name = ahead.pop()
            if name in ends:
                met = True
            elif name and name not in seen and name not in stored:
                seen.add(name)
                node = self.makers.get(name)
                if node is None or node.op_type in RECURRENT:
                    return False
                ahead += list(node.input)
        return met

    def _inputs(self) -> list[onnx.ValueInfoProto]:
        stored = self.constants.stored
        return [
            value
            for value in self.graph.input
            if value.name not in stored and len(value.type.tensor_type.shape.dim) == 4
        ]

    def _made(
        self,
        nodes: list[onnx.NodeProto],
        stored: list[onnx.TensorProto],
        inputs: list[onnx.ValueInfoProto],
        outputs: list[str],
    ) -> onnx.ModelProto:
        """A model of these nodes, and of what of the graph's stored tensors they need."""
        used = {name for node in nodes for name in node.input}
        own = [tensor for tensor in self.graph.initializer if tensor.name in used]
        ends = [helper.make_empty_tensor_value_info(name) for name in outputs]
        graph = helper.make_graph(nodes, "part", inputs, ends, [*own, *stored])
        made = helper.make_model(graph, opset_imports=self.model.opset_import)
        made.producer_name = self.model.producer_name
        return made


def first_output(node: onnx.NodeProto) -> str:
    """An operator's name, for our purposes."""
    return next(filter(None, node.output), "")


def _stand_in(
    width: int,
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto], onnx.ValueInfoProto]:
    """Three convolutions of one filter, and a dense layer that gives `width` features."""
    nodes, stored, value = [], [], f"{AFTER}observations"
    for number, (kernel, stride) in enumerate(((8, 4), (4, 2), (3, 1)), start=1):
        weights = np.ones((1, 1, kernel, kernel), np.float32)
        stored.append(numpy_helper.from_array(weights, f"{AFTER}{number}/weight"))
        stored.append(numpy_helper.from_array(np.zeros(1, np.float32), f"{AFTER}{number}/bias"))
        names = [value, stored[-2].name, stored[-1].name]
        made = f"{AFTER}conv{number}"
        nodes.append(
            helper.make_node(
                "Conv",
                names,
                [f"{made}/linear"],
                f"{made}/linear",
                kernel_shape=[kernel, kernel],
                strides=[stride, stride],
            )
        )
        nodes.append(helper.make_node("Relu", [f"{made}/linear"], [made], made))
        value = made
    nodes.append(helper.make_node("Flatten", [value], [f"{AFTER}flat"], f"{AFTER}flat", axis=1))
    dense = np.ones((width, PLACE * PLACE), np.float32)
    stored.append(numpy_helper.from_array(dense, f"{AFTER}fc/weight"))
    stored.append(numpy_helper.from_array(dense[:, 0], f"{AFTER}fc/bias"))
    names = [f"{AFTER}flat", stored[-2].name, stored[-1].name]
    made = f"{AFTER}fc"
    nodes.append(helper.make_node("Gemm", names, [f"{made}/linear"], f"{made}/linear", transB=1))
    nodes.append(helper.make_node("Relu", [f"{made}/linear"], [made], made))
    size: list[str | int | None] = ["batch", 1, 84, 84]
    image = helper.make_tensor_value_info(f"{AFTER}observations", onnx.TensorProto.FLOAT, size)
    return nodes, stored, image
