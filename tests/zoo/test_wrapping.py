"""Modules in memory as agents; the module itself is the oracle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import atari_zoo as zoo
from atari_zoo.converters import ConversionError


class Agent(nn.Module):
    def __init__(self, outputs: int = 6, size: int = 255, last: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(4, 8, 8, 4), nn.ReLU(), nn.MaxPool2d(2))
        self.policy, self.value = nn.Linear(800, outputs), nn.Linear(800, 1)
        self.size, self.last = size, last

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.permute(0, 3, 1, 2) if self.last else x
        features = self.body(x / self.size).flatten(1)
        return self.policy(features), self.value(features)


class Named(Agent):
    def forward(self, x: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        return {"q": super().forward(x)[0]}


@pytest.mark.parametrize("size, range_", [(255, "0..255"), (1, "0..1")])
@pytest.mark.parametrize("last", [False, True])
def test_a_module_plays_and_is_looked_into(
    tmp_path: Path, size: int, range_: str, last: bool
) -> None:
    module = Agent(size=size, last=last)
    network = zoo.wrap(module, "Pong", input_range=range_, channels_last=last)
    recording = zoo.rollout(
        network,
        steps=4,
        envs=1,
        keep=["screens", "outputs"],
        layers=["body.2"],
        path=tmp_path / "play.zarr",
    )
    seen = recording.observations(0)
    given = seen.float() / 255 * size
    with torch.no_grad():
        expected, _ = module(given.permute(0, 2, 3, 1) if last else given)
        pooled = module.body(seen / 255)
    np.testing.assert_allclose(recording.outputs[:, 0], expected, atol=1e-5)
    assert (recording.actions[:, 0] == expected.argmax(1).numpy()).all()
    kept = zoo.open_recording(tmp_path / "play.zarr").activations["body.2"]
    np.testing.assert_allclose(kept[:, 0], pooled, atol=1e-3)  # kept as float16
    found = zoo.activations(network, recording)
    assert set(found) == {"body", "body.0", "body.1", "body.2", "policy", "value", "output"}
    torch.testing.assert_close(found["body.2"][:, 0], pooled, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found["output"][:, 0], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "module, options, message",
    [
        (Named(), {}, "^Named: it gives a dict; a tensor .batch, actions. was expected"),
        (Agent(4), {}, "^Agent: the network has 4 actions, but Pong has 6"),
        (Agent(), {"shape": (1, 84, 84)}, r"^Agent: .*cannot be run on observations of \(1, 84"),
        (
            Agent(),
            {"actions": ["NOOP", "FIRE"]},
            "^Agent: the network has 6 actions, but 2 are named: NOOP FIRE",
        ),
        (Agent(), {"actions": ["NOOP", "JUMP"]}, "^Agent: no action 'JUMP'; the emulator has"),
        (Agent(), {"input_range": "0..2"}, "^no input range '0..2'"),
        (Agent(), {"preprocessing": "none"}, "^no preprocessing 'none'"),
        (Agent(), {"action_rule": "best"}, "^no action rule 'best'"),
        (nn.Flatten(), {}, "^Flatten: it has no parameters"),
    ],
)
def test_what_is_no_agent_gets_one_line(module: nn.Module, options, message: str) -> None:
    with pytest.raises((ValueError, ConversionError), match=message) as caught:
        zoo.wrap(module, "Pong", **options)
    assert "\n" not in str(caught.value)
