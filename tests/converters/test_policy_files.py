"""Real policies put into other tools' files, by those tools, come back and play as well.

The four policies have 32 filters in their last convolution; widened with zeros to 64, they
compute the same and fit the containers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import torch
from architectures import observations
from dopamine_files import save
from frozen_builder import run
from frozen_graphs import a2c
from real_policies import CASES, POLICIES, by_hand, needs_policies, widened
from safetensors.torch import load_file
from torch import Tensor
from torch_zoo_files import Agent, sb3_model

from atari_zoo import rollout
from atari_zoo.converters import MnihNetwork, to_torch
from atari_zoo.converters.cards import PREPROCESSINGS, ModelCard
from atari_zoo.games import game as find_game

pytestmark = needs_policies

Weights = dict[str, Tensor]
LAYERS = ("base.main.0", "base.main.2", "base.main.4", "base.main.7")


def kernel(weights: Weights, layer: str) -> np.ndarray:
    """A layer's weights in TensorFlow's order; the dense layer reads height, width, channels."""
    weight = weights[f"{layer}.weight"].numpy()
    if layer == "base.main.7":
        weight = weight.reshape(-1, 64, 7, 7).transpose(0, 2, 3, 1).reshape(len(weight), -1)
    return weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T


def bias(weights: Weights, layer: str) -> np.ndarray:
    return weights[f"{layer}.bias"].numpy()


def frozen_graph(weights: Weights, folder: Path) -> Path:
    """TensorFlow's own frozen A2C graph, its constants replaced."""
    frozen = a2c(actions=len(weights["dist.linear.bias"]), padding="VALID")
    names = dict(zip(("conv1", "conv2", "conv3", "fc"), LAYERS, strict=True))
    names |= {"policy": "dist.linear", "value": "base.critic_linear"}
    graph = tf.compat.v1.GraphDef.FromString(frozen.data)
    nodes = {node.name: node for node in graph.node}
    for name, layer in names.items():
        for part, array in (("weights", kernel(weights, layer)), ("biases", bias(weights, layer))):
            tensor = nodes[f"a2c/{name}/{part}"].attr["value"].tensor
            made = tf.make_tensor_proto(np.ascontiguousarray(array))
            assert made.tensor_shape == tensor.tensor_shape
            tensor.CopyFrom(made)
    (folder / "graph.pb").write_bytes(graph.SerializeToString())
    return folder / "graph.pb"


def dopamine_checkpoint(weights: Weights, folder: Path) -> Path:
    """Dopamine's DQN, its Q-values the policy's logits; TensorFlow's Saver writes it."""
    names = ("Conv", "Conv_1", "Conv_2", "fully_connected", "fully_connected_1")
    variables = {}
    for name, layer in zip(names, (*LAYERS, "dist.linear"), strict=True):
        variables[f"Online/{name}/weights"] = np.ascontiguousarray(kernel(weights, layer))
        variables[f"Online/{name}/biases"] = bias(weights, layer)
    save(folder / "tf_ckpt-199", variables, "rmsprop")
    return folder / "tf_ckpt-199.index"


def sb3_zip(weights: Weights, folder: Path) -> Path:
    model = sb3_model("A2C", actions=len(weights["dist.linear.bias"]))
    targets = ("cnn.0", "cnn.2", "cnn.4", "linear.0")
    names = {f"features_extractor.{t}": s for t, s in zip(targets, LAYERS, strict=True)}
    names |= {"action_net": "dist.linear", "value_net": "base.critic_linear"}
    for target, source in names.items():
        layer = model.policy.get_submodule(target)
        for part in ("weight", "bias"):
            layer.get_parameter(part).data.copy_(weights[f"{source}.{part}"])
    model.save(folder / "agent.zip")
    return folder / "agent.zip"


def cleanrl_model(weights: Weights, folder: Path) -> Path:
    agent = Agent(actions=len(weights["dist.linear.bias"]))
    targets = ("network.0", "network.2", "network.4", "network.7", "actor", "critic")
    sources = (*LAYERS, "dist.linear", "base.critic_linear")
    agent.load_state_dict(
        {
            f"{target}.{part}": weights[f"{source}.{part}"]
            for target, source in zip(targets, sources, strict=True)
            for part in ("weight", "bias")
        }
    )
    torch.save(agent.state_dict(), folder / "ppo_atari.cleanrl_model")
    return folder / "ppo_atari.cleanrl_model"


FILES: dict[str, Callable[[Weights, Path], Path]] = {
    "frozen graph": frozen_graph,
    "Dopamine checkpoint": dopamine_checkpoint,
    "SB3 zip": sb3_zip,
    "CleanRL model": cleanrl_model,
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("policy", [case[0] for case in CASES])
def test_a_real_policy_computes_the_same_from_every_file(
    policy: str, kind: str, tmp_path: Path
) -> None:
    weights = load_file(POLICIES / f"{policy}.safetensors")
    found = to_torch(FILES[kind](widened(weights), tmp_path))
    assert isinstance(found, MnihNetwork)
    seen = observations(7)
    logits, value = by_hand(weights, seen)
    with torch.no_grad():
        torch.testing.assert_close(found(seen), logits, atol=1e-5, rtol=1e-5)
        if "value" in found.layers:
            _, values = found.head.both(found.trunk(seen))
            torch.testing.assert_close(values, value[:, 0], atol=1e-5, rtol=1e-5)


def test_tensorflow_computes_the_same_from_the_frozen_graph(tmp_path: Path) -> None:
    weights = load_file(POLICIES / "acktr-Pong.safetensors")
    frozen = a2c(padding="VALID")
    data = frozen_graph(widened(weights), tmp_path).read_bytes()
    seen = observations(3)
    told = run(type(frozen)(data, frozen.input, frozen.layers), seen.numpy())
    logits, _ = by_hand(weights, seen)
    np.testing.assert_allclose(told["output"], logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("kind", "case"), zip(FILES, CASES, strict=True))
def test_a_real_policy_plays_as_well_from_every_file(
    kind: str, case: tuple[str, str, str, int, float], tmp_path: Path
) -> None:
    policy, title, rule, episodes, least = case
    weights = widened(load_file(POLICIES / f"{policy}.safetensors"))
    found = to_torch(FILES[kind](weights, tmp_path)).eval()
    of = find_game(title)
    found.card = ModelCard(
        "a2c", of.name, action_meanings=of.actions, preprocessing=PREPROCESSINGS["deepmind"]
    )
    played = rollout(found, episodes=episodes, seed=0, action=rule)
    assert played.summary()["mean"] >= least
