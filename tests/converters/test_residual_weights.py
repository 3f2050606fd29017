"""IMPALA's residual network from state dicts, against the networks that they were saved from."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from residual_networks import (
    UNITS,
    CleanRLAgent,
    CleanRLQNetwork,
    TorchBeast,
    lively,
)
from torch import Tensor, nn

from atari_zoo.converters import ConversionError, ImpalaNetwork, to_onnx, to_torch
from atari_zoo.converters.convert import read
from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.recurrent import RecurrentNetwork
from atari_zoo.converters.saving import save_as
from atari_zoo.converters.weights.state_dicts import (
    RESIDUAL_ASSUMED,
    network_from_state_dict,
)

# name -> network, and what its names tell: algorithm, actions chosen how, what is assumed
NETWORKS: dict[str, tuple[Callable[[], nn.Module], str, str, tuple[str, ...]]] = {
    "torchbeast": (TorchBeast, "impala", "sample", ()),
    "torchbeast, no reward": (lambda: TorchBeast(beside=0), "impala", "sample", ()),
    "torchbeast, four parts": (
        lambda: TorchBeast((3, 4, 5, 6), beside=0),
        "impala",
        "sample",
        (),
    ),
    "CleanRL, PPO": (CleanRLAgent, "ppo", "sample", ()),
    "CleanRL, PPG": (lambda: CleanRLAgent(auxiliary=True), "ppo", "sample", ()),
    "CleanRL, DQN": (CleanRLQNetwork, "dqn", "argmax", ()),
    "80x80": (
        lambda: TorchBeast(side=80, frames=1, beside=0),
        "impala",
        "sample",
        ("screens of 80x80 pixels: the dense layer's size would allow a few more",),
    ),
    "colours or frames": (
        lambda: CleanRLAgent((16, 32, 32), frames=3),
        "ppo",
        "sample",
        ("its 3 channels are frames, not colours: weights do not tell",),
    ),
}


def pixels(network: Any, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, *network.shape), dtype=torch.uint8, generator=generator)


def outputs(network: Any, seen: Tensor) -> list[Tensor]:
    """The output, and the value where there is one."""
    values: list[Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda _m, _i, out: values.append(out))
        for name, layer in network.layers.items()
        if name == "value"
    ]
    with torch.no_grad():
        found = [network(seen), *values]
    for hook in hooks:
        hook.remove()
    return found


def close(found: list[Tensor], expected: tuple[Tensor, ...]) -> None:
    """Nesting 1e-5 of the largest: float32 sums in another order."""
    assert len(found) == len(expected)
    for one, other in zip(found, (part.detach() for part in expected), strict=True):
        assert other.abs().max() > 0.1  # else nothing is told
        torch.testing.assert_close(one, other, atol=1e-5 * float(other.abs().max()), rtol=0)


@pytest.mark.parametrize("case", NETWORKS)
def test_outputs_are_the_networks_own(tmp_path: Path, case: str) -> None:
    make, algorithm, rule, assumed = NETWORKS[case]
    model = lively(make())
    torch.save({"model_state_dict": model.state_dict(), "flags": {}}, tmp_path / "model.pt")
    source = read(tmp_path / "model.pt")
    found = source.model
    assert isinstance(found, AgentNetwork)
    if case == "torchbeast":  # the last reward is the agent's to remember
        assert isinstance(found, RecurrentNetwork) and found.told_parts == ("reward",)
    else:
        assert isinstance(found, ImpalaNetwork) and found.architecture == "IMPALA's ResNet"
    assert (source.card["algorithm"], source.card["action_rule"]) == (algorithm, rule)
    assert source.assumptions == list(assumed)
    assert bool(source.notes) == ("PPG" in case)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is assumed is asked above
        again = to_torch(to_onnx(tmp_path / "model.pt"))
    for network in (found, again):
        for count in (1, 7):
            seen = pixels(network, count)
            close(outputs(network, seen), model(seen))


class Plain(nn.Module):
    """Nobody's names, in the order in which the layers follow each other."""

    def __init__(self, model: TorchBeast) -> None:
        super().__init__()
        for index, part in enumerate(model.feat_convs):
            self.add_module(f"a{index}", part[0])
            self.add_module(f"b{index}", model.resnet1[index])
            self.add_module(f"c{index}", model.resnet2[index])
        self.dense, self.pi, self.v = model.fc, model.policy, model.baseline


