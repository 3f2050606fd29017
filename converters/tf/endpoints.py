"""Ends of a TensorFlow graph of an unknown agent.

Its ends are the last nodes on the ways that lead from the screen alone through convolutions and
products; what training left in the graph is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.tf.graphdef import PASSED, TfGraph

CONVOLUTIONS = frozenset(("Conv2D", "ExtractImagePatches"))
PRODUCTS = frozenset(("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"))
VARIABLES = frozenset("Variable VariableV2 VarHandleOp ReadVariableOp TemporaryVariable".split())
# what is not the network's own: the choice of an action, training, saving, summaries
LEFTOVER_OPS = re.compile(
    "ArgMax|Max|Multinomial|Random.*|OneHot|Shape|ShapeN|Size|Rank|.*Grad|.*Backprop.*|Assign.*|"
    "Apply.*|Save.*|Restore.*|.*Summary.*|NoOp|Assert|Print|IsVariableInitialized"
)
CHOICES = frozenset("Softmax LogSoftmax Identity StridedSlice Squeeze".split())
LEFTOVER_NAMES = re.compile(r"(^|/)(gradients|save|[^/]*target[^/]*)(_\d+)?/", re.IGNORECASE)
MANY = 8  # candidates that are looked at, and named
AGAIN = re.compile(r"^([^/]+)_\d+/")  # the scope of a network's second use

UNFROZEN = (
    "variables, not constants: this graph was not frozen; freeze it with "
    "convert_variables_to_constants"
)


def ends(graph: TfGraph) -> tuple[str, str]:
    """The node that gives a number for each action, and the value's ("" if there is none).

    Raises ConversionError if there is none, or several could be it.
    """
    names = _first_uses(_last_nodes(graph))
    values = [name for name in names[:MANY] if _width(graph, name) == 1]
    outputs = [name for name in names if name not in values]
    if len(outputs) == 1 and len(values) <= 1:
        return outputs[0], values[0] if values else ""
    if any(graph.op(name) in VARIABLES for name in graph.nodes):
        raise ConversionError(UNFROZEN)
    listed = ", ".join(f"'{name}'" for name in names[:MANY]) or "none"
    raise ConversionError(
        "one node that ends a way through a convolution and a product was expected as the "
        f"output; found {listed}; name it with output="
    )


def _last_nodes(graph: TfGraph) -> list[str]:
    """The ends of the ways from the screen through convolutions and products."""
    own = {
        name
        for name, node in graph.nodes.items()
        if not LEFTOVER_OPS.fullmatch(node.op) and not LEFTOVER_NAMES.search(name)
    }
    after: dict[str, list[str]] = {}
    for name in own:
        for read in graph.inputs(name):
            after.setdefault(read.node, []).append(name)
    convolutions = [name for name in own if graph.op(name) in CONVOLUTIONS]
    maps = _reached(convolutions, after)
    dense = _reached([x for x in maps if graph.op(x) in PRODUCTS], after)
    before = set(graph.way(convolutions))
    placeholders = [x for x in graph.nodes if graph.op(x) == "Placeholder"]
    mixed = _reached([x for x in placeholders if x not in before], after)
    inside = dense - mixed or dense
    last = [x for x in graph.nodes if x in inside and not inside & set(after.get(x, ()))]
    return list(dict.fromkeys(_before_choice(graph, name) for name in last))


def _reached(starts: Iterable[str], after: dict[str, list[str]]) -> set[str]:
    """The nodes that depend on any of these, and these."""
    found, queue = set(), list(starts)
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue += after.get(name, [])
    return found


def _before_choice(graph: TfGraph, name: str) -> str:
    """What an agent's network gives, before it is made a choice, or chances, or one of a row."""
    for _ in range(PASSED):
        if graph.op(name) in CHOICES:
            name = next((read.node for read in graph.inputs(name)), name)
    return name


def _first_uses(names: list[str]) -> list[str]:
    """Without the second uses of networks whose first uses are there too."""
    scopes = {name.partition("/")[0] for name in names}
    return [name for name in names if (m := AGAIN.match(name)) is None or m[1] not in scopes]


def _width(graph: TfGraph, name: str) -> int:
    """How many numbers the products before a node give at most; 0 if that is not plain."""
    widths, queue, seen = [], [name], set()
    while queue:
        current = queue.pop()
        if current in seen:
            continue
        seen.add(current)
        inputs = [read.node for read in graph.inputs(current)]
        if graph.op(current) in PRODUCTS:
            shape = graph.stored_shape(inputs[1]) if len(inputs) > 1 else []
            widths.append(shape[-1] if shape else 0)
        else:
            queue += inputs
    return 0 if 0 in widths else max(widths, default=0)
