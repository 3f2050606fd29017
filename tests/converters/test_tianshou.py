"""Tianshou's policies, against its own networks written out from its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from architectures import layer_values, observations
from tianshou_files import ImplicitNet, tianshou_policy

from atari_zoo.converters import ConversionError, MnihNetwork, to_torch
from atari_zoo.converters.cards import BYTES_ASSUMED
from atari_zoo.converters.convert import read
from atari_zoo.converters.weights.state_dicts import network_from_state_dict
from atari_zoo.models import convert, load

# kind -> algorithm and head
KINDS = {
    "dqn": ("dqn", "q"),
    "c51": ("c51", "categorical"),
    "qrdqn": ("qrdqn", "quantile"),
    "rainbow": ("rainbow", "categorical"),
    "rainbow without noise": ("rainbow", "categorical"),
    "ppo": ("unknown", "actor-critic"),
    "ppo of two": ("unknown", "policy"),
    "sac": ("unknown", "policy"),
}


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_a_policys_state_dict_gives_its_own_outputs(tmp_path: Path, kind: str) -> None:
    policy, seen = tianshou_policy(kind), observations()
    path = saved(tmp_path / "policy.pth", policy.state_dict())
    with torch.no_grad():  # it is fed 0..255
        found, expected = to_torch(path), policy(seen)
    assert isinstance(found, MnihNetwork)
    assert (found.card.algorithm, found.head.kind) == KINDS[kind]
    assert found.card.assumptions == (BYTES_ASSUMED,)
    assert found.card.preprocessing.name == "envpool"
    assert found.card.action_rule == ("sample" if kind.startswith(("ppo", "sac")) else "argmax")
    # float32 sums of pixels up to 255
    torch.testing.assert_close(found(seen), expected, atol=1e-4, rtol=1e-4)


def test_implicit_quantiles_at_the_zoos_own_fractions() -> None:
    policy, seen = tianshou_policy("iqn"), observations()
    found = network_from_state_dict(policy.state_dict())
    net = policy.get_submodule("model")
    assert isinstance(net, ImplicitNet)
    with torch.no_grad():
        expected = net.at(seen.float(), found.get_submodule("head.embedding").get_buffer("taus"))
    values = layer_values(found, seen)
    torch.testing.assert_close(values["quantiles"], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["dqn", "ppo"])
def test_networks_that_divide_themselves_are_told(kind: str) -> None:
    policy, seen = tianshou_policy(kind, scaled=True), observations()
    found = network_from_state_dict(policy.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(found(seen), policy(seen), atol=1e-5, rtol=1e-5)


def test_an_algorithm_of_version_2(tmp_path: Path) -> None:
    """Its optimizers stand among its weights, and the target in a module more."""
    for kind in ("dqn", "rainbow", "ppo"):
        policy, seen = tianshou_policy(kind), observations()
        weights = {
            name.replace("model_old.", "model_old.module.")
            if name.startswith(("model_old.", "critic."))
            else f"policy.{name}": tensor
            for name, tensor in policy.state_dict().items()
            if not name.startswith("_actor_critic.")
        }
        content = weights | {"_optimizers": [torch.optim.Adam(policy.parameters()).state_dict()]}
        found = to_torch(saved(tmp_path / "policy.pth", content))
        with torch.no_grad():
            torch.testing.assert_close(found(seen), policy(seen), atol=1e-4, rtol=1e-4)


def test_somebodys_word_on_the_range_stands_over_the_librarys_default(tmp_path: Path) -> None:
    policy, seen = tianshou_policy("dqn"), observations()
    path = saved(tmp_path / "policy.pth", policy.state_dict())
    with pytest.warns(UserWarning, match="assumed pixels from 0 to 255, its library's default"):
        load(path)
    for given, scale in (("0..1", 255.0), ("0..255", 1.0)):
        found = to_torch(convert(path, input_range=given).model)
        assert not found.card.assumptions
        with torch.no_grad():
            expected = policy(seen / scale)
        torch.testing.assert_close(found(seen), expected, atol=1e-4, rtol=1e-4)


def test_other_policies_are_refused(tmp_path: Path) -> None:
    weights = tianshou_policy("dqn").state_dict()
    more = saved(tmp_path / "a.pth", weights | {"propose.net.weight": torch.zeros(32, 3136)})
    with pytest.raises(ConversionError, match=r"Tianshou \(DQN\) it has 'propose.net.weight'"):
        read(more)
