"""States of an ONNX graph: inputs that its own outputs give the next step's values of.

They are told by their shapes; where several have the same one, by the operators that they go into
and come from (an LSTM has a port for each), or by their names. What can be told in two ways is
refused.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from math import prod
from typing import NamedTuple

import onnx
from onnx import helper

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.heads import MOST_ACTIONS
from atari_zoo.converters.network.outputs import NAMES, VALUE, rating
from atari_zoo.converters.network.state_ports import input_ports, output_ports
from atari_zoo.converters.network.stateful import StatePart

IMAGE_AXES = 4
TOLD = ("reward", "action")  # inputs of a graph written here that is told of the last step
FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)
# of names, what tells input from output, and not one state from another
AFFIXES = set("next new now out output n in input prev previous last old state states t x".split())
USUAL = {"hn": "h", "hx": "h", "hidden": "h", "cn": "c", "cx": "c", "cell": "c"}


class StateMismatch(ConversionError):
    """Inputs and outputs of a graph that cannot be told to be states, or from each other."""


class Carried(NamedTuple):
    """A state of a graph: the part that it is, the tensors that it goes in and comes out by, and
    which axis of theirs counts the observations."""

    part: StatePart
    input: str
    output: str
    axis: int


class GraphStates(NamedTuple):
    """The output that is the actions', the states that a graph carries, none of most, and what is
    assumed of the output: "" where it is told."""

    main: str
    carried: tuple[Carried, ...] = ()
    assumed: str = ""


class GraphEnds(NamedTuple):
    """A graph's inputs, stored tensors aside, and outputs, by name with their sizes; 0 where open.

    names: of the sizes that are open.
    """

    inputs: Mapping[str, list[int]]
    outputs: Mapping[str, list[int]]
    names: Mapping[str, list[str]]
    kinds: Mapping[str, int]


def carried_states(model: onnx.ModelProto) -> GraphStates:
    """The states that a graph carries, and the output that is the actions'.

    Of several that leave enough for the states the name tells; else the first is assumed to be it.
    Raises StateMismatch where an input is neither an observation nor a state, or two states cannot
    be told apart.
    """
    ends = _ends(model)
    first = next(iter(ends.outputs), "")
    if len(ends.inputs) < 2:
        return GraphStates(first)
    image = _image(ends)
    states = [name for name in ends.inputs if name != image]
    for name in states:
        if ends.kinds[name] not in FLOATS:
            kind = onnx.TensorProto.DataType.Name(ends.kinds[name])
            raise StateMismatch(f"input '{name}' is {kind}; a state is of floats")
    reasons: list[StateMismatch] = []
    found: dict[str, dict[str, str]] = {}  # by the output that is the actions', each state's
    for main, sizes in ends.outputs.items():
        if len(sizes) == 2 and sizes[1] >= 2 and (main == first or sizes[1] <= MOST_ACTIONS):
            try:
                found[main] = _matched(model, ends, states, main)
            except StateMismatch as error:
                reasons.append(error)
    if not found:
        other = StateMismatch("an agent's first output is (batch, actions); this one's is not")
        raise reasons[0] if reasons else other
    mains = [name for name in found if not any(_are_named_alike(s, name) for s in states)]
    mains = mains or list(found)
    mains = [name for name in mains if ends.outputs[name][1] <= MOST_ACTIONS] or mains
    number, assumed = rating(mains)
    outputs = found[mains[number]]
    axes = {name: _batch_axis(ends, image, name, ends.inputs[image][0]) for name in states}
    carried = tuple(_carried(ends, name, outputs[name], axes[name]) for name in states)
    return GraphStates(mains[number], carried, assumed)


def with_told_returned(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that gives back the last reward and action, which whoever plays it tells, as if they
    were states; the model itself where it is told of neither."""
    there = {output.name for output in model.graph.output}
    told = [i for i in model.graph.input if i.name in TOLD and f"next_{i.name}" not in there]
    if not told:
        return model
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for given in told:
        node = helper.make_node("Identity", [given.name], [f"next_{given.name}"])
        changed.graph.node.append(node)
        changed.graph.output.append(given)
        changed.graph.output[-1].name = f"next_{given.name}"
    return changed


def with_states_apart(
    model: onnx.ModelProto, main: str, carried: tuple[Carried, ...]
) -> onnx.ModelProto:
    """A copy whose inputs end in the states, and whose outputs are the actions', the states' in the
    same order, and then the others; the model itself where there are no states."""
    if not carried:
        return model
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    order = {state.input: place for place, state in enumerate(carried)}
    inputs = sorted(model.graph.input, key=lambda i: order.get(i.name, -1))
    del graph.input[:]
    graph.input.extend(inputs)
    given = {output.name: output for output in model.graph.output}
    states = [state.output for state in carried]
    del graph.output[:]
    graph.output.append(given[main])
    for state in carried:  # each from a node of its own: onnx2torch joins what one node gives
        last = f"{state.output}/next"
        node = helper.make_node("Identity", [state.output], [last], f"next_{state.part.name}")
        graph.node.append(node)
        graph.output.append(given[state.output])
        graph.output[-1].name = last
    graph.output.extend(o for name, o in given.items() if name not in (main, *states))
    return changed


