"""Convolutions and dense layers from state dicts of nobody's names, against their networks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from residual_networks import lively
from scripted_networks import NATURE, NIPS, Scripted
from torch import Tensor, nn

from atari_zoo.converters import ConversionError, MnihNetwork, to_onnx, to_torch
from atari_zoo.converters.convert import read
from atari_zoo.converters.weights.state_dicts import network_from_state_dict

# name -> network, what it is called, how many dense layers, what is assumed beside range and ReLU
NETWORKS: dict[str, tuple[Callable[[], Scripted], str, int, tuple[str, ...]]] = {
    "2013": (lambda: Scripted(NIPS), "Mnih et al. (2013)", 1, ()),
    "2013, 80x80": (
        lambda: Scripted(NIPS, shape=(1, 80, 80)),
        "Mnih et al. (2013)",
        1,
        ("screens of 80x80 pixels: the dense layer's size would allow a few more",),
    ),
    "eight frames": (lambda: Scripted(NATURE, shape=(8, 84, 84)), "Mnih et al. (2015)", 1, ()),
    "no dense layer": (lambda: Scripted(NATURE, ()), "Mnih et al. (2015)", 0, ()),
    "two dense layers": (
        lambda: Scripted(NIPS, (20, 14)),
        "Mnih et al. (2013), 2 dense layers",
        2,
        (),
    ),
    "three dense layers": (
        lambda: Scripted(NATURE, (20, 14, 10)),
        "Mnih et al. (2015), 3 dense layers",
        3,
        (),
    ),
}


def pixels(shape: tuple[int, int, int], count: int) -> Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=generator)


def close(found: Tensor, expected: Tensor) -> None:
    """Nesting 1e-5 of the largest: float32 sums in another order."""
    expected = expected.detach()
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-5 * float(expected.abs().max()), rtol=0)


@pytest.mark.parametrize("case", NETWORKS)
def test_outputs_are_the_networks_own(tmp_path: Path, case: str) -> None:
    make, words, dense, assumed = NETWORKS[case]
    model = lively(make())
    torch.save(model.state_dict(), tmp_path / "model.pt")
    source = read(tmp_path / "model.pt")
    found = source.model
    assert isinstance(found, MnihNetwork) and found.architecture == words
    assert len(found.trunk.dense) == dense and found.shape == model.shape
    assert [line.partition(":")[0] for line in source.assumptions[:2]] == [
        "pixels from 0 to 1",
        "a ReLU after each convolution and the dense layer",
    ]
    assert tuple(source.assumptions[2:]) == assumed
    again = to_torch(to_onnx(found))
    for count in (1, 7):
        seen = pixels(model.shape, count)
        with torch.no_grad():
            expected = model(seen)[0]
            close(found(seen), expected)
            close(again(seen), expected)


def test_a_square_layer_stands_before_a_single_output() -> None:
    """Which can but follow it; with two outputs there would be two ways to read them."""
    model = lively(Scripted(NIPS, (16, 16)))
    weights = {k: v for k, v in model.state_dict().items() if not k.startswith("value")}
    found = network_from_state_dict(weights)
    assert isinstance(found, MnihNetwork) and len(found.trunk.dense) == 2
    seen = pixels((4, 84, 84), 3)
    with torch.no_grad():
        close(found(seen), model(seen)[0])
    with pytest.raises(ConversionError, match=r"one output layer, or one and a value.*'dense.1'"):
        network_from_state_dict(model.state_dict())


def test_the_most_usual_screen_is_taken() -> None:
    """256 units are also what 64x64 pixels would leave of 16 channels."""
    model = lively(Scripted(((16, 8, 4), (16, 4, 2), (16, 3, 1)), (256,)))
    found = network_from_state_dict(model.state_dict())
    assert found.shape == (4, 84, 84)
    seen = pixels((4, 84, 84), 3)
    with torch.no_grad():
        close(found(seen), model(seen)[0])


def changed(**changes: Tensor) -> dict[str, Tensor]:
    weights = Scripted(NIPS, (20, 14)).state_dict()
    return OrderedDict(weights) | {k.replace("__", "."): v for k, v in changes.items()}


REFUSED: dict[str, tuple[dict[str, Tensor], str]] = {
    "kernels": (
        Scripted(((4, 8, 4), (4, 3, 2))).state_dict(),
        r"8, 4 and 3 pixels, or 8 and 4 .* it has 2 convolutions and 3 dense layers, kernels of "
        r"8x8, 3x3",
    ),
    "one convolution": (Scripted(((4, 8, 4),)).state_dict(), "it has 1 convolutions and 3 dense"),
    "dense layers": (
        changed(dense__1__weight=torch.zeros(14, 21)),
        r"one output layer, or one and a value, was expected .*'dense.1' \(14, 21\)",
    ),
    "heads": (
        changed(value__weight=torch.zeros(1, 15)),
        r"'value' has weights \(1, 15\); \(1, 14\) were expected",
    ),
    "no screen": (
        changed(dense__0__weight=torch.zeros(20, 8 * 17)),
        r"one dense layer on the 8 channels of 'convolutions.1' was expected, and there is none",
    ),
    "nine frames": (
        Scripted(NIPS, shape=(9, 84, 84)).state_dict(),
        "on 1 to 8 frames were expected; it has 8x8, 4x4 on 9",
    ),
    "a norm": (
        changed(norm__weight=torch.ones(8), norm__bias=torch.ones(8)),
        r"convolutions and dense layers were expected; .* 1 others \('norm'\)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_fits_no_architecture_is_refused_in_one_line(case: str) -> None:
    weights, message = REFUSED[case]
    with pytest.raises(ConversionError, match=message) as caught:
        network_from_state_dict(weights)
    assert "\n" not in str(caught.value)


def test_names_of_the_zoos_own_tell_no_function(tmp_path: Path) -> None:
    """A plain file of a state dict has no word on it; those that the zoo writes do."""
    network = network_from_state_dict(lively(Scripted(NIPS)).state_dict())
    torch.save(network.state_dict(), tmp_path / "own.pt")
    source = read(tmp_path / "own.pt")
    assert isinstance(source.model, nn.Module)
    assert [line.partition(":")[0] for line in source.assumptions] == [
        "a ReLU after each convolution and the dense layer"
    ]
