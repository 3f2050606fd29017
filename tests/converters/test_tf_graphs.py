"""Frozen graphs that are not as published, and files that must be refused, with the reason."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import frozen_graphs
import numpy as np
import pytest
import tensorflow as tf
import torch
from architectures import network
from frozen_cases import CASES, SMALL, small
from real_policies import POLICIES

from atari_zoo.converters import ConversionError, to_onnx, to_torch
from atari_zoo.converters.formats.tf_frozen import read_frozen, read_tensorflow_graph
from atari_zoo.converters.interchange import save_onnx
from atari_zoo.converters.registry import FORMATS, START, Probe
from atari_zoo.converters.tf.constants import constant
from atari_zoo.converters.tf.graphdef import parse_graph

GraphDef = tf.compat.v1.GraphDef
Nodes = dict[str, Any]
tf.get_logger().setLevel(logging.ERROR)


def edited(case: str, folder: Path, edit: Callable[[Any, Nodes], object]) -> Path:
    """The small agent's file with something changed in its GraphDef."""
    definition = GraphDef.FromString(small(case).data)
    edit(definition, {node.name: node for node in definition.node})
    path = folder / "edited.pb"
    path.write_bytes(definition.SerializeToString())
    return path


def renamed(before: str, after: str) -> Callable[[Any, Nodes], None]:
    def edit(definition: Any, nodes: Nodes) -> None:
        for node in definition.node:
            node.name = node.name.replace(before, after)
            inputs = [name.replace(before, after) for name in node.input]
            del node.input[:]
            node.input.extend(inputs)

    return edit


def op(name: str, kind: str) -> Callable[[Any, Nodes], None]:
    def edit(definition: Any, nodes: Nodes) -> None:
        nodes[name].op = kind

    return edit


def sized(name: str, sizes: list[int]) -> Callable[[Any, Nodes], None]:
    """Sets the sizes that a placeholder declares; none for an unknown rank."""

    def edit(definition: Any, nodes: Nodes) -> None:
        shape = nodes[name].attr["shape"].shape
        shape.Clear()
        shape.unknown_rank = not sizes
        for size in sizes:
            shape.dim.add().size = size

    return edit