def _ends(model: onnx.ModelProto) -> GraphEnds:
    stored = {tensor.name for tensor in model.graph.initializer}
    given = [value for value in model.graph.input if value.name not in stored]
    every = [*given, *model.graph.output]
    sizes = {v.name: [dim.dim_value for dim in v.type.tensor_type.shape.dim] for v in every}
    return GraphEnds(
        {value.name: sizes[value.name] for value in given},
        {value.name: sizes[value.name] for value in model.graph.output},
        {v.name: [dim.dim_param for dim in v.type.tensor_type.shape.dim] for v in every},
        {value.name: value.type.tensor_type.elem_type for value in every},
    )


def _image(ends: GraphEnds) -> str:
    """The input that is the observations."""
    four = [name for name, sizes in ends.inputs.items() if len(sizes) == IMAGE_AXES]
    images = four if len(four) == 1 else [n for n in four if not _candidates(ends, n, "")]
    if len(images) == 1:
        return images[0]
    words = ", ".join(f"'{name}' of {len(sizes)} axes" for name, sizes in ends.inputs.items())
    raise StateMismatch(
        f"an agent takes one input of four axes, its observations, and states beside it; this "
        f"one's: {words}"
    )


def _candidates(ends: GraphEnds, name: str, main: str) -> list[str]:
    """The outputs of an input's shape that may be what it is at the next step.

    A value or an auxiliary output is no last reward or action, though of its shape: a row of one
    number, and what is called so, are states only where the output's name says the same.
    """
    wanted = ends.inputs[name]
    batches = {sizes[0] for sizes in ends.inputs.values() if len(sizes) == IMAGE_AXES}
    alone = prod(size or 1 for size in wanted) in {1, *batches}
    by_name = alone or any(word in name.lower() for word in TOLD)
    return [
        output
        for output, sizes in ends.outputs.items()
        if output != main
        and output.lower() not in (VALUE, *NAMES[VALUE])
        and len(sizes) == len(wanted)
        and all(a == b or not a or not b for a, b in zip(sizes, wanted, strict=True))
        and (not by_name or _are_named_alike(name, output))
    ]


def _matched(
    model: onnx.ModelProto, ends: GraphEnds, states: list[str], main: str
) -> dict[str, str]:
    """Each state's output."""
    found = {name: _candidates(ends, name, main) for name in states}
    for name, outputs in found.items():
        if not outputs:
            raise StateMismatch(
                f"input '{name}' {tuple(ends.inputs[name])} is no observation, and no output of "
                f"its shape gives the next step's, as 'next_{name}' would"
            )
    entered = input_ports(model.graph, states)
    left = output_ports(model.graph, list(ends.outputs))
    criteria = (
        lambda name, output: True,
        lambda name, output: bool(entered[name]) and entered[name] == left[output],
        lambda name, output: bool(_stem(name)) and _stem(name) == _stem(output),
    )
    told: dict[str, str] = {}
    for same in criteria * len(states):  # what tells one leaves fewer outputs for the others
        left_over = {
            name: [o for o in outputs if o not in told.values() and same(name, o)]
            for name, outputs in found.items()
            if name not in told
        }
        only = {name: outputs[0] for name, outputs in left_over.items() if len(outputs) == 1}
        claims = Counter(only.values())
        told |= {name: output for name, output in only.items() if claims[output] == 1}
    if len(told) == len(states):
        return told
    alike = max(found.keys() - told.keys(), key=lambda name: len(found[name]))
    raise StateMismatch(
        f"which output is the next step's '{alike}' cannot be told: "
        f"{', '.join(repr(o) for o in found[alike])} have its shape; export it with names such as "
        f"'{alike}' and 'next_{alike}'"
    )


def _are_named_alike(name: str, output: str) -> bool:
    """Whether an output is called as an input is: "next_h" as "h", "state_out" as "state"."""
    both = "state" in name.lower() and "state" in output.lower()
    return _stem(name) == _stem(output) and (bool(_stem(name)) or both)


def _stem(name: str) -> str:
    """What is left of a name without what tells an input from an output: "h" of "h_0", "hn"."""
    words = [word for word in re.findall("[a-z]+", name.lower()) if word not in AFFIXES]
    return " ".join(USUAL.get(word, word) for word in words)


def _batch_axis(ends: GraphEnds, image: str, name: str, batch: int) -> int:
    """The axis of a state that counts the observations."""
    sizes, names = ends.inputs[name], ends.names[name]
    free = [axis for axis, size in enumerate(sizes) if not size]
    if not free:
        # of a graph for one observation any axis of size 1 will do; torch has the batch second
        free = [axis for axis in _usual_order(len(sizes)) if sizes[axis] == (batch or 1)][:1]
    if len(free) > 1:
        free = [axis for axis in free if names[axis] and names[axis] == ends.names[image][0]]
    if len(free) != 1:
        raise StateMismatch(
            f"which axis of '{name}' {tuple(sizes)} counts observations is not told"
        )
    return free[0]


def _usual_order(axes: int) -> Iterator[int]:
    """Axes, that which most often counts observations first."""
    first = 1 if axes == 3 else 0  # (layers, batch, units), or (batch, units)
    yield first
    yield from (axis for axis in range(axes) if axis != first)


def _carried(ends: GraphEnds, name: str, output: str, axis: int) -> Carried:
    sizes = list(ends.inputs[name])
    shape = tuple(sizes[:axis] + sizes[axis + 1 :])
    if 0 in shape:
        raise StateMismatch(f"state '{name}' {tuple(sizes)} leaves its size open")
    return Carried(StatePart(name, shape), name, output, axis)
