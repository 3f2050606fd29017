"""Loops inside an ONNX graph (https://onnx.ai/onnx/operators/onnx__Loop.html, onnx__Scan.html),
written out: the body once for each step, as often as the graph itself tells.

So an exporter writes a recurrent cell that is stepped through frames, or through the one step of
an agent's. A loop that ends by a condition, or by what it is fed, cannot be written out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
import onnx.inliner
from onnx import helper, numpy_helper

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.folding import Constants, evaluated

LOOPS = ("Scan", "Loop")
MOST_STEPS = 32
MOST_NODES = 20_000  # of the graph that comes of it
OPEN = -1  # a size that is not told
# what moves whole numbers about, of which sizes are computed
SIZES = ("Cast", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Unsqueeze")


def without_loops(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose loops are written out; the model itself where there are none.

    Raises ConversionError, with the loop's name, for one that cannot be.
    """
    if not any(node.op_type in LOOPS for node in _every_node(model)):
        return model
    if model.functions:
        try:
            model = onnx.inliner.inline_local_functions(model)
        except Exception as error:  # it raises whatever damaged functions provoke
            raise ConversionError("a graph with loops whose functions are damaged") from error
    written = onnx.ModelProto()
    written.CopyFrom(model)
    for _ in range(MOST_STEPS):  # a body may hold a loop of its own
        loops = [node for node in written.graph.node if node.op_type in LOOPS]
        if not loops:
            return written
        _write_out(written, loops[0])
    raise ConversionError(f"more than {MOST_STEPS} loops")


def _every_node(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    yield from model.graph.node
    for function in model.functions:
        yield from function.node


def _write_out(model: onnx.ModelProto, loop: onnx.NodeProto) -> None:
    """Puts a loop's steps into its place."""
    label = f"node '{loop.name or next(filter(None, loop.output), '')}' ({loop.op_type})"
    try:
        out = WrittenOut(model, loop)
        steps = list(out.scan() if loop.op_type == "Scan" else out.loop())
    except ConversionError as error:
        raise ConversionError(
            f"{label}: {error}; export the agent for one step, with its state as an input and an "
            "output"
        ) from error
    except Exception as error:  # a malformed node breaks whatever reads it
        reason = str(error).partition("\n")[0][:200]
        raise ConversionError(f"{label} is malformed: {reason}") from error
    nodes = list(model.graph.node)
    place = nodes.index(loop)
    if len(nodes) + len(steps) > MOST_NODES:
        raise ConversionError(f"loops of {len(nodes) + len(steps)} operators in all")
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:place], *steps, *nodes[place + 1 :]])
    model.graph.initializer.extend(out.stored)


