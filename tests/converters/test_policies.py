"""Real policies that others trained: read, verified, and playing as well as before."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
import torch
from architectures import observations
from real_policies import CASES, POLICIES, by_hand, needs_policies, widened
from safetensors.torch import load_file
from torch import Tensor, nn
from torch_zoo_files import Screens
from typer.testing import CliRunner

from atari_zoo.cli.app import app
from atari_zoo.converters import MnihNetwork, to_torch, verify

pytestmark = needs_policies


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
