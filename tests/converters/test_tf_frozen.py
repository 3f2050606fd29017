"""Frozen graphs: TensorFlow's own run of each is the oracle, at every layer."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
import tensorflow as tf
import torch
from architectures import layer_values
from frozen_builder import Frozen, run
from frozen_cases import CASES, agent, small

from atari_zoo.converters import MnihNetwork, to_onnx, to_torch, verify
from atari_zoo.converters.algorithms import ALGORITHMS, UNKNOWN
from atari_zoo.converters.formats.tf_frozen import read_tensorflow_graph
from atari_zoo.converters.interchange import read_card
from atari_zoo.converters.recognition.recognise import recognise

GraphDef = tf.compat.v1.GraphDef
tf.get_logger().setLevel(logging.ERROR)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """Seven observations of a game that is played at random, uint8 (7, 4, 84, 84)."""
    from ale_py.vector_env import AtariVectorEnv

    env = AtariVectorEnv("seaquest", num_envs=7)
    env.reset(seed=0)
    random = np.random.default_rng(0)
    for _ in range(40):
        seen, *_ = env.step(random.integers(0, 18, 7))
    env.close()
    assert len({screen.tobytes() for screen in seen}) == 7
    return np.array(seen)


def in_tensorflow(frozen: Frozen, seen: np.ndarray) -> dict[str, np.ndarray]:
    """TensorFlow's values, their axes moved by hand as torch has them."""
    values = {}
    for name, array in run(frozen, seen).items():
        if name.startswith("conv"):
            array = array.reshape(len(seen), *array.shape[-3:])
            array = np.moveaxis(array, frozen.channels, 1)
        elif name != "atoms":
            array = array.reshape(len(seen), -1)
        values[name] = np.ascontiguousarray(array)
    return values


def in_onnxruntime(model: onnx.ModelProto, frozen: Frozen, seen: np.ndarray) -> list[np.ndarray]:
    """The literal graph's own outputs, fed by hand."""
    import onnxruntime

    (given,) = model.graph.input
    fed = seen.transpose(0, 2, 3, 1)
    if given.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
        fed = fed.astype(np.float32) / (255 if frozen.white == 1 else 1)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {given.name: fed})


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_tensorflow(case: str, tmp_path: Path, frames: np.ndarray) -> None:
    frozen, path = agent(case), tmp_path / "model.pb"
    path.write_bytes(frozen.data)
    model = to_onnx(path)
    found = to_torch(model)
    assert isinstance(found, MnihNetwork)
    for seen in (frames, frames[:1]):
        expected = in_tensorflow(frozen, seen)
        ours = layer_values(found, torch.from_numpy(seen))
        assert ours.keys() == expected.keys()
        # float32 sums of up to 7744 terms in another order
        for name, value in ours.items():
            np.testing.assert_allclose(value.numpy(), expected[name], atol=1e-5, err_msg=name)
        outputs = in_onnxruntime(model, frozen, seen)
        for name, array in zip((o.name for o in model.graph.output), outputs, strict=True):
            array = array.reshape(len(seen), -1)
            np.testing.assert_allclose(array, expected[name], atol=1e-5, err_msg=name)
    for layer in verify(model, frames):
        assert layer.difference <= 1e-5, layer


@pytest.mark.parametrize("case", CASES)
def test_its_structure_is_told(case: str, tmp_path: Path) -> None:
    about, frozen, path = CASES[case], small(case), tmp_path / "model.pb"
    path.write_bytes(frozen.data)
    model, source = to_onnx(path), read_tensorflow_graph(path)
    card, found = read_card(model), recognise(model)
    of = ALGORITHMS.get(about.algorithm or case.split()[0], UNKNOWN)
    assert card is not None and card.algorithm == of.name and card.action_rule == of.action_rule
    styles = {"dqn": "dopamine", "rainbow": "dopamine", "impala": "np", UNKNOWN.name: "vector"}
    assert card.preprocessing.name == styles.get(of.name, "tf")
    assert card.format == "tensorflow-graph" and card.source == "model.pb"
    assert tuple(c.padding for c in found.network.trunk.convolutions) == about.paddings
    assert found.flatten == about.flatten
    assert to_torch(path).head.kind == about.head  # type: ignore[union-attr]
    kinds = ("Conv2D", "ExtractImagePatches")
    assert sum(source.operators.get(kind, 0) for kind in kinds) == 3
    assert source.input.startswith(f"'{frozen.input}' ")
    outputs = [output.name for output in model.graph.output]
    assert outputs == ["output", "value"][: 1 + (about.head == "actor-critic")]
    sizes = model.graph.input[0].type.tensor_type.shape.dim
    assert [sizes[0].dim_param, *(x.dim_value for x in sizes[1:])] == ["batch", 84, 84, 4]


# case -> input and output nodes, and whether tf2onnx must be told the input's shape
TF2ONNX = {
    "a2c valid": ("X_t", "a2c/policy/BiasAdd", False),
    "apex": ("X_t", "deepq/q_func/q_values", False),
    "apex NHWC": ("X_t", "deepq/q_func/q_values", False),
    "ga": ("X_t", "ga/out/signal", True),
    "ga conv": ("X_t", "ga/out/signal", False),
    "es": ("X_t", "es/layer5/out/out", True),
    "es conv": ("X_t", "es/layer5/out/out", False),
    "dqn": ("state_ph", "Online/fully_connected_1/BiasAdd", False),
    "dqn later": ("Online/Cast", "Online/fully_connected_1/BiasAdd", False),
    "rainbow": ("Online/Cast", "Online/Sum", False),
    "impala": (
        "agent_1/agent/unroll/batch_apply/truediv",
        "agent_1/agent/unroll/batch_apply_1/policy_logits/add",
        False,
    ),
}


@pytest.mark.parametrize("opset", [13, 17])
@pytest.mark.parametrize("case", TF2ONNX)
def test_what_tf2onnx_writes_is_recognised(
    case: str, opset: int, frames: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    import tf2onnx

    (begin, end, told), frozen = TF2ONNX[case], small(case)
    with caplog.at_level(logging.CRITICAL):
        model, _ = tf2onnx.convert.from_graph_def(
            GraphDef.FromString(frozen.data),
            input_names=[f"{begin}:0"],
            output_names=[f"{end}:0"],
            opset=opset,
            shape_override={f"{begin}:0": [1, 84, 84, 4]} if told else None,
        )
    found, expected = to_torch(model), in_tensorflow(frozen, frames)["output"]
    assert isinstance(found, MnihNetwork)
    with torch.no_grad():
        np.testing.assert_allclose(found(torch.from_numpy(frames)), expected, atol=1e-5)
    assert max(layer.difference for layer in verify(model, frames)) <= 1e-5
    assert recognise(model).flatten == CASES[case].flatten
