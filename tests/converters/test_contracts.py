"""What a file does not tell is read from its arithmetic, asked for, or said: never just assumed.

The oracles are onnxruntime, Stable-Baselines3, and the torch modules themselves, fed as they want.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from architectures import observations
from safetensors.torch import save_file
from torch import Tensor, nn

import atari_zoo as zoo
from atari_zoo.converters import ConversionError, ModelCard, to_onnx, to_torch, verify
from atari_zoo.converters.interchange import load_onnx, save_onnx
from atari_zoo.converters.recognition.contract import input_maximum
from atari_zoo.models import convert


def mnih(actions: int = 6) -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(4, 8, 8, 4), nn.ReLU(), nn.Conv2d(8, 8, 4, 2), nn.ReLU()),
        *(nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(392, 16), nn.ReLU()),
        nn.Linear(16, actions),
    )
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(std=0.1)
    return net


def other() -> nn.Sequential:
    """Not the network of Mnih et al."""
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(4, 4, 3, 2), nn.MaxPool2d(4), nn.ReLU(), nn.Flatten()), nn.Linear(400, 6)
    )


class Scaled(nn.Module):
    """A network behind some arithmetic of its own."""

    def __init__(self, net: nn.Module, first: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.first = net, first

    def forward(self, seen: Tensor) -> Tensor:
        return self.net(self.first(seen))


def exported(module: nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            (torch.zeros(1, 4, 84, 84),),
            path,
            dynamo=False,
            opset_version=17,
            input_names=["seen"],
            dynamic_axes={"seen": {0: "batch"}},
        )
    return path


def norm() -> nn.BatchNorm2d:
    made = nn.BatchNorm2d(4)
    made.running_mean.fill_(30.0)
    made.running_var.fill_(900.0)
    return made


# the first arithmetic, and what a white pixel is to it
FIRST: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "x / 255": (lambda x: x / 255.0, 255),
    "x * (1 / 256)": (lambda x: x * (1 / 256), 255),
    "x / 127.5 - 1": (lambda x: x / 127.5 - 1, 255),
    "(x - 128) / 64": (lambda x: (x - 128) / 64, 255),
    "(x - 0.5) / 0.25": (lambda x: (x - 0.5) / 0.25, 1),
    "2 * x - 1": (lambda x: 2 * x - 1, 1),
    "batch norm": (norm(), 255),
}


@pytest.mark.parametrize("net", [mnih, other])
@pytest.mark.parametrize("first", FIRST)
def test_the_range_is_read_from_the_first_arithmetic(first, net, tmp_path):
    arithmetic, white = FIRST[first]
    path = exported(Scaled(net(), arithmetic), tmp_path / "agent.onnx")
    assert input_maximum(load_onnx(path)) == white
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is assumed
        found = zoo.load(path)
    seen = observations(5)
    feed = seen.numpy().astype(np.float32) * np.float32(white / 255)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"seen": feed})
    for given in (seen, seen / 255):
        with torch.no_grad():
            np.testing.assert_allclose(found(given), expected, atol=2e-5, rtol=1e-4)
    assert max(row.difference for row in verify(path)) < 1e-4
    assert convert(path, game="Pong").report.notes == []


@pytest.mark.parametrize("net", [mnih, other])
@pytest.mark.parametrize("white", [1, 255])
def test_a_graph_without_arithmetic_is_asked_about(net, white, tmp_path):
    module = net().eval()
    path, seen = exported(module, tmp_path / "agent.onnx"), observations(5)
    with pytest.warns(UserWarning, match=r"assumed pixels from 0 to 1: .*--input-range 0\.\.255"):
        assert zoo.load(path).card.assumptions
    done = convert(path, game="Pong", input_range=f"0..{white}")
    assert not done.report.notes and not done.card.assumptions
    save_onnx(done.model, tmp_path / "kept.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        networks = [
            zoo.load(tmp_path / "kept.onnx"),
            zoo.load(path, input_range=f"0..{white}"),
            to_torch(tmp_path / "kept.onnx"),
        ]
    for found in networks:
        with torch.no_grad():
            expected = module(seen.float() * (white / 255))
            torch.testing.assert_close(found(seen), expected, atol=1e-3, rtol=1e-4)


def test_a_state_dict_is_read_with_every_assumption_named(tmp_path):
    module, seen = mnih().eval(), observations(5)
    path = tmp_path / "weights.safetensors"
    save_file({f"a.{name}": tensor for name, tensor in module.state_dict().items()}, path)
    with pytest.warns(UserWarning, match="pixels from 0 to 1.*; a ReLU after each") as caught:
        assumed = zoo.load(path)
    assert len(caught) == 1
    with torch.no_grad():
        torch.testing.assert_close(assumed(seen), module(seen / 255), atol=1e-5, rtol=1e-4)
    done = convert(path, game="Pong", input_range="0..255")
    assert [note for note in done.report.notes if note.startswith("assumed")] == [
        "assumed: a ReLU after each convolution and the dense layer: weights do not tell"
    ]
    with torch.no_grad():  # 255 times the sums: float32 rounds in proportion
        expected = module(seen.float())
        torch.testing.assert_close(to_torch(done.model)(seen), expected, atol=1e-2, rtol=1e-4)
    assert to_torch(done.model).card.assumptions == done.card.assumptions


def test_a_range_that_the_file_tells_is_not_overruled(tmp_path):
    path = exported(Scaled(mnih(), lambda x: x / 255), tmp_path / "agent.onnx")
    with pytest.raises(ConversionError, match="the file tells the range of its pixels itself"):
        zoo.load(path, input_range="0..1")
    plain = exported(mnih(), tmp_path / "plain.onnx")
    with pytest.raises(ValueError, match=r"no input range '0\.\.2'; there are 0\.\.1, 0\.\.255"):
        zoo.load(plain, input_range="0..2")
    own = to_onnx(to_torch(path), ModelCard("ppo", "Pong"))
    assert not to_torch(own).card.assumptions  # what was written here takes 0..1


@pytest.mark.parametrize(
    "outputs, words",
    [(306, "6 actions of 51 atoms"), (1200, "6 actions of 200 quantiles"), (19, "19 outputs")],
)
def test_more_outputs_than_a_game_has_actions_are_refused(outputs, words, tmp_path):
    for net in (mnih(outputs), nn.Sequential(*other()[:-1], nn.Linear(400, outputs))):
        path = exported(net, tmp_path / "agent.onnx")
        with pytest.raises(ConversionError, match="cannot be actions") as caught:
            to_torch(path)
        assert words in str(caught.value)
    save_file(mnih(outputs).state_dict(), tmp_path / "weights.safetensors")
    with pytest.raises(ConversionError, match=f"{words}.*|cannot be actions"):
        to_onnx(tmp_path / "weights.safetensors")


@pytest.mark.parametrize("quantiles, game", [(100, "Seaquest"), (50, "Breakout"), (200, "Pong")])
def test_the_game_decides_how_many_quantiles_an_action_has(quantiles, game, tmp_path):
    """sb3-contrib's QR-DQN as a state dict: (quantiles, actions) in one layer."""
    actions = len(zoo.game(game).actions)
    net, head = mnih()[:-1].eval(), nn.Linear(16, quantiles * actions)
    prefix = "quantile_net.features_extractor"
    names = {"0": f"{prefix}.cnn.0", "2": f"{prefix}.cnn.2", "4": f"{prefix}.cnn.4"}
    names |= {"7": f"{prefix}.linear.0"}
    weights = {
        f"{names[name.split('.')[0]]}.{name.split('.')[1]}": tensor
        for name, tensor in net.state_dict().items()
    }
    weights |= {f"quantile_net.quantile_net.0.{n}": t for n, t in head.state_dict().items()}
    save_file(weights, tmp_path / "policy.safetensors")
    done, seen = convert(tmp_path / "policy.safetensors", game=game), observations(5)
    with torch.no_grad():
        expected = head(net(seen / 255)).view(-1, quantiles, actions).mean(1)
        torch.testing.assert_close(to_torch(done.model)(seen), expected, atol=1e-5, rtol=1e-4)
    assert not any("quantiles" in line for line in done.card.assumptions)


