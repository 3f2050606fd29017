"""Graphs of any opset, as graphs that onnx2torch knows: it ends at opset 17, and lacks operators.

What an operator of a newer opset says in another way is said in the older one's
(https://onnx.ai/onnx/operators/); what the older one cannot say is refused.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable

import numpy as np
import onnx
import onnx.inliner
from onnx import TensorProto, defs, helper, numpy_helper

from atari_zoo.converters.errors import ConversionError

OLDER_OPSET = 17
REDUCTIONS = "L1 L2 LogSum LogSumExp Max Mean Min Prod SumSquare".split()
LONGEST = 1 << 16  # of what is cut out of an axis of unknown size
FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE)
SCOPES = "pkg.torch.onnx."
LOWEST = float(np.finfo(np.float32).min)


class Known:
    """What is known of a graph's values: constants, types and shapes; and new constants."""

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = onnx.shape_inference.infer_shapes(model).graph
        self.values = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self.values[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        stated = (*graph.input, *graph.value_info, *graph.output)
        self.types = {value.name: value.type.tensor_type for value in stated}
        self.added: list[TensorProto] = []

    def constant(self, name: str) -> np.ndarray:
        """Raises ConversionError where it is computed."""
        if name not in self.values:
            raise ConversionError(f"'{name}' is computed; a constant was expected")
        return self.values[name]

    def kind(self, name: str) -> int:
        """The type of a value's numbers; raises ConversionError where it is not known."""
        if name in self.values:
            return helper.np_dtype_to_tensor_dtype(self.values[name].dtype)
        if name not in self.types:
            raise ConversionError(f"the type of '{name}' is not known")
        return self.types[name].elem_type

    def is_float(self, name: str) -> bool:
        """Whether it is known to be of floating point."""
        return name in self.types and self.types[name].elem_type in FLOATS

    def shape(self, name: str) -> list[int]:
        """A value's sizes, 0 for open ones; none where nothing is known."""
        if name in self.values:
            return list(self.values[name].shape)
        return [dim.dim_value for dim in self.types[name].shape.dim] if name in self.types else []

    def add(self, name: str, value: np.ndarray) -> str:
        """A new constant, by a name that no other has."""
        self.added.append(numpy_helper.from_array(value, f"{name}/constant/{len(self.added)}"))
        return self.added[-1].name


Rewrite = Callable[[onnx.NodeProto, Known], list[onnx.NodeProto]]
REWRITES: dict[str, Rewrite] = {}


def rewrite(*kinds: str) -> Callable[[Rewrite], Rewrite]:
    """Registers how those operators are said in the older opset's; the node may be changed."""

    def register(function: Rewrite) -> Rewrite:
        REWRITES.update(dict.fromkeys(kinds, function))
        return function

    return register


def with_older_operators(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in opset 17 or the model's own older one, of operators that onnx2torch knows.

    Raises ConversionError, with the first node's name, where there is no such graph.
    """
    # registers what onnx2torch lacks
    from atari_zoo.converters.network.recurrent_operators import with_stored_weights

    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    model = with_stored_weights(model)
    known, older = Known(model), onnx.ModelProto()
    older.CopyFrom(model)
    (opset,) = (o for o in older.opset_import if o.domain in ("", "ai.onnx"))
    written, opset.version = opset.version, min(opset.version, OLDER_OPSET)
    del older.graph.node[:]
    for node in model.graph.node:
        own = onnx.NodeProto()
        own.CopyFrom(node)
        if known.is_float(node.output[0]):  # sizes that are computed beside them are no layers
            own.name = module_path(node) or node.name
        try:
            # an older file's operators are what they say: only what onnx2torch lacks is rewritten
            change = REWRITES.get(node.op_type, _as_it_is)
            older.graph.node.extend(change(own, known))
            _check(older.graph.node[-1], opset.version, written)
        except ConversionError as error:
            name = node.name or node.output[0]
            raise type(error)(f"node '{name}' ({node.op_type}): {error}") from error
    older.graph.initializer.extend(known.added)
    return older


def module_path(node: onnx.NodeProto) -> str:
    """The torch module that a node is, as "body.2.a", or a function in it, as "body.2.relu".

    From what torch's exporter since 2.5 leaves with each node; empty where there is nothing.
    """
    left = {entry.key.removeprefix(SCOPES): entry.value for entry in node.metadata_props}
    try:
        paths = ast.literal_eval(left["name_scopes"])
        kinds = ast.literal_eval(left["class_hierarchy"])
        *_, path, function = paths
        whole = kinds[-2].startswith("torch.nn.modules.")
    except (KeyError, ValueError, SyntaxError, IndexError, AttributeError, TypeError):
        return ""
    return path if whole and path else f"{path}.{function}".lstrip(".")


def _as_it_is(node: onnx.NodeProto, known: Known) -> list[onnx.NodeProto]:
    return [node]


def _check(node: onnx.NodeProto, version: int, written: int) -> None:
    """Raises ConversionError where the older opset has no such operator, or onnx2torch none."""
    from onnx2torch.node_converters import get_converter

    try:
        get_converter(node.op_type, version, node.domain)
    except NotImplementedError as error:
        raise ConversionError("there is no translation of this operator to torch") from error
    if written == version:
        return
    schema = defs.get_schema(node.op_type, version, node.domain)
    for attribute in list(node.attribute):
        if attribute.name in schema.attributes:
            continue
        newer = defs.get_schema(node.op_type, written, node.domain).attributes[attribute.name]
        if helper.get_attribute_value(attribute) != helper.get_attribute_value(newer.default_value):
            raise ConversionError(f"its {attribute.name} has no translation to torch")
        node.attribute.remove(attribute)
    if len(node.input) > schema.max_input:
        raise ConversionError("it has more inputs than there is a translation of")


def _pop(node: onnx.NodeProto, name: str, default: int | str = 0) -> int | str:
    """An attribute's value, which the node then has no more."""
    for attribute in node.attribute:
        if attribute.name == name:
            node.attribute.remove(attribute)
            value = helper.get_attribute_value(attribute)
            return value.decode() if isinstance(value, bytes) else value
    return default


def _chain(node: onnx.NodeProto, *steps: tuple[str, list[str]]) -> list[onnx.NodeProto]:
    """Operators in a node's place; the last gives its output, others f"{output}/{number}"."""
    output, last = node.output[0], len(steps) - 1
    return [
        helper.make_node(
            kind,
            inputs,
            [output if number == last else f"{output}/{number}"],
            name=node.name if number == last else f"{node.name or output}/{number}",
        )
        for number, (kind, inputs) in enumerate(steps)
    ]


@rewrite("Reshape")
def older_reshape(node: onnx.NodeProto, known: Known) -> list[onnx.NodeProto]:
    """allowzero: a 0 is a size of 0, and not the input's; there is none in an agent."""
    if _pop(node, "allowzero") and not np.all(known.values.get(node.input[1], np.ones(1))):
        raise ConversionError("it makes an axis of size 0")
    return [node]


@rewrite(*(f"Reduce{name}" for name in REDUCTIONS))
def older_reduction(node: onnx.NodeProto, known: Known) -> list[onnx.NodeProto]:
    """Axes are an input since opset 18, and were an attribute."""
    idle = _pop(node, "noop_with_empty_axes")
    axes = known.constant(node.input[1]).tolist() if len(node.input) > 1 and node.input[1] else []
    del node.input[1:]
    if axes:
        rank = len(known.shape(node.input[0]))
        if min(axes) < 0 and not rank:
            raise ConversionError("the number of its input's axes is not known")
        # onnx2torch goes through them in order, taking each away
        node.attribute.append(helper.make_attribute("axes", sorted(a % rank for a in axes)))
    elif idle:
        return [helper.make_node("Identity", node.input, node.output, name=node.name)]
    return [node]


@rewrite("Split")
def older_split(node: onnx.NodeProto, known: Known) -> list[onnx.NodeProto]:
    """num_outputs: equal parts, the last one smaller where they cannot be."""
    parts = int(_pop(node, "num_outputs"))
    if not parts:
        return [node]
    axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
    shape = known.shape(node.input[0])
    if not shape or not shape[axis]:
        raise ConversionError("the size of what it splits is not known")
    size = math.ceil(shape[axis] / parts)
    sizes = [size] * (parts - 1) + [shape[axis] - size * (parts - 1)]
    node.input.append(known.add(node.output[0], np.array(sizes)))
    return [node]


@rewrite("Slice")
def older_slice(node: onnx.NodeProto, known: Known) -> list[onnx.NodeProto]:
    """onnx2torch indexes with a list, which torch is about to read in another way: along one axis
    the places are gathered, where they are known."""
    if any(name not in known.values for name in node.input[1:] if name):
        return [node]
    given = [known.values[n].reshape(-1).tolist() if n else [] for n in node.input[1:]]
    given += [[]] * (4 - len(given))
    starts, ends, axes, steps = given
    start, end, axis, step = starts[0], ends[0], (axes or [0])[0], (steps or [1])[0]
    shape = known.shape(node.input[0])
    size = shape[axis] if shape else 0
    if len(starts) != 1 or not (size or (0 <= start < end < LONGEST and step > 0)):
        return [node]
    # of an axis of unknown size: one that ends earlier is refused when it is run
    places = np.arange(size or end)[start:end:step]
    chosen = known.add(node.output[0], places)
    inputs = [node.input[0], chosen]
    return [helper.make_node("Gather", inputs, node.output, name=node.name, axis=axis)]


@rewrite("Pad")
def older_pad(node: onnx.NodeProto, known: Known) -> list[onnx.NodeProto]:
    """Axes can be named since opset 18; a value that is left out is 0."""
    if len(node.input) > 3:
        axes, rank = known.constant(node.input[3]), len(known.shape(node.input[0]))
        if not rank:
            raise ConversionError("the number of its input's axes is not known")
        pads = np.zeros((2, rank), np.int64)
        pads[:, axes] = known.constant(node.input[1]).reshape(2, -1)
        node.input[1] = known.add(node.output[0], pads.ravel())
        del node.input[3:]
    if len(node.input) > 2 and not node.input[2]:
        del node.input[2:]
    return [node]


@rewrite("Clip")
def older_clip(node: onnx.NodeProto, known: Known) -> list[onnx.NodeProto]:
    """onnx2torch takes no empty name for a bound that is left out."""
    if len(node.input) > 1 and not node.input[1]:
        node.input[1] = known.add(node.output[0], np.array(LOWEST, np.float32))
    if len(node.input) > 2 and not node.input[2]:
        del node.input[2:]
    return [node]


@rewrite("Gelu")
def older_gelu(node: onnx.NodeProto, known: Known) -> list[onnx.NodeProto]:
    """x/2 (1 + erf(x / sqrt 2)), or with tanh (Hendrycks and Gimpel, 2016)."""
    x, y = node.input[0], node.output[0]

    def number(value: float) -> str:
        return known.add(y, np.array(value, np.float32))

    half, unit, root = number(0.5), number(1.0), number(math.sqrt(0.5))
    if _pop(node, "approximate", "none") == "none":
        inner = [("Mul", [x, root]), ("Erf", [f"{y}/0"])]
    else:
        inner = [
            ("Mul", [x, x]),
            ("Mul", [f"{y}/0", x]),
            ("Mul", [f"{y}/1", number(0.044715)]),
            ("Add", [x, f"{y}/2"]),
            ("Mul", [f"{y}/3", number(math.sqrt(2 / math.pi))]),
            ("Tanh", [f"{y}/4"]),
        ]
    n = len(inner)
    outer = [
        ("Add", [f"{y}/{n - 1}", unit]),
        ("Mul", [x, f"{y}/{n}"]),
        ("Mul", [f"{y}/{n + 1}", half]),
    ]
    return _chain(node, *inner, *outer)


@rewrite("Mish")
def older_mish(node: onnx.NodeProto, known: Known) -> list[onnx.NodeProto]:
    """x tanh(softplus(x)) (Misra, 2019)."""
    x, y = node.input[0], node.output[0]
    return _chain(node, ("Softplus", [x]), ("Tanh", [f"{y}/0"]), ("Mul", [x, f"{y}/1"]))


@rewrite("Swish")
def older_swish(node: onnx.NodeProto, known: Known) -> list[onnx.NodeProto]:
    """x sigmoid(alpha x) (Ramachandran et al., 2017)."""
    x, y = node.input[0], node.output[0]
    alpha = next((a.f for a in node.attribute if a.name == "alpha"), 1.0)
    steepness = known.add(y, np.array(alpha, np.float32))
    return _chain(node, ("Mul", [x, steepness]), ("Sigmoid", [f"{y}/0"]), ("Mul", [x, f"{y}/1"]))


@rewrite("GlobalMaxPool")
def older_global_max_pool(node: onnx.NodeProto, known: Known) -> list[onnx.NodeProto]:
    """The maximum over height and width."""
    return [helper.make_node("ReduceMax", node.input, node.output, name=node.name, axes=[2, 3])]


@rewrite("CastLike")
def older_cast_like(node: onnx.NodeProto, known: Known) -> list[onnx.NodeProto]:
    """A cast to the type of the second input."""
    kind = known.kind(node.input[1])
    return [helper.make_node("Cast", node.input[:1], node.output, name=node.name, to=kind)]


@rewrite("Cast")
def older_cast(node: onnx.NodeProto, known: Known) -> list[onnx.NodeProto]:
    """How numbers too large for 8 bits are made to fit them: not met in agents."""
    _pop(node, "saturate")
    _pop(node, "round_mode")
    return [node]


@rewrite("Dropout")
def older_dropout(node: onnx.NodeProto, known: Known) -> list[onnx.NodeProto]:
    """An agent that plays drops nothing."""
    return [helper.make_node("Identity", node.input[:1], node.output[:1], name=node.name)]