TOP = "agent_1/agent/unroll"
# what an agent's graph may look like besides: case, change, and where the screen enters then
VARIANTS: dict[str, tuple[str, Callable[[Any, Nodes], object], str]] = {
    "unknown names": ("a2c", renamed("a2c", "net"), "X_t"),
    "unknown names, training": ("dqn training", renamed("Online", "net"), "state_ph"),
    "names of the outputs": ("a2c", renamed("a2c/policy/BiasAdd", "output"), "X_t"),
    "names of the outputs, baked": (
        "dqn",
        renamed("Online/Flatten/flatten/Reshape", "output"),
        "state_ph",
    ),
    "open sizes": ("a2c", sized("X_t", [-1, -1, -1, 4]), "X_t"),
    "open sizes, NCHW": ("apex", sized("X_t", [-1, -1, -1, 4]), "X_t"),
    "unknown rank": ("a2c", sized("X_t", []), "X_t"),
    "unknown rank, NCHW": ("apex", sized("X_t", []), "X_t"),
    "unknown rank, patches": ("ga", sized("X_t", []), "X_t"),
    "made for three": ("a2c", sized("X_t", [3, 84, 84, 4]), "X_t"),
    "fed by a queue": ("dqn", op("state_ph", "QueueDequeueV2"), "Online/Cast"),
    "IMPALA by a queue": ("impala", op("frame", "Unstage"), f"{TOP}/batch_apply/truediv"),
    "unknown, by a queue": (
        "impala",
        lambda d, n: (op("frame", "Unstage")(d, n), renamed("agent_1", "net")(d, n)),
        "net/agent/unroll/batch_apply/Reshape",
    ),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_is_the_same_network(variant: str, tmp_path: Path) -> None:
    case, edit, enters = VARIANTS[variant]
    path = edited(case, tmp_path, edit)
    assert any(f"lead from '{enters}'" in note for note in read_frozen(path).notes)
    plain = tmp_path / "plain.pb"
    plain.write_bytes(small(case).data)
    seen = torch.randint(0, 256, (2, 4, 84, 84), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(to_torch(path)(seen), to_torch(plain)(seen))


def test_ends_can_be_given(tmp_path: Path) -> None:
    path = edited("dqn training", tmp_path, lambda d, n: None)
    target = read_frozen(path, output="Target/fully_connected_1/BiasAdd")
    assert not target.card and [o.name for o in target.model.graph.output] == ["output"]
    online = to_torch(read_frozen(path).model)
    seen = torch.randint(0, 256, (2, 4, 84, 84), dtype=torch.uint8)
    divided = read_frozen(path, input="Online/div")
    assert divided.model.graph.input[0].name == "Online/div"
    with torch.no_grad():
        assert not torch.allclose(to_torch(target.model)(seen), online(seen))
        torch.testing.assert_close(to_torch(divided.model)(seen), online(seen))


def test_a_value_that_cannot_be_translated_is_left_out(tmp_path: Path) -> None:
    path = edited("a2c", tmp_path, op("a2c/value/MatMul", "SparseMatMul"))
    source = read_frozen(path)
    assert [output.name for output in source.model.graph.output] == ["output"]
    assert any("left out" in note and "SparseMatMul" in note for note in source.notes)


def test_tensorflow_is_not_imported(tmp_path: Path) -> None:
    path = edited("rainbow", tmp_path, lambda d, n: None)
    code = (
        "import sys; from atari_zoo.converters.formats.tf_frozen import read_frozen; "
        f"read_frozen({str(path)!r}); print('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def weights(case: str, name: str, value: float) -> Callable[[Any, Nodes], None]:
    def edit(definition: Any, nodes: Nodes) -> None:
        tensor = nodes[name].attr["value"].tensor
        array = np.frombuffer(tensor.tensor_content, np.float32).copy()
        array[7] = value
        tensor.tensor_content = array.tobytes()

    return edit


def dimension(name: str, size: int) -> Callable[[Any, Nodes], None]:
    def edit(definition: Any, nodes: Nodes) -> None:
        nodes[name].attr["value"].tensor.tensor_shape.dim[0].size = size

    return edit


def reads(name: str, index: int, what: str) -> Callable[[Any, Nodes], None]:
    def edit(definition: Any, nodes: Nodes) -> None:
        nodes[name].input[index] = what

    return edit


def flag(name: str, attribute: str, kind: str, value: Any) -> Callable[[Any, Nodes], None]:
    def edit(definition: Any, nodes: Nodes) -> None:
        held = nodes[name].attr[attribute]
        if kind == "list":
            del held.list.i[:]
            held.list.i.extend(value)
        else:
            setattr(held, kind, value)

    return edit


def twice(definition: Any, nodes: Nodes) -> None:
    definition.node.add().CopyFrom(nodes["a2c/fc/MatMul"])


def second_policy(definition: Any, nodes: Nodes) -> None:
    renamed("a2c", "net")(definition, nodes)
    for part in ("MatMul", "BiasAdd"):
        node = definition.node.add()
        node.CopyFrom(next(n for n in definition.node if n.name == f"net/policy/{part}"))
        node.name = f"net/opponent/{part}"
    node.input[0] = "net/opponent/MatMul"


def chain(definition: Any, nodes: Nodes) -> None:
    for index in range(1000):
        before = f"more{index - 1}" if index else "a2c/fc/BiasAdd"
        definition.node.add(name=f"more{index}", op="Identity").input.append(before)
    nodes["a2c/fc/Relu"].input[0] = "more999"


# case, change, message
REFUSED: dict[str, tuple[str, Callable[[Any, Nodes], object], str]] = {
    "unknown operator": (
        "a2c",
        op("a2c/conv2/Relu", "SpaceToBatchND"),
        "node 'a2c/conv2/Relu': no translation for 'SpaceToBatchND'",
    ),
    "variable": ("a2c", op("a2c/conv2/weights", "VariableV2"), "variables, not constants"),
    "cycle": (
        "a2c",
        reads("a2c/conv1/Conv2D", 0, "a2c/conv3/Relu"),
        "node 'a2c/.*' depends on itself",
    ),
    "two of one name": ("a2c", twice, "two nodes are called 'a2c/fc/MatMul'"),
    "a thousand nodes": ("a2c", chain, "1043 nodes lead to 'a2c/policy/BiasAdd'"),
    "dangling": ("a2c", reads("a2c/fc/Relu", 0, "nowhere"), "reads 'nowhere', which is not there"),
    "another output": ("a2c", reads("a2c/fc/Relu", 0, "a2c/fc/BiasAdd:1"), "first output"),
    "no placeholder": ("a2c", reads("a2c/conv1/Conv2D", 0, "a2c/conv1/biases"), "no placeholder"),
    "no convolution": ("a2c", reads("a2c/policy/MatMul", 0, "X_t"), "no convolution"),
    "another placeholder": ("a2c", op("a2c/fc/biases", "Placeholder"), "'a2c/fc/biases'"),
    "two candidates": (
        "a2c",
        second_policy,
        "found 'net/policy/BiasAdd', 'net/value/BiasAdd', 'net/opponent/BiasAdd'; name it",
    ),
    "not a number": ("a2c", weights("a2c", "a2c/fc/weights", np.nan), "'a2c/fc/weights'.*finite"),
    "1e22": ("a2c", weights("a2c", "a2c/fc/weights", 1e22), "as large as 1e\\+22"),
    "2^31 rows": ("a2c", dimension("a2c/fc/weights", 2**31), "node 'a2c/fc/weights'.*numbers"),
    "negative rows": ("a2c", dimension("a2c/fc/weights", -1), "node 'a2c/fc/weights'.*numbers"),
    "a row too many": ("a2c", dimension("a2c/fc/weights", 1937), "numbers for a shape"),
    "2^31 pixels": ("a2c", sized("X_t", [-1, 2**31, 84, 4]), "a screen of 2147483648x84x4"),
    "96 pixels": ("a2c", sized("X_t", [-1, 96, 96, 4]), "node 'a2c/fc/MatMul'.*2304 and 1936"),
    "dilated": (
        "a2c",
        flag("a2c/conv1/Conv2D", "dilations", "list", [1, 2, 2, 1]),
        "'a2c/conv1/Conv2D' .Conv2D.: a dilated convolution",
    ),
    "padding": ("a2c", flag("a2c/conv1/Conv2D", "padding", "s", b"FULL"), "padding 'FULL'"),
    "strides": ("a2c", flag("a2c/conv1/Conv2D", "strides", "list", [1, 0, 0, 1]), "strides"),
    "wrong features": ("a2c", reads("a2c/fc/MatMul", 1, "a2c/policy/weights"), "ONNX's MatMul"),
    "name": ("a2c", renamed("a2c/fc", "a2c\nfc"), "not a name, damaged"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_graph_is_refused(why: str, tmp_path: Path) -> None:
    case, edit, message = REFUSED[why]
    path = edited(case, tmp_path, edit)
    with pytest.raises(ConversionError, match=message) as refusal:
        to_torch(path)
    assert str(refusal.value).startswith(f"{path}: ") and "\n" not in str(refusal.value)


def test_an_agent_that_reads_its_reward_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pb"
    path.write_bytes(frozen_graphs.impala(**SMALL, rewards=True).data)
    message = "placeholder 'reward' is needed .* reward or last action are inputs too"
    with pytest.raises(ConversionError, match=message):
        to_onnx(path)
    definition = GraphDef.FromString(path.read_bytes())
    (reward,) = (node for node in definition.node if node.name == "reward")
    reward.op = "Const"  # as if it had been frozen with the weights
    reward.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.zeros((1, 1, 1), np.float32)))
    path.write_bytes(definition.SerializeToString())
    with pytest.raises(ConversionError, match=r"'.*joined' .ConcatV2.: .* inputs too"):
        to_onnx(path)


def test_a_graph_that_was_not_frozen_is_refused() -> None:
    with pytest.raises(ConversionError, match=r"not constants: .* convert_variables_to_constants"):
        to_onnx(POLICIES / "dqn-unfrozen.pb")


def test_a_saved_model_is_refused(tmp_path: Path) -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        seen = tf.compat.v1.placeholder(tf.float32, [None, 4], name="X_t")
        made = tf.identity(seen)
        tf.compat.v1.saved_model.simple_save(session, str(tmp_path / "m"), {"x": seen}, {"y": made})
    for path in (tmp_path / "m", tmp_path / "m" / "saved_model.pb"):
        with pytest.raises(ConversionError, match="a SavedModel, not a frozen graph: freeze it"):
            read_tensorflow_graph(path)
        assert FORMATS["tensorflow-graph"].sniff(probe(path))


@pytest.mark.parametrize("kept", [0, 1, 100, 5000, -1])
def test_what_is_cut_short_is_refused(kept: int, tmp_path: Path) -> None:
    path = tmp_path / "model.pb"
    path.write_bytes(small("a2c").data[:kept])
    with pytest.raises(ConversionError, match=r"cut short|empty|output|without nodes"):
        to_onnx(path)


def probe(path: Path) -> Probe:
    return Probe(path, b"" if path.is_dir() else path.read_bytes()[:START])


def test_it_is_told_by_its_content(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    sniff = FORMATS["tensorflow-graph"].sniff
    graph = tmp_path / "graph_def"
    for case in CASES:
        graph.write_bytes(small(case).data)
        assert sniff(probe(graph)), case
    save_onnx(to_onnx(network("q")), tmp_path / "model.onnx")
    save_onnx(to_onnx(network("q")), tmp_path / "model.pb")
    save_file({"a": np.zeros(3)}, tmp_path / "a.safetensors")
    (tmp_path / "pickle").write_bytes(pickle.dumps({"a": 1}))
    (tmp_path / "text").write_text("\nW\nplain text, as it comes\n")
    (tmp_path / "table").write_bytes(b"\n\x0b\n\x05" + b"abc" * 90)
    (tmp_path / "empty").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("graph.pb", small("a2c").data)
    for other in tmp_path.iterdir():
        assert sniff(probe(other)) == (other == graph), other
    (tmp_path / "other.pb").write_bytes(b"\x99" * 600)
    assert sniff(probe(tmp_path / "other.pb"))
    with pytest.raises(ConversionError, match="not a whole TensorFlow graph"):
        read_tensorflow_graph(tmp_path / "other.pb")


def stored(**fields: Any) -> np.ndarray:
    """A Const node's value; the fields are the TensorProto's."""
    node = tf.compat.v1.NodeDef(name="c", op="Const")
    tensor = node.attr["value"].tensor
    for size in fields.pop("shape", ()):
        tensor.tensor_shape.dim.add().size = size
    for name, value in fields.items():
        if isinstance(value, list):
            getattr(tensor, name).extend(value)
        else:
            setattr(tensor, name, value)
    return constant(parse_graph(GraphDef(node=[node]).SerializeToString()).nodes["c"])


def test_a_short_list_repeats_its_last_number() -> None:
    kinds = {tf.float32: "float_val", tf.float64: "double_val", tf.int32: "int_val"}
    for kind, field in kinds.items():
        array = stored(dtype=kind.as_datatype_enum, shape=(2, 3), **{field: [4, 5]})
        assert array.dtype == kind.as_numpy_dtype
        np.testing.assert_array_equal(array, [[4, 5, 5], [5, 5, 5]])
    true = stored(dtype=tf.bool.as_datatype_enum, shape=(2,), tensor_content=b"\x00\x02")
    np.testing.assert_array_equal(true, [False, True])
    assert stored(dtype=tf.float32.as_datatype_enum, float_val=[2.5]).shape == ()
    np.testing.assert_array_equal(stored(dtype=tf.uint8.as_datatype_enum, shape=(2,)), [0, 0])


def test_a_file_that_would_grow_in_memory_is_refused() -> None:
    """A few bytes an entry become objects of a hundred; so it is not parsed at all."""
    nested = GraphDef(node=[{"name": "c", "op": "Const"}])
    nested.node[0].attr["v"].list.tensor.extend([tf.make_tensor_proto(1.0)] * 400_000)
    many = b"\x0a\x00" * 200_000
    for data in (nested.SerializeToString(), many):
        with pytest.raises(ConversionError, match="more nodes than any agent's network"):
            parse_graph(data)