def test_without_a_game_the_number_of_quantiles_is_said_or_asked_for(tmp_path):
    prefix, net = "quantile_net.features_extractor", mnih()[:-1]
    names = {"0": f"{prefix}.cnn.0", "2": f"{prefix}.cnn.2", "4": f"{prefix}.cnn.4"}
    names |= {"7": f"{prefix}.linear.0"}
    for outputs in (200 * 6, 50 * 4):
        weights = {
            f"{names[name.split('.')[0]]}.{name.split('.')[1]}": tensor
            for name, tensor in net.state_dict().items()
        }
        head = nn.Linear(16, outputs)
        weights |= {f"quantile_net.quantile_net.0.{n}": t for n, t in head.state_dict().items()}
        save_file(weights, tmp_path / "policy.safetensors")
        if outputs == 1200:
            with pytest.warns(UserWarning, match="200 quantiles an action: .*--game"):
                assert zoo.load(tmp_path / "policy.safetensors").actions == 6
        else:
            with pytest.raises(ConversionError, match=r"give the game \(--game\)"):
                zoo.load(tmp_path / "policy.safetensors")


class Dueling(nn.Module):
    def __init__(self, axis: int) -> None:
        super().__init__()
        self.body, self.axis = mnih()[:-1], axis
        self.value, self.advantage = nn.Linear(16, 1), nn.Linear(16, 6)

    def forward(self, seen: Tensor) -> Tensor:
        features = self.body(seen / 255)
        advantage = self.advantage(features)
        return self.value(features) + advantage - advantage.mean(self.axis, keepdim=True)


@pytest.mark.parametrize("axis, kind", [(1, "MnihNetwork"), (0, "ForeignNetwork")])
def test_a_dueling_head_is_told_by_the_axis_of_its_mean(axis, kind, tmp_path):
    """A mean over the batch is another network, and computes what onnxruntime does."""
    path, seen = exported(Dueling(axis), tmp_path / "agent.onnx"), observations(5)
    found = zoo.load(path)
    assert type(found).__name__ == kind
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"seen": seen.numpy().astype(np.float32)})
    with torch.no_grad():
        np.testing.assert_allclose(found(seen), expected, atol=1e-5)
