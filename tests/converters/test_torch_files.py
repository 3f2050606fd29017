"""State dicts: known names, order and shapes, and what must be refused."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from architectures import layer_values, network, observations
from safetensors.torch import save_file
from torch import Tensor, nn
from torch_zoo_files import QNetwork, sb3_model

from atari_zoo.converters import ConversionError, MnihNetwork, to_onnx, to_torch
from atari_zoo.converters.network.heads import DuelingHead
from atari_zoo.converters.weights.state_dicts import network_from_state_dict

Weights = OrderedDict[str, Tensor]


def nature(last: int = 64, same: bool = False, frames: int = 4) -> list[nn.Module]:
    """Conv, ReLU, conv, ReLU, conv, ReLU, flatten, dense, ReLU, as everybody writes it."""
    torch.manual_seed(3)
    pads: list[nn.Module] = (
        [nn.ZeroPad2d(p) for p in ((2, 2, 2, 2), (1, 2, 1, 2), (1, 1, 1, 1))]
        if same
        else [nn.Identity()] * 3
    )
    size = 11 if same else 7
    return [
        nn.Sequential(pads[0], nn.Conv2d(frames, 32, 8, 4)),
        nn.ReLU(),
        nn.Sequential(pads[1], nn.Conv2d(32, 64, 4, 2)),
        nn.ReLU(),
        nn.Sequential(pads[2], nn.Conv2d(64, last, 3)),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(last * size * size, 512),
        nn.ReLU(),
    ]


class Actor(nn.Module):
    """A policy with its own names for everything."""

    def __init__(self, last: int = 64, same: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(*nature(last, same))
        self.v = nn.Linear(512, 1)
        self.pi = nn.Linear(512, 6)

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(seen.float() / 255)
        return self.pi(features), self.v(features)


@pytest.mark.parametrize("last", [64, 32])
@pytest.mark.parametrize("same", [False, True], ids=["valid", "same"])
def test_unknown_names_are_told_by_order_and_shape(last: int, same: bool) -> None:
    actor, seen = Actor(last, same).eval(), observations()
    found = network_from_state_dict(actor.state_dict())
    values = layer_values(found, seen)
    logits, value = actor(seen)
    torch.testing.assert_close(values["output"], logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(values["value"], value, atol=1e-5, rtol=1e-5)


class Dueling(nn.Module):
    """A value and advantages on one dense layer, with names of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(*nature())
        self.state_value, self.advantages = nn.Linear(512, 1), nn.Linear(512, 6)

    def forward(self, seen: Tensor) -> Tensor:
        features = self.body(seen.float() / 255)
        advantages = self.advantages(features)
        return self.state_value(features) + advantages - advantages.mean(1, keepdim=True)


def test_advantages_are_told_from_a_policy_by_their_name() -> None:
    model, seen = Dueling().eval(), observations()
    found = network_from_state_dict(model.state_dict())
    assert isinstance(found.head, DuelingHead)
    torch.testing.assert_close(found(seen), model(seen), atol=1e-5, rtol=1e-5)