@pytest.mark.parametrize("widths", [(4, 6, 5), (4, 4, 4), (3, 5), (16, 32, 32)], ids=str)
def test_unknown_names_are_told_by_order_and_shape(tmp_path: Path, widths: tuple[int, ...]) -> None:
    model = lively(TorchBeast(widths, beside=0))
    torch.save(Plain(model).state_dict(), tmp_path / "model.pt")
    source = read(tmp_path / "model.pt")
    assert isinstance(source.model, ImpalaNetwork)
    assert [block.channels for block in source.model.trunk.blocks] == list(widths)
    assert len(source.assumptions) == 2 and RESIDUAL_ASSUMED in source.assumptions
    seen = pixels(source.model, 3)
    close(outputs(source.model, seen), model(seen))


def changed(model: nn.Module, **changes: Tensor | None) -> dict[str, Tensor]:
    """A state dict with some entries replaced, or (None) left out."""
    weights = model.state_dict() | {k.replace("__", "."): v for k, v in changes.items()}
    return {name: tensor for name, tensor in weights.items() if tensor is not None}


def shuffled() -> dict[str, Tensor]:
    """Nobody's names, and torchbeast's order: the residual blocks after all the other layers."""
    return {f"x.{name}": tensor for name, tensor in TorchBeast(beside=0).state_dict().items()}


BEAST = TorchBeast()
REFUSED: dict[str, tuple[dict[str, Tensor], str]] = {
    "last action": (
        TorchBeast(beside=7).state_dict(),
        "the head reads 31 features, but 'fc' has 24",
    ),
    "a core": (
        changed(BEAST, core__weight_ih_l0=torch.zeros(8, 8)),
        "memory 'core' lacks",
    ),
    "widths": (
        changed(BEAST, resnet2__1__3__weight=torch.zeros(6, 7, 3, 3)),
        r"do not follow each other: .*'resnet2.1.3' \(6, 7, 3, 3\)",
    ),
    "parts": (
        changed(BEAST, feat_convs__1__0__weight=torch.zeros(6, 9, 3, 3)),
        r"do not follow each other: .*'feat_convs.1.0' \(6, 9, 3, 3\)",
    ),
    "kernels": (
        changed(BEAST, resnet1__0__1__weight=torch.zeros(4, 4, 5, 5)),
        r"kernels of 3x3 were expected; .*'resnet1.0.1' \(4, 4, 5, 5\)",
    ),
    "screen": (changed(BEAST, fc__weight=torch.zeros(UNITS, 5 * 13)), "65 inputs does not read"),
    "a bias": (changed(BEAST, feat_convs__0__0__bias=None), "'feat_convs.0.0.bias' is missing"),
    "biases": (
        changed(BEAST, feat_convs__0__0__bias=torch.zeros(9)),
        r"'feat_convs.0.0' has biases \(9,\); \(4,\) were expected",
    ),
    "units": (
        changed(TorchBeast(beside=0), baseline__weight=torch.zeros(1, UNITS + 3)),
        "reads more than the 24 features|27",
    ),
    "order": (shuffled(), "kernels of 3x3, 3x3, 3x3, 3x3, 3x3, 3x3, ..."),
}


@pytest.mark.parametrize("case", REFUSED)
def test_others_are_refused_in_one_line(case: str) -> None:
    weights, message = REFUSED[case]
    with pytest.raises(ConversionError, match=message) as caught:
        network_from_state_dict(weights)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_it_goes_out_as_weights_and_comes_back(tmp_path: Path, suffix: str) -> None:
    model = lively(TorchBeast(beside=0))
    network = network_from_state_dict(model.state_dict())
    save_as(to_onnx(network), tmp_path / f"agent{suffix}")
    source = read(tmp_path / f"agent{suffix}")
    assert isinstance(source.model, ImpalaNetwork) and not source.assumptions
    seen = pixels(network, 3)
    close(outputs(source.model, seen), model(seen))
    with pytest.raises(ConversionError, match=r"NatureCNN.*IMPALA's ResNet"):
        save_as(to_onnx(network), tmp_path / "agent.pth")


def test_pixels_up_to_255_go_into_the_first_convolution(tmp_path: Path) -> None:
    model = lively(TorchBeast(beside=0))
    with torch.no_grad():
        model.feat_convs[0][0].weight.div_(255)  # what takes bytes has such weights
    torch.save(Plain(model).state_dict(), tmp_path / "model.pt")
    from atari_zoo import load

    with pytest.warns(UserWarning, match="residual blocks"):
        network = load(tmp_path / "model.pt", input_range="0..255")
    seen = pixels(network, 3)
    expected = tuple(part.clone() for part in model(seen.float() * 255))  # it divides by 255
    close(outputs(network, seen), expected)
