"""Real policies that others trained: read, verified, and playing as well as before.

They stand beside the checkout, in shared/policies, or where ATARI_ZOO_POLICIES says.
"""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from architectures import observations
from safetensors.torch import load_file
from torch import Tensor, nn
from torch_zoo_files import Screens
from typer.testing import CliRunner

from atari_zoo.cli.app import app
from atari_zoo.converters import MnihNetwork, to_torch, verify

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "policies"
POLICIES = Path(os.environ.get("ATARI_ZOO_POLICIES", BESIDE))
pytestmark = pytest.mark.skipif(not POLICIES.is_dir(), reason=f"no policies at {POLICIES}")

# file, game, action rule, episodes, the least mean score. Their origin reports 20.8, 1718, 577 and
# 229; random play scores -21, 130, 1 and 1. Single games in Breakout spread widely: those of the
# last from 17 to 370.
CASES = [
    ("acktr-Pong", "Pong", "argmax", 2, 18),
    ("acktr-Seaquest", "Seaquest", "sample", 4, 1500),
    ("acktr-Breakout", "Breakout", "sample", 2, 300),
    ("ppo-Breakout", "Breakout", "sample", 8, 60),
]


def by_hand(weights: dict[str, Tensor], seen: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and value, from the file's own names."""
    x = seen.float() / 255
    for name, stride in (("base.main.0", 4), ("base.main.2", 2), ("base.main.4", 1)):
        x = F.relu(F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride))
    x = F.relu(F.linear(x.flatten(1), weights["base.main.7.weight"], weights["base.main.7.bias"]))
    heads = ("dist.linear", "base.critic_linear")
    logits, value = (F.linear(x, weights[f"{h}.weight"], weights[f"{h}.bias"]) for h in heads)
    return logits, value


@pytest.mark.parametrize(("name", "game", "rule", "episodes", "least"), CASES)
def test_a_real_policy_is_converted_verified_and_plays_as_well(
    tmp_path: Path, name: str, game: str, rule: str, episodes: int, least: float
) -> None:
    source, made = POLICIES / f"{name}.safetensors", tmp_path / "agent.onnx"
    run = CliRunner()
    command = f"convert {source} --algorithm {name.split('-')[0]} --game {game}"
    converted = run.invoke(app, [*command.split(), "--preprocessing", "deepmind", "-o", str(made)])
    assert converted.exit_code == 0, converted.output
    found = to_torch(made)
    logits, _ = by_hand(load_file(source), observations())
    torch.testing.assert_close(found(observations()), logits, atol=1e-4, rtol=1e-5)
    checked = run.invoke(app, ["verify", str(made), "--json"])
    assert checked.exit_code == 0 and json.loads(checked.stdout)["difference"] <= 1e-4
    command = f"play {made} --episodes {episodes} --seed 0 --action {rule} --json"
    played = json.loads(run.invoke(app, command.split()).stdout)
    assert len(played["returns"]) == episodes and played["mean"] >= least


def widened(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same function with 64 filters in the last convolution: 32 of them are zero."""
    full = dict(weights)
    full["base.main.4.weight"] = torch.zeros(64, 64, 3, 3)
    full["base.main.4.weight"][:32] = weights["base.main.4.weight"]
    full["base.main.4.bias"] = F.pad(weights["base.main.4.bias"], (0, 32))
    full["base.main.7.weight"] = F.pad(weights["base.main.7.weight"], (0, 32 * 49))
    return full


IN_SB3 = {
    "features_extractor.cnn.0": "base.main.0",
    "features_extractor.cnn.2": "base.main.2",
    "features_extractor.cnn.4": "base.main.4",
    "features_extractor.linear.0": "base.main.7",
    "action_net": "dist.linear",
    "value_net": "base.critic_linear",
}


@pytest.mark.parametrize("name", [case[0] for case in CASES])
def test_a_real_policy_comes_back_from_stable_baselines3(tmp_path: Path, name: str) -> None:
    import gymnasium
    from stable_baselines3 import A2C

    weights = load_file(POLICIES / f"{name}.safetensors")
    env = Screens()
    env.action_space = gymnasium.spaces.Discrete(len(weights["dist.linear.bias"]))
    policy = A2C("CnnPolicy", env, device="cpu").policy.eval()
    for target, source in IN_SB3.items():
        layer = policy.get_submodule(target)
        for part in ("weight", "bias"):
            layer.get_parameter(part).data.copy_(widened(weights)[f"{source}.{part}"])

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.policy = policy

        def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
            features = policy.extract_features(seen)
            return policy.action_net(features), policy.value_net(features)

    seen = observations(7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Logits(), (seen[:1].float(),), tmp_path / "sb3.onnx", dynamo=False)
    found = to_torch(tmp_path / "sb3.onnx")
    assert isinstance(found, MnihNetwork)
    with torch.no_grad():
        expected = Logits()(seen.float())[0]
        torch.testing.assert_close(found(seen), expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(found(seen), by_hand(weights, seen)[0], atol=1e-5, rtol=1e-5)
    assert max(layer.difference for layer in verify(tmp_path / "sb3.onnx")) < 1e-4