def test_stable_baselines3s_policies_without_their_zips() -> None:
    """Bare state dicts, against the library's own outputs; 200 quantiles are its default."""
    seen = observations()
    actor, critic = sb3_model("A2C").policy, sb3_model("DQN").policy
    quantiles = sb3_model("QRDQN").policy
    with torch.no_grad():
        values = layer_values(network_from_state_dict(actor.state_dict()), seen)
        logits = actor.get_distribution(seen).distribution.logits
        # SB3 hands out logits less their logsumexp
        torch.testing.assert_close(values["output"].log_softmax(1), logits, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(
            values["value"], actor.predict_values(seen), atol=1e-5, rtol=1e-5
        )
        found = network_from_state_dict(critic.state_dict())
        torch.testing.assert_close(found(seen), critic.q_net(seen), atol=1e-5, rtol=1e-5)
        found = network_from_state_dict(quantiles.state_dict())
        expected = quantiles.quantile_net(seen).mean(1)
        torch.testing.assert_close(found(seen), expected, atol=1e-5, rtol=1e-5)


def test_stable_baselines3s_documented_export_is_recognised(tmp_path: Path) -> None:
    """The export that SB3's documentation shows: actions, values and log-probabilities."""

    class Exportable(nn.Module):
        def __init__(self, policy: nn.Module) -> None:
            super().__init__()
            self.policy = policy

        def forward(self, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            return self.policy(seen, deterministic=True)

    policy = sb3_model("A2C").policy.eval()
    seen = observations()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Exportable(policy),
            (seen[:1].float(),),
            tmp_path / "sb3.onnx",
            dynamo=False,
            input_names=["input"],
        )
    found = to_torch(tmp_path / "sb3.onnx")
    assert isinstance(found, MnihNetwork)
    with torch.no_grad():
        values = layer_values(found, seen)
        logits = policy.get_distribution(seen).distribution.logits
        torch.testing.assert_close(values["output"].log_softmax(1), logits, atol=1e-5, rtol=1e-5)
        expected = policy.predict_values(seen)
        torch.testing.assert_close(values["value"], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("wrap", ["model_state_dict", "agent/network", "compiled", "parallel"])
def test_checkpoints_that_wrap_the_weights(tmp_path: Path, wrap: str) -> None:
    weights = Actor().state_dict()
    prefix = {"compiled": "_orig_mod.", "parallel": "module."}.get(wrap)
    content: object = {f"{prefix}{k}": v for k, v in weights.items()}
    if prefix is None:
        content = weights
        for key in reversed(wrap.split("/")):
            content = {key: content, "epoch": 3}
    torch.save(content, tmp_path / "checkpoint.pt")
    seen = observations()
    found = to_torch(tmp_path / "checkpoint.pt")
    torch.testing.assert_close(found(seen), Actor()(seen)[0], atol=1e-5, rtol=1e-5)


def changed(**changes: Tensor | None) -> Weights:
    """An actor's state dict with some entries replaced, added, or (None) left out."""
    weights = Actor().state_dict() | {k.replace("__", "."): v for k, v in changes.items()}
    return OrderedDict((k, v) for k, v in weights.items() if v is not None)


def broken(name: str) -> Tensor:
    tensor = Actor().state_dict()[name].clone()
    tensor.view(-1)[7] = float("nan")
    return tensor


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (changed(other__weight=torch.zeros(6, 512)), "one output layer.*'other' \\(6, 512\\)"),
        (changed(pi__weight=None, pi__bias=None), "one output layer"),
        (changed(body__2__1__weight=torch.zeros(64, 32, 3, 3)), "8x8, 3x3, 3x3"),
        (changed(body__0__1__weight=torch.zeros(32, 9, 8, 8)), "1 to 8 frames were .* on 9"),
        (
            changed(body__7__weight=torch.zeros(512, 100)),
            "on the 64 channels of 'body.4.1'",
        ),
        (changed(extra__weight=torch.zeros(64)), "1 others \\('extra'\\)"),
        (changed(pi__bias=None), "'pi.bias' is missing"),
        (changed(body__7__weight=broken("body.7.weight")), "not finite"),
        (OrderedDict(weight=torch.zeros(10, 10)), "0 convolutions and"),
        (changed(core__weight_ih_l0=torch.zeros(4, 4)), "a part of 'core' is missing"),
        (changed(lstm__weight_ih_l0=torch.zeros(4, 4)), "a part of 'lstm' is missing"),
        (changed(body__2__1__weight=torch.zeros(64, 16, 4, 4)), "do not follow each other"),
        (changed(**{"a\nb": torch.zeros(1)}), "cannot be printed"),
        (changed(pi__weight=torch.zeros(6, 512).long()), "int64 \\(6, 512\\); floats"),
    ],
    ids=(
        "twins headless kernel frames dense norm bias nan mlp rest lstm chain unprintable integers"
    ).split(),
)
def test_other_architectures_are_refused(weights: Weights, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        network_from_state_dict(weights)


def wide(**changes: tuple[int, ...]) -> Weights:
    """A small file whose layers, were they made as they claim, would take terabytes."""
    weights = network("dueling streams").state_dict()
    for name, shape in changes.items():
        weights[name.replace("__", ".")] = torch.zeros(shape)
    return OrderedDict(weights)


@pytest.mark.parametrize(
    "weights",
    [
        wide(head__advantage__weight=(1 << 20, 1), head__advantage__bias=(1 << 20,)),
        wide(head__advantage_fc__linear__weight=(1 << 20, 1)),
        wide(head__fc__linear__weight=(1 << 20, 1)),
        wide(trunk__conv1__conv__weight=(1 << 14, 4, 8, 8)),
        wide(trunk__conv3__conv__weight=(1 << 20, 1, 3, 3)),
    ],
    ids=["advantage", "advantage's stream", "value's stream", "conv1", "conv3"],
)
def test_sizes_that_multiply_are_refused_before_anything_is_made(weights: Weights) -> None:
    with pytest.raises(ConversionError, match=r"reads|not of the size|follow each other|features"):
        network_from_state_dict(weights)


def test_an_optimizers_state_is_not_taken_for_a_policys(tmp_path: Path) -> None:
    actor, seen = Actor(), observations()
    optimizer = torch.optim.Adam(actor.parameters())
    actor(seen)[0].sum().backward()
    optimizer.step()
    content = {"net": actor.state_dict(), "optimizer": optimizer.state_dict(), "steps": [1] * 9}
    torch.save(content, tmp_path / "a.pt")
    torch.testing.assert_close(to_torch(tmp_path / "a.pt")(seen), actor(seen)[0])


def test_a_library_that_does_not_pad_was_trained_on_larger_screens() -> None:
    """116x116 pixels leave 11x11 places without padding, as 84x84 do with it."""
    weights = QNetwork().state_dict() | {"network.7.weight": torch.zeros(512, 121 * 64)}
    with pytest.raises(ConversionError, match="CleanRL \\(DQN\\) pads no convolution"):
        network_from_state_dict(weights)


def test_another_byte_order_is_refused(tmp_path: Path) -> None:
    torch.save(Actor().state_dict(), tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as old, zipfile.ZipFile(tmp_path / "b.pt", "w") as new:
        for name in old.namelist():
            new.writestr(name, b"big" if name.endswith("byteorder") else old.read(name))
    with pytest.raises(ConversionError, match="byte order"):
        to_torch(tmp_path / "b.pt")


def test_torchscript_is_refused(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "a.pt")
    with pytest.raises(ConversionError, match="TorchScript"):
        to_torch(tmp_path / "a.pt")


class RunsCode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch ran",)


def files(folder: Path) -> dict[str, tuple[Path, str]]:
    """Bad files, and what must be said of them."""
    whole = folder / "whole.safetensors"
    save_file(dict(Actor().state_dict()), whole)
    torch.save(Actor().state_dict(), folder / "whole.pt")
    bad = {
        "no model": (b"hello, this is a text file, and a rather long one at that", "known kind"),
        "empty": (b"", "empty"),
        "cut.safetensors": (whole.read_bytes()[:-1000], "not a whole safetensors file"),
        "cut.pt": ((folder / "whole.pt").read_bytes()[:-1000], "cut short"),
        "cut.onnx": (to_onnx(network("q")).SerializeToString()[:-1000], "cut short|damaged"),
        "text.onnx": (b"hello", "not an ONNX file"),
        "zip.pt": (b"PK\x03\x04" + bytes(200), "not a torch file"),
    }
    for name, (content, _) in bad.items():
        (folder / name).write_bytes(content)
    torch.save({"a": RunsCode()}, folder / "code.pt")
    torch.save({"online": Actor().state_dict(), "target": Actor().state_dict()}, folder / "two.pt")
    torch.save([1, 2], folder / "list.pt")
    found = {name: (folder / name, message) for name, (_, message) in bad.items()}
    return found | {
        "code.pt": (folder / "code.pt", "would run code.*system"),
        "two.pt": (folder / "two.pt", "several state dicts"),
        "list.pt": (folder / "list.pt", "no state dict"),
        "nothing": (folder / "nothing.pt", "no such file"),
        "folder": (folder, "a folder"),
    }


BAD = ["no model", "empty", "cut.safetensors", "cut.pt", "cut.onnx", "text.onnx", "zip.pt"]
BAD += ["code.pt", "two.pt", "list.pt", "nothing", "folder"]


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_in_one_line_and_run_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path, message = files(tmp_path)[name]
    with pytest.raises(ConversionError, match=message) as caught:
        to_torch(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()
