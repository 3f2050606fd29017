"""Which units live, and what is said of those that died."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from safetensors.torch import save_file

from atari_zoo.living_units import living
from atari_zoo.training.health import Health
from atari_zoo.untrained.untrained import UNTRAINED


@pytest.fixture
def network():
    torch.manual_seed(0)
    return UNTRAINED["dqn"](6).eval()


@pytest.fixture
def observations():
    return torch.randint(
        0, 256, (600, 4, 84, 84), generator=torch.Generator().manual_seed(0)
    ).byte()


def test_units_that_never_answer_are_not_counted(network, observations):
    network.trunk.conv1.conv.bias.data[:5] = -1e3
    network.trunk.fc[0].bias.data[10:40] = -1e3
    found = living(network, observations[:20])
    with torch.no_grad():  # by hand, layer by layer
        after = network.trunk.conv1(observations[:20] / 255)
        expected = (after > 0).any(0).flatten(1).any(1)
    assert torch.equal(found["conv1"], expected)
    assert not found["conv1"][:5].any() and found["conv1"].sum() > 20
    assert not found["fc"][10:40].any()
    assert set(found) == {"conv1", "conv2", "conv3", "fc"}


@pytest.mark.parametrize("killed, warns", [(150, False), (300, True)])
def test_a_layer_of_which_a_third_died_is_named_once(
    killed, warns, network, observations, tmp_path
):
    save_file(network.state_dict(), tmp_path / "0.safetensors")
    health = Health(tmp_path / "0.safetensors")
    dead = copy.deepcopy(network)
    lived = living(network, observations)["fc"].nonzero().flatten()
    dead.trunk.fc[0].bias.data[lived[:killed]] = -1e3
    health.see(observations[:100])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        health.warn(dead, 100)  # too little was seen to tell
    health.see(observations)
    assert health.dead(dead)["fc"] == (min(killed, len(lived)), 512)
    assert health.dead(network)["fc"] == (0, 512)
    if warns:
        with pytest.warns(UserWarning, match=r"of the 512 units of fc have died in 100 frames"):
            health.warn(dead, 100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        health.warn(dead, 200)  # said already, or nothing to say
