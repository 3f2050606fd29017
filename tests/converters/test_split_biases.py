"""Agents of ACKTR, whose optimizer moved their biases, hung hooks on them and was pickled too."""

from __future__ import annotations

import sys
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from architectures import layer_values, observations
from kfac_files import save_kfac
from real_policies import POLICIES, by_hand, needs_policies
from safetensors.torch import load_file
from torch import Tensor
from torch_zoo_files import Policy, acktr_model

from atari_zoo import rollout
from atari_zoo.converters import ConversionError, MnihNetwork, to_torch
from atari_zoo.converters.weights.state_dicts import network_from_state_dict
from atari_zoo.models import convert


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_module_saved_whole_with_its_optimizer_on_its_hooks(tmp_path: Path, legacy: bool) -> None:
    model, seen, path = acktr_model(), observations(), tmp_path / "Pong.pt"
    with torch.no_grad():
        expected = Policy.forward(model, seen)
        value = model.base.critic_linear(model.base.main(seen / 255.0))
    content = save_kfac(path, legacy).read_bytes()
    assert b"getattr" in content and b"save_input" in content and "kfac" not in sys.modules
    found = to_torch(path)
    assert isinstance(found, MnihNetwork) and found.card.algorithm == "acktr"
    values = layer_values(found, seen)
    torch.testing.assert_close(values["output"], expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(values["value"], value, atol=1e-5, rtol=1e-5)


OLD = {
    "base.main.0": ("conv1", "ab1"),
    "base.main.2": ("conv2", "ab2"),
    "base.main.4": ("conv3", "ab3"),
    "base.main.7": ("linear1", "ab_fc1"),
    "base.critic_linear": ("critic_linear", "ab_fc2"),
    "dist.linear": ("actor_linear", "ab_fc3"),
}


def of_2017(ordered: bool = True) -> dict[str, Tensor]:
    """model.py's CNNPolicy. ordered: as the module has them; else by the alphabet."""
    weights: dict[str, Tensor] = {}
    for name, (layer, bias) in OLD.items():
        module = acktr_model().get_submodule(name)
        weights[f"{layer}.weight"] = module.get_parameter("weight").data
        weights[f"{bias}.bias"] = module.get_parameter("bias").data.unsqueeze(1)
    return weights if ordered else dict(sorted(weights.items()))


@pytest.mark.parametrize("ordered", [True, False])
def test_the_networks_of_2017(ordered: bool) -> None:
    seen = observations()
    found = network_from_state_dict(of_2017(ordered))
    torch.testing.assert_close(found(seen), acktr_model()(seen), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ab2.bias": torch.zeros(63, 1)}, r"'ab2.bias' \(63, 1\) is not the bias .* 'conv2'"),
        ({"conv2.bias": torch.zeros(64)}, r"'ab2.bias' \(64, 1\) is not the bias"),
        ({"x.add_bias._bias": torch.zeros(4, 1)}, r"'x.add_bias._bias' \(4, 1\) is not the bias"),
    ],
    ids=["size", "twice", "no layer"],
)
def test_biases_of_other_layers_are_refused(change: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        network_from_state_dict(OrderedDict(of_2017() | change))


@needs_policies
def test_the_agent_as_it_was_published() -> None:
    seen = observations(7)
    logits, value = by_hand(load_file(POLICIES / "acktr-Seaquest.safetensors"), seen)
    found = to_torch(POLICIES / "acktr-Seaquest.pt")
    values = layer_values(found, seen)
    torch.testing.assert_close(values["output"], logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(values["value"], value, atol=1e-5, rtol=1e-5)


@needs_policies
def test_the_agent_as_it_was_published_plays() -> None:
    """4 episodes score 1610 sampled, and 1805 by the best action; random play 130."""
    done = convert(POLICIES / "acktr-Seaquest.pt", game="Seaquest")
    assert done.card.name == "acktr/Seaquest/1" and done.card.action_rule == "sample"
    played = rollout(to_torch(done.model).eval(), episodes=1, seed=0)
    assert played.summary()["mean"] >= 1000
