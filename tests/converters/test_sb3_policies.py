"""Files of Stable-Baselines3's `policy.save`, against the libraries' own policies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from architectures import layer_values, observations
from torch import nn
from torch_zoo_files import Screens, sb3_model

from atari_zoo.converters import ConversionError, MnihNetwork, to_torch
from atari_zoo.converters.convert import read
from atari_zoo.converters.network.heads import ActorCriticHead, PolicyHead, QHead, QuantileHead

CASES: dict[str, tuple[str, dict[str, Any], type, str]] = {
    "A2C": ("A2C", {}, ActorCriticHead, "sample"),
    "PPO": ("PPO", {}, ActorCriticHead, "sample"),
    "two trunks": ("PPO", {"share_features_extractor": False}, PolicyHead, "sample"),
    "DQN": ("DQN", {"actions": 18}, QHead, "argmax"),
    "QR-DQN of 30 quantiles": ("QRDQN", {"n_quantiles": 30}, QuantileHead, "argmax"),
    "frames last": ("A2C", {"env": Screens(shape=(84, 84, 4))}, ActorCriticHead, "sample"),
    "unscaled bytes": ("PPO", {"normalize_images": False}, ActorCriticHead, "sample"),
    "scaled floats": (
        "DQN",
        {"normalize_images": False, "env": Screens(high=1, dtype=np.float32)},
        QHead,
        "argmax",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_policy_alone_gives_its_own_outputs(tmp_path: Path, case: str) -> None:
    algorithm, settings, head, rule = CASES[case]
    policy, seen = sb3_model(algorithm, **settings).policy, observations()
    policy.save(tmp_path / "policy.pth")
    assert read(tmp_path / "policy.pth").card["format"] == "sb3-policy"
    found = to_torch(tmp_path / "policy.pth")
    assert isinstance(found, MnihNetwork) and isinstance(found.head, head)
    assert found.card.action_rule == rule and found.card.preprocessing.name == "deepmind"
    values = layer_values(found, seen)
    given = seen.float() / 255 if policy.observation_space.high.max() == 1 else seen
    with torch.no_grad():
        if rule == "sample":
            # SB3 hands out logits less their logsumexp
            expected = policy.get_distribution(given).distribution.logits
            values["output"] = values["output"].log_softmax(1)
        elif algorithm == "DQN":
            expected = policy.q_net(given)
        else:
            expected = policy.quantile_net(given).mean(1)
    torch.testing.assert_close(values["output"], expected, atol=1e-5, rtol=1e-5)


def tanh_cnn() -> type:
    from stable_baselines3.common.torch_layers import NatureCNN

    class TanhCNN(NatureCNN):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.linear[1] = nn.Tanh()  # no shape tells it

    TanhCNN.__qualname__ = "TanhCNN"
    globals()["TanhCNN"] = TanhCNN  # where it is pickled from
    return TanhCNN


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "extra layers": ({"net_arch": [64, 32]}, r"net_arch\): 512 to 64, 64 to 32"),
    "smaller": ({"env": Screens(shape=(4, 60, 60))}, r"observations of \[4, 60, 60\]"),
    "odd floats": (
        {"normalize_images": False, "env": Screens(high=3, dtype=np.float32)},
        "pixels up to 3; not 1 or 255",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_policies_are_refused(tmp_path: Path, case: str) -> None:
    settings, message = REFUSED[case]
    sb3_model("A2C", **settings).policy.save(tmp_path / "policy.pth")
    with pytest.raises(ConversionError, match=message):
        to_torch(tmp_path / "policy.pth")


def test_features_of_a_class_of_its_own_are_refused(tmp_path: Path) -> None:
    extractor = {"features_extractor_class": tanh_cnn(), "features_extractor_kwargs": {}}
    sb3_model("A2C", **extractor).policy.save(tmp_path / "policy.pth")
    with pytest.raises(ConversionError, match="its features come from 'TanhCNN'"):
        to_torch(tmp_path / "policy.pth")


class Box:
    """gym.spaces.Box before version 0.17: `shape` for `_shape`."""

    def __init__(self, *shape: int) -> None:
        self.shape, self.dtype, self.high = shape, np.dtype("uint8"), np.full(shape, 255)


def test_policies_of_gyms_spaces(tmp_path: Path) -> None:
    policy, seen = sb3_model("DQN").policy, observations()
    policy.save(tmp_path / "policy.pth")
    content = torch.load(tmp_path / "policy.pth", weights_only=False)
    content["data"]["observation_space"] = Box(84, 84, 4)
    torch.save(content, tmp_path / "policy.pth")
    with torch.no_grad():
        found, expected = to_torch(tmp_path / "policy.pth")(seen), policy.q_net(seen)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    content["data"]["observation_space"] = Box(1, 84, 84)
    torch.save(content, tmp_path / "policy.pth")
    with pytest.raises(ConversionError, match=r"observations of \[1, 84, 84\]"):
        to_torch(tmp_path / "policy.pth")