class WrittenOut:
    """One loop being written out. stored: constants that its steps need."""

    def __init__(self, model: onnx.ModelProto, loop: onnx.NodeProto) -> None:
        self.node = loop
        self.name = loop.name or next(filter(None, loop.output), "loop")
        self.facts = {a.name: helper.get_attribute_value(a) for a in loop.attribute}
        body = self.facts.get("body")
        if not isinstance(body, onnx.GraphProto):
            raise ConversionError("it has no body: damaged")
        self.body = body
        self.known = _Sizes(model)
        self.stored: list[onnx.TensorProto] = []
        self.nodes: list[onnx.NodeProto] = []

    def loop_count(self) -> int:
        """How many steps a Loop has, by its inputs and what its body gives as a condition."""
        count, goes_on = [*self.node.input, "", ""][:2]
        going = self.body.output[0].name
        makers = {name: node for node in self.body.node for name in node.output}
        while going in makers and makers[going].op_type in ("Identity", "Cast"):
            going = makers[going].input[0]
        given = self.body.input[1].name
        constants = _constants_in(self.body)
        always = going == given or bool(np.all(constants.get(going, False)))
        first = self.known.value(goes_on) if goes_on else np.array(True)
        if not always or first is None or not np.all(first):
            raise ConversionError("a loop that ends by a condition is not translated")
        number = self.known.value(count) if count else None
        if number is None or number.size != 1 or int(number.ravel()[0]) == OPEN:
            raise ConversionError("how many steps it has depends on what it is fed")
        return _checked(int(number.ravel()[0]))

    def loop(self) -> list[onnx.NodeProto]:
        """The steps of a Loop."""
        if len(self.body.input) < 2 or not self.body.output:
            raise ConversionError("its body lacks the number of the step: damaged")
        count = self.loop_count()
        states = list(self.node.input[2:])
        if len(self.body.input) != 2 + len(states) or len(self.body.output) < 1 + len(states):
            raise ConversionError("its body does not take what it is given: damaged")
        scanned: list[list[str]] = [[] for _ in self.body.output[1 + len(states) :]]
        going = self._constant("going", np.array(True))
        for step in range(count):
            number = self._constant(f"{step}/number", np.array(step))
            made = self._step(step, [number, going, *states])
            states = made[1 : 1 + len(states)]
            for rows, value in zip(scanned, made[1 + len(states) :], strict=True):
                rows.append(value)
        self._hand_on(states, scanned, [0] * len(scanned))
        return self.nodes

    def scan(self) -> list[onnx.NodeProto]:
        """The steps of a Scan, of opset 9 and later."""
        parts = int(self.facts.get("num_scan_inputs", 0))
        held = len(self.node.input) - parts
        if not 0 < parts <= len(self.node.input) or len(self.body.input) != len(self.node.input):
            raise ConversionError("its body does not take what it is given: damaged")
        states, read = list(self.node.input[:held]), list(self.node.input[held:])
        outputs = len(self.body.output) - held
        axes = self._numbers("scan_input_axes", parts)
        backward = self._numbers("scan_input_directions", parts)
        lengths = {self.known.size(name, axis) for name, axis in zip(read, axes, strict=True)}
        if len(lengths) != 1 or OPEN in lengths:
            raise ConversionError("how many steps it has depends on what it is fed")
        count = _checked(lengths.pop())
        scanned: list[list[str]] = [[] for _ in range(outputs)]
        for step in range(count):
            places = [count - 1 - step if turned else step for turned in backward]
            rows = [
                self._taken(f"{step}/{number}", name, axis, place)
                for number, (name, axis, place) in enumerate(zip(read, axes, places, strict=True))
            ]
            made = self._step(step, [*states, *rows])
            states = made[:held]
            for kept, value in zip(scanned, made[held:], strict=True):
                kept.append(value)
        turned = self._numbers("scan_output_directions", outputs)
        scanned = [kept[::-1] if back else kept for kept, back in zip(scanned, turned, strict=True)]
        self._hand_on(states, scanned, self._numbers("scan_output_axes", outputs))
        return self.nodes

    def _numbers(self, name: str, count: int) -> list[int]:
        found = [int(n) for n in self.facts.get(name, [0] * count)]
        if len(found) != count:
            raise ConversionError(f"its {name} has {len(found)} numbers: damaged")
        return found

    def _constant(self, name: str, value: np.ndarray) -> str:
        self.stored.append(numpy_helper.from_array(value, f"{self.name}/{name}"))
        return self.stored[-1].name

    def _add(self, op: str, inputs: Sequence[str], output: str, **facts: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], output, **facts))
        return output

    def _taken(self, name: str, whole: str, axis: int, place: int) -> str:
        """A part of what a Scan goes through."""
        chosen = self._constant(f"{name}/place", np.array(place))
        return self._add("Gather", [whole, chosen], f"{self.name}/{name}/part", axis=axis)

    def _step(self, step: int, given: Sequence[str]) -> list[str]:
        """The body, once; returns what holds its outputs."""
        front = f"{self.name}/{step}/"
        names = {i.name: other for i, other in zip(self.body.input, given, strict=True)}
        for tensor in self.body.initializer:  # all steps share them
            names[tensor.name] = f"{self.name}/{tensor.name}"
            if not step:
                self.stored.append(onnx.TensorProto())
                self.stored[-1].CopyFrom(tensor)
                self.stored[-1].name = names[tensor.name]
        for node in self.body.node:
            names |= {name: front + name for name in node.output if name}
        for node in self.body.node:
            made = onnx.NodeProto()
            made.CopyFrom(node)
            if any(a.type == onnx.AttributeProto.GRAPH for a in made.attribute):
                raise ConversionError(f"its body has graphs of its own ({node.op_type})")
            made.name = front + (node.name or next(filter(None, node.output), node.op_type))
            for names_of in (made.input, made.output):
                for place, name in enumerate(names_of):
                    names_of[place] = names.get(name, name)
            self.nodes.append(made)
        return [names.get(output.name, output.name) for output in self.body.output]

    def _hand_on(
        self, states: Sequence[str], scanned: Sequence[Sequence[str]], axes: Sequence[int]
    ) -> None:
        """The last states, and what each step gave side by side, as the loop's outputs."""
        outputs = [*self.node.output]
        for state, output in zip(states, outputs, strict=False):
            if output:
                self._add("Identity", [state], output)
        for rows, axis, output in zip(scanned, axes, outputs[len(states) :], strict=False):
            if not output:
                continue
            lifted: list[str] = []
            for row in rows:
                lifted.append(f"{output}/{len(lifted)}/row")
                place = self._constant(f"{lifted[-1]}/axis", np.array([axis]))
                if self.known.opset < 13:  # its axes were an attribute
                    self._add("Unsqueeze", [row], lifted[-1], axes=[axis])
                else:
                    self._add("Unsqueeze", [row, place], lifted[-1])
            self._add("Concat", lifted, output, axis=axis)


class _Sizes:
    """What a graph tells of its own sizes, and of numbers that are computed of them."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.constants = Constants(model)
        self.opset = self.constants.opset
        try:
            graph = onnx.shape_inference.infer_shapes(model).graph
        except Exception:  # a damaged graph
            graph = model.graph
        stated = (*graph.input, *graph.value_info, *graph.output)
        self._types = {value.name: value.type.tensor_type for value in stated}

    def shape(self, name: str) -> list[int] | None:
        """A value's sizes, `OPEN` where they are not told; None where nothing is known."""
        if name in self.constants.stored:
            return list(self.constants.stored[name].dims)
        kind = self._types.get(name)
        if kind is None or not kind.HasField("shape"):
            return None
        return [d.dim_value if d.HasField("dim_value") else OPEN for d in kind.shape.dim]

    def size(self, name: str, axis: int) -> int:
        shape = self.shape(name)
        return shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else OPEN

    def value(self, name: str, depth: int = 12) -> np.ndarray | None:
        """A constant, or what is computed of sizes; `OPEN` for those that are not told."""
        found = self.constants.get(name)
        if found is not None or not depth:
            return found
        node = self.constants.nodes.get(name)
        if node is None:
            return None
        if node.op_type == "Shape" and not node.attribute:
            shape = self.shape(node.input[0])
            return None if shape is None else np.array(shape, np.int64)
        if node.op_type not in SIZES:
            return None
        given = [self.value(each, depth - 1) for each in node.input if each]
        if any(value is None for value in given) or len(given) != len(node.input):
            return None
        try:
            return evaluated(node, given, self.opset)[0]
        except Exception:  # a malformed node breaks whatever computes it
            return None


def _constants_in(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """What is stored in a body."""
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return found


def _checked(count: int) -> int:
    if not 0 < count <= MOST_STEPS:
        raise ConversionError(f"it has {count} steps; 1 to {MOST_STEPS} were expected")
    return count
